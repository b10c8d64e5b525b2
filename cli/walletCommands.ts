import { Option, type Command } from "commander";
import { resolve } from "node:path";
import { recipientsSchema } from "../config/schema.js";
import { filesOf } from "../config/project.js";
import { resolveFiles } from "../config/specify.js";
import { recorded } from "../custody/audit/log.js";
import { identityKinds, type IdentityKind } from "../formats/identity.js";
import { nameSchema } from "../formats/place.js";
import { typed } from "./ask.js";
import { askPassphrase } from "./passphrase.js";
import { auditLog, identityPath, type Places } from "./places.js";
import { stackKeys } from "./prepare.js";
import { openStack } from "./session.js";
import { createIdentity, nodeCalled, nodeFiles, type NewIdentity } from "./wallet.js";
import { unprotectIdentity } from "./walletForget.js";
import { lockWallets, unlockWallet } from "./walletUnlock.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

interface StackOption { readonly stack: string }
interface ChoiceOptions extends StackOption { readonly kind: IdentityKind; readonly name?: string }
interface UnlockOptions extends StackOption { readonly identity?: string; readonly passphraseFile?: string; readonly for: number }

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
const LONGEST = 24 * 3_600_000;

/** A time such as 30m, in milliseconds. */
export function durationFrom(text: string): number {
  const [, count, unit] = /^([1-9]\d{0,5})([smh])$/.exec(text) ?? [];
  const duration = Number(count) * (UNITS[unit ?? ""] ?? NaN);
  if (!(duration <= LONGEST)) throw new Error(`--for ${JSON.stringify(text)} is no time of up to 24 h; wants a number and s, m or h, such as 30m.`);
  return duration;
}

/** Which identity the options mean: several of a kind have names, an LND seed has none. */
function chosen({ kind, name }: ChoiceOptions): NewIdentity {
  if (kind === "lnd-seed") {
    if (name !== undefined) throw new Error("--name tells identities of other kinds apart; a node has one LND seed.");
    return { kind };
  }
  const result = nameSchema.safeParse(name ?? "main");
  if (!result.success) throw new Error(`--name ${name}: ${result.error.issues[0]!.message}.`);
  return { kind, name: result.data };
}

function walletRecipient(places: Places): string {
  const recipients = recipientsSchema.safeParse(resolveFiles(stackKeys(places), filesOf(places.project), [])["recipients"]);
  if (!recipients.success) throw new Error(`holdfast:recipients of ${places.environment} names no wallet recipient yet. Put a real one there first.`);
  return recipients.data.wallet;
}

/** The wallet's identity file: as given, as the stack file names it, or in the environment's folder. */
function identityFileOf(places: Places, given: string | undefined): string {
  const named: unknown = Object(stackKeys(places)["wallet"]).identityFile;
  return given !== undefined ? resolve(given) : typeof named === "string" ? resolve(places.project, named) : identityPath(places, "wallet");
}

/** `holdfast wallet create|unlock|lock|forget`: node identities. */
export function walletCommands(program: Command, here: (options: StackOption) => Places): void {
  const wallet = program.command("wallet").description("node identities: seeds and keys that make a node what it is");
  const inStack = (usage: string, description: string): Command => wallet.command(usage).description(description).option("-s, --stack <name>", "the environment", "dev");
  const chosenBy = (command: Command): Command => command
    .addOption(new Option("--kind <kind>", "which kind of identity").choices(identityKinds).default("lnd-seed")).option("--name <name>", "tells several of a kind apart (default: main)");

  chosenBy(inStack("create <node>", "make an identity of a node, sealed for the wallet recipient; works offline"))
    .action(async (node: string, options: ChoiceOptions) => {
      const places = here(options);
      const { network, nodes } = nodeFiles(places.environment, stackKeys(places));
      (await createIdentity(places, nodeCalled(nodes, node), { network, recipient: walletRecipient(places) }, chosen(options))).forEach(print);
    });

  inStack("unlock", 'let updates of this shell bring nodes their identities: eval "$(holdfast wallet unlock)"')
    .option("--identity <file>", "the wallet's age identity: in a file, behind a passphrase, or an age plugin's")
    .option("--passphrase-file <file>", "holds its passphrase, for scripts")
    .addOption(new Option("--for <time>", "how long, such as 30m").argParser(durationFrom).default(durationFrom("1h"), "1h"))
    .action(async (options: UnlockOptions) => {
      const places = here(options);
      const { socket, until, nodes, leader } = await unlockWallet(places, {
        identityFile: identityFileOf(places, options.identity), ask: askPassphrase(options.passphraseFile), duration: options.for,
      });
      print(`export HOLDFAST_WALLET_SOCK='${socket.replaceAll("'", "'\\''")}'`);
      for (const { seed, files } of nodes) note(`${seed.node}: node ${seed.nodePublicKey}${files.map(({ kind, name }) => `, ${kind} ${name}`).join("")}`);
      note(`Unlocked until ${until}${leader ? ", or until this shell ends" : ""}. Earlier: holdfast wallet lock -s ${places.environment}`);
      if (process.stdout.isTTY) note('This shell does not know of it: run  eval "$(holdfast wallet unlock)"  instead.');
    });

  inStack("lock", "forget what `wallet unlock` holds, in every shell of this environment").action(async (options: StackOption) => {
    const count = await lockWallets(here(options));
    print("unset HOLDFAST_WALLET_SOCK");
    note(count === 0 ? `No wallet of ${options.stack} was unlocked.` : `Locked ${count === 1 ? "the wallet" : `${count} wallets`} of ${options.stack}.`);
  });

  chosenBy(inStack("forget <node>", "let the next update give up an identity that the configuration does not name any more"))
    .action(async (called: string, options: ChoiceOptions) => {
      const places = here(options);
      const choice = chosen(options);
      const id = nodeFiles(places.environment, stackKeys(places)).nodes.find(({ name }) => name === called)?.id ?? called;
      const what = choice.kind === "lnd-seed" ? `the LND seed of ${id}` : `${choice.kind} ${choice.name} of ${id}`;
      const word = await typed(`The stack will not protect ${what} any more. When the configuration does not name it, the next update removes it; coins and channels are lost with a seed of which no other copy exists.`, id);
      if (!word) throw new Error(`Nothing was changed. Type the node's id (${id}) when asked, on a terminal.`);
      const stack = await openStack(places, note);
      await recorded(auditLog(places), { action: "identity-forgotten", subject: `${id} ${choice.kind}${choice.kind === "lnd-seed" ? "" : ` ${choice.name}`}` }, () => unprotectIdentity(stack, id, choice));
      note(`Not protected any more: ${what}. Remove it from the stack file, and run holdfast up -s ${places.environment}. While the stack file names it, an update protects it again.`);
    });
}
