import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runIn } from "../../rehearsal/machines/namespace.js";
import { createStranger } from "../../rehearsal/machines/stranger.js";
import { bringUpTunnel } from "../../rehearsal/machines/tunnel.js";
import type { Project } from "../project.js";
import { walletOf } from "./outside.js";

/** What `holdfast wg show PEER --json` prints: all that a phone ever gets. */
export interface Pass {
  readonly node: string;
  readonly peer: string;
  readonly configuration: string;
  readonly lndconnect: string;
}

/** A phone wallet: a namespace on the bridge with its tunnel up, and LND's REST behind it, the certificate verified. Throws with what was answered. */
export type Phone = <Answer>(method: "GET" | "POST", path: string, body?: unknown) => Promise<Answer>;

export async function passOf(project: Project, peer: string): Promise<Pass> {
  const shown = await project.holdfast("wg", "show", peer, "--json");
  if (shown.exitCode !== 0) throw new Error(shown.output);
  return JSON.parse(shown.stdout) as Pass;
}

/** @param address of the phone on the bridge */
export async function phoneWith(project: Project, pass: Pass, address: string): Promise<Phone> {
  const { namespace } = await createStranger({ state: project.state, name: pass.peer, address });
  await bringUpTunnel(namespace, pass.configuration);
  const wallet = walletOf(pass.lndconnect);
  const certificateFile = join(project.folder, `${pass.peer}.pem`);
  writeFileSync(certificateFile, wallet.certificate);
  return async <Answer>(method: "GET" | "POST", path: string, body?: unknown) => {
    const { exitCode, stdout, stderr } = await runIn(namespace, [
      "curl", "--silent", "--show-error", "--fail-with-body", "--connect-timeout", "5", "--max-time", "60", "--noproxy", "*", "--cacert", certificateFile, "--config", "-",
      "--request", method, ...(body === undefined ? [] : ["--data", JSON.stringify(body)]), `${wallet.url}${path}`,
    ], { input: `header = "Grpc-Metadata-macaroon: ${wallet.macaroon}"\n`, deadline: 70_000 });
    if (exitCode !== 0) throw new Error(`${method} ${path}: curl exit ${exitCode}: ${stderr.trim()} ${stdout}`);
    return JSON.parse(stdout) as Answer;
  };
}
