import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { gateReportSchema, type GateReport } from "../../../formats/gate.js";
import { admissionSchema, identityFileSchema, seedSchema, type IdentityFile } from "../../../formats/identity.js";
import { placeSchema, type Place } from "../../../formats/place.js";
import { connectionSchema } from "../../../formats/step.js";
import { parseFormat, printFormat } from "../../../formats/versioned.js";
import { askAgent } from "../../host/agent.js";
import { runOnHost } from "../../host/ssh.js";
import { identityIn, openText, sealText } from "../../../custody/seal.js";
import { runStep, tell } from "../../stepProgram.js";

const input = z.strictObject({
  connection: connectionSchema,
  place: placeSchema,
  identity: identityFileSchema,
  recipient: z.string(),
  walletIdentityFile: z.string().optional(),
  toplevel: z.string(),
});

/** How long a restore may take before this step stops waiting. The gate itself goes on. */
const PATIENCE = 45 * 60_000;

const GATE = "holdfast-gate.service";

/** Waits until the gate has opened the node, and brings it the seed, sealed for this host alone, when it asks. */
await runStep(input, async ({ connection, place, identity, recipient, walletIdentityFile }) => {
  const end = Date.now() + PATIENCE;
  const ask = (verb: string, question: unknown): Promise<GateReport> => askAgent(connection, verb, question, gateReportSchema, { deadline: 60_000 });
  let told = "";
  let since: string | undefined;
  let stopped: string | undefined;
  for (let admitted = false; ; await pause(300)) {
    const report = await ask("gate-report", { ...(since !== undefined && { since }) });
    if (since === undefined && report.state === "stop") {
      tell("the gate had stopped; asking it to look again");
      await runOnHost(connection, `systemctl restart --no-block ${GATE}`, { deadline: 60_000 });
      stopped = report.changed;
    }
    since = report.changed;
    // Its word from before it was asked is not its answer.
    if (report.changed === stopped && Date.now() < end) continue;
    const line = `gate: ${report.state}: ${report.phase}`;
    if (line !== told) tell(told = line);
    if (report.state === "open") return report;
    if (report.state === "stop") throw new Error(`The gate of ${place.node} refuses to open: ${report.reason ?? "it gives no reason."} ${report.remedy ?? ""}`);
    if (report.state === "waiting-for-identity" && !admitted) {
      await ask("admit", { sealed: await admission(identity, place, recipient, walletIdentityFile) });
      admitted = true;
    }
    if (Date.now() > end) throw new Error(`The gate of ${place.node} is still busy (${report.phase}). It goes on by itself; run this again to wait for it.`);
  }
});

/** Opens the seed with the wallet identity and seals it again for the host: in clear it exists in this process's memory alone. */
async function admission(identity: IdentityFile, place: Place, recipient: string, walletIdentityFile: string | undefined): Promise<string> {
  if (walletIdentityFile === undefined) {
    throw new Error(`${place.node} needs its seed, and nothing here opens it: ${place.environment} has no wallet identity at hand. Run \`holdfast wallet unlock\` in this shell, then this again.`);
  }
  const walletIdentity = identityIn(await readFile(walletIdentityFile, "utf8"), walletIdentityFile);
  const seed = parseFormat(seedSchema, "the sealed seed", await openText(identity.sealed, walletIdentity).catch(() => {
    throw new Error(`${walletIdentityFile} does not open the identity of ${place.node}. It is sealed for ${identity.recipient}.`);
  }));
  if (seed.environment !== place.environment || seed.network !== place.network || seed.node !== place.node) {
    throw new Error(`The sealed seed is that of ${seed.environment}/${seed.node} on ${seed.network}, not of ${place.environment}/${place.node} on ${place.network}. Put the right identity file back.`);
  }
  return sealText(printFormat(admissionSchema, {
    format: "holdfast-admission/1", place, mnemonic: seed.mnemonic, nodePublicKey: seed.nodePublicKey, files: [], sealedAt: new Date().toISOString(),
  }), recipient);
}
