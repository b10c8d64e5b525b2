import { Command, Option } from "commander";
import type { Over } from "./backup/restore.js";
import { backupTo, callOn, importFrom, restoreFrom } from "./commands.js";
import { createLog, logStyle } from "./log.js";
import { run } from "./run.js";
import type { Places } from "./settings.js";

const VERSION = "0.1.0";
/** The first with node:sqlite without a flag. */
const NEEDS = [22, 13] as const;

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < NEEDS[0] || (major === NEEDS[0] && minor < NEEDS[1])) fail(`wants Node ${NEEDS.join(".")} or newer (node:sqlite), and this is ${process.versions.node}.`);

// Node says at each start that node:sqlite is new.
process.removeAllListeners("warning");

const program = new Command("holdfast-bunker").description("A NIP-46 remote signer whose encrypted keys unlock at boot. Variables: see docs/AUTOUNLOCK.md.").version(VERSION);

const config = new Option("--config <file>", "nsecbunkerd's nsecbunker.json").default("/etc/bunker/nsecbunker.json");
const data = new Option("--data <folder>", "keeps the database and placed identities").default("/var/lib/bunker");
const runFolder = new Option("--run <folder>", "holds the control socket").default("/run/bunker");
const recipients = new Option("--recipient <age1…>", "who can open it; may be given several times").argParser((value: string, before: readonly string[] = []) => [...before, value]).makeOptionMandatory();

program.command("start").description("run until SIGTERM").addOption(config).addOption(data).addOption(runFolder)
  .action((places: Places) => run(places, process.env));

program.command("call").description("ask a running bunker, as the operator; parameters come as a JSON list on stdin").argument("<method>").addOption(runFolder)
  .option("--passphrase-file <file>", "holds the passphrase: its text, less a trailing newline, becomes the second parameter")
  .action((method: string, options: Pick<Places, "run"> & { readonly passphraseFile?: string }) => print(async () => callOn(options, method, await stdin(), options.passphraseFile)));

program.command("backup").description("write keys, clients and audit to a file, sealed for age recipients").argument("<file>").addOption(recipients).addOption(data).addOption(runFolder)
  .action((file: string, options: Pick<Places, "data" | "run"> & { readonly recipient: readonly string[] }) => print(() => backupTo(options, options.recipient, file)));

program.command("restore").description("put a backup in place of a bunker that does not run").argument("<file>").requiredOption("--identity <file>", "an age identity that opens it")
  .addOption(new Option("--over <what>", "what may be replaced: nothing that holds anything, an older store, or any").choices(["nothing", "older", "any"]).default("nothing")).addOption(data)
  .action((file: string, options: Pick<Places, "data"> & { readonly identity: string; readonly over: Over }) => print(() => restoreFrom(options, file, options.identity, options.over)));

program.command("import").description("take over what nsecbunkerd had, into a bunker that does not run").requiredOption("--config <file>", "its nsecbunker.json").option("--database <file>", "its database").addOption(data)
  .action((options: Pick<Places, "data"> & { readonly config: string; readonly database?: string }) => print(() => importFrom(options, options, process.env, createLog(logStyle(process.env["JOURNAL_STREAM"]), (line) => process.stderr.write(line), Date.now))));

program.command("version").description("print the version").action(() => print(async () => VERSION));

await program.parseAsync();

async function print(work: () => Promise<unknown>): Promise<void> {
  try {
    const result = await work();
    process.stdout.write(`${typeof result === "string" ? result : JSON.stringify(result, undefined, 2)}\n`);
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
}

async function stdin(): Promise<string> {
  if (process.stdin.isTTY) return "";
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

function fail(message: string): never {
  process.stderr.write(`holdfast-bunker: ${message}\n`);
  process.exit(1);
}
