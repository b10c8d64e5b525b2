import { activate, activationReport, commit, rollback, watchdog } from "./activation/activation.js";
import { probe } from "./activation/probe.js";
import { readReport, watchBackup } from "./backup/watch.js";
import { admit } from "./gate/admit.js";
import { systemHost } from "./gate/host.js";
import { runGate } from "./gate/gate.js";
import { gateReport } from "./gate/report.js";
import { contact } from "./secrets/contact.js";
import { receive } from "./secrets/receive.js";
import { installSecrets, placeSecrets } from "./secrets/trial.js";
import { acceptOlder } from "./secrets/versions.js";

/** What the agent can be asked: JSON on stdin, JSON on stdout, words for people on stderr. Verbs of steps first, then those of units. */
const verbs: Readonly<Record<string, (input: string) => Promise<unknown>>> = {
  contact,
  receive,
  "accept-older": acceptOlder,
  activate,
  commit,
  rollback,
  "activation-report": activationReport,
  probe,
  admit,
  "gate-report": gateReport,
  "backup-report": () => readReport(systemHost),
  "install-secrets": installSecrets,
  "place-secrets": placeSecrets,
  "activation-watchdog": watchdog,
  gate: runGate,
  "backup-watch": watchBackup,
};

async function stdin(): Promise<string> {
  if (process.stdin.isTTY) return "";
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

const verb = verbs[process.argv[2] ?? ""];
if (verb === undefined) {
  process.stderr.write(`holdfast-agent: wants one of: ${Object.keys(verbs).join(", ")}\n`);
  process.exit(64);
}
try {
  const answer = await verb(await stdin());
  if (answer !== undefined) process.stdout.write(`${JSON.stringify(answer)}\n`);
} catch (error) {
  process.stderr.write(`holdfast-agent ${process.argv[2]}: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
