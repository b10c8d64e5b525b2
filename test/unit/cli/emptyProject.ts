import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, vi } from "vitest";
import { parse } from "yaml";
import type { Creation } from "../../../cli/envCreate.js";
import { auditLog, placesOf, type Places } from "../../../cli/places.js";
import { readLog } from "../../../custody/audit/log.js";

export const nobody = () => Promise.reject(new Error("asked though nothing was to be asked"));
export const words = (infrastructure: string, wallet: string) => ({ infrastructure: () => Promise.resolve(infrastructure), wallet: () => Promise.resolve(wallet) });
export const PASSPHRASES = words("passphrase of the machine", "passphrase of the wallet");
/** What most tests create an environment with. */
export const usual: Creation = { network: "testnet4", kind: "classical", identity: "file", walletRecipient: undefined, node: "alice", passphrases: { infrastructure: nobody, wallet: nobody } };

type Recipients = Record<"environment" | "recovery" | "wallet", string>;

/** A project without a stack for each test, whose files in memory are its own. */
export function emptyProject() {
  let project: string;
  beforeEach(() => {
    project = mkdtempSync(join(tmpdir(), "holdfast-env-"));
    mkdirSync(join(project, "memory"));
    vi.stubEnv("XDG_RUNTIME_DIR", join(project, "memory"));
    writeFileSync(join(project, "Pulumi.yaml"), "name: holdfast\nruntime: nodejs\n");
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(project, { recursive: true, force: true });
  });
  const places = (name: string): Places => placesOf(project, name);
  const stackOf = (name: string) => parse(readFileSync(join(project, `Pulumi.${name}.yaml`), "utf8")) as { readonly config: Record<string, Record<string, unknown>> };
  return {
    folder: () => project,
    places,
    stackOf,
    recipientsOf: (name: string) => stackOf(name).config["holdfast:recipients"] as Recipients,
    auditOf: async (name: string): Promise<string[]> => (await readLog(auditLog(places(name)))).lines.map(({ action, outcome }) => `${action} ${outcome}`),
    /** Reads a file of the project, NAME standing for the environment. */
    fileOf: (name: string, path: string): string => readFileSync(join(project, path.replace("NAME", name)), "utf8"),
  };
}
