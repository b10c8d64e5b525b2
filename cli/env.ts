import { InvalidArgumentError, type Command } from "commander";
import { projectFolder } from "../config/project.js";
import { recipientSchema } from "../config/text.js";
import { record } from "../custody/audit/log.js";
import { sealedPassphrase } from "../custody/passphrase.js";
import { networks, type Network } from "../formats/place.js";
import { existsSync } from "node:fs";
import { createEnvironment } from "./envCreate.js";
import { checkEnvironments } from "./envCheck.js";
import { lockPassphrase } from "./keys.js";
import { askNewPassphrase, askPassphrase } from "./passphrase.js";
import { auditLog, recordsFolder, type Places } from "./places.js";
import { pulumiEnvironment } from "./session.js";
import { table } from "./table.js";
import { paint } from "./updateView.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

interface CreateOptions {
  readonly network?: Network;
  readonly postQuantum?: true;
  readonly identity: "file" | "passphrase" | { readonly recipient: string };
  readonly walletRecipient?: string;
  readonly node: string;
  readonly passphraseFile?: string;
  readonly walletPassphraseFile?: string;
}

/** `holdfast env create|unlock|lock|check`. */
export function envCommands(program: Command, here: (options: { readonly stack: string }) => Places): void {
  const env = program.command("env").description("environments: their keys, and what no two of them may share");

  env.command("create <name>").description("make an environment's identities, its sealed passphrase and its stack file; completes what is there, overwrites nothing")
    .option("--network <network>", `one of ${networks.join(", ")}`, parsedNetwork)
    .option("--post-quantum", "hybrid recipients (ML-KEM-768 with X25519) for all of its keys")
    .option("--identity <how>", "how its own identity is kept: file, passphrase, or the recipient of an age plugin (age1yubikey1…)", parsedIdentity, "file")
    .option("--wallet-recipient <recipient>", "the recipient of a wallet identity that was made elsewhere", parsedRecipient)
    .option("--node <name>", "the first node, in a new stack file", "alice")
    .option("--passphrase-file <path>", "holds the new passphrase of the environment and recovery identities")
    .option("--wallet-passphrase-file <path>", "holds the new passphrase of the wallet identity")
    .action(async (name: string, options: CreateOptions) => {
      const { made, warnings } = await createEnvironment(here({ stack: name }), {
        network: options.network, kind: options.postQuantum ? "hybrid" : "classical", identity: options.identity, walletRecipient: options.walletRecipient, node: options.node,
        passphrases: { infrastructure: askNewPassphrase(options.passphraseFile), wallet: askNewPassphrase(options.walletPassphraseFile) },
      });
      made.forEach(print);
      if (made.length === 0) print(`Environment ${name} is complete already.`);
      for (const warning of warnings) note(`${paint("yellow", "note:")} ${warning}`);
    });

  env.command("unlock [name]").description('make plain `pulumi` usable in this shell: eval "$(holdfast env unlock NAME)"')
    .option("--identity <path>", "the environment's identity file").option("--passphrase-file <path>", "holds the identity's passphrase")
    .action(async (name: string | undefined, options: { readonly identity?: string; readonly passphraseFile?: string }) => {
      const places = here({ stack: name ?? "dev" });
      requireSealed(places);
      const environment = await pulumiEnvironment(places, note, "shell", { ask: askPassphrase(options.passphraseFile), ...(options.identity !== undefined && { identityFile: options.identity }) });
      for (const [key, value] of Object.entries(environment)) print(`export ${key}='${value.replaceAll("'", "'\\''")}'`);
      print("unset PULUMI_CONFIG_PASSPHRASE");
    });

  env.command("lock [name]").description('forget an unlocked passphrase: eval "$(holdfast env lock NAME)"').action(async (name = "dev") => {
    const places = here({ stack: name as string });
    lockPassphrase(places);
    await record(auditLog(places), { action: "environment-locked", subject: places.environment, outcome: "done" });
    print("unset PULUMI_CONFIG_PASSPHRASE_FILE");
  });

  env.command("check").description("prove that no two environments share a recipient, passphrase, SSH host key, WireGuard key or address range; unlocks nothing")
    .option("--json", "print as JSON").action((options: { readonly json?: true }) => {
      const states = checkEnvironments(projectFolder(process.cwd()));
      if (states.some(({ findings }) => findings.length > 0)) process.exitCode = 1;
      if (options.json) return print(JSON.stringify(states));
      print(table([["ENVIRONMENT", "NETWORK", "KIND", "PASSPHRASE", "ENVIRONMENT KEY", "RECOVERY KEY", "WALLET KEY", "FINDINGS"], ...states.map((one) => [
        one.environment, one.network, one.kind, one.passphrase, one.identities.environment, one.identities.recovery, one.identities.wallet,
        one.findings.length === 0 ? paint("green", "none") : paint("red", String(one.findings.length)),
      ])]));
      for (const { environment, findings, notes } of states) {
        for (const { path, found, wanted } of findings) print(`${paint("red", "✗")} ${environment}: ${path}: found ${found}; ${wanted}.`);
        for (const one of notes) print(`  ${environment}: ${one}`);
      }
    });
}

function requireSealed(places: Places): void {
  const sealed = sealedPassphrase(recordsFolder(places));
  if (existsSync(sealed)) return;
  throw new Error(`Environment ${places.environment} has no ${sealed}. \`holdfast env create ${places.environment}\` makes it; a rehearsal's is made by \`holdfast up\`.`);
}

function parsedNetwork(text: string): Network {
  const found = networks.find((one) => one === text);
  if (found === undefined) throw new InvalidArgumentError(`wants one of ${networks.join(", ")}.`);
  return found;
}

function parsedRecipient(text: string): string {
  const result = recipientSchema.safeParse(text);
  if (!result.success) throw new InvalidArgumentError(`${result.error.issues[0]!.message}.`);
  return result.data;
}

const parsedIdentity = (text: string): CreateOptions["identity"] => (text === "file" || text === "passphrase" ? text : { recipient: parsedRecipient(text) });
