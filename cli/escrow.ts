import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError, type Command } from "commander";
import { projectFolder } from "../config/project.js";
import { recipientSchema } from "../config/text.js";
import { realDisk } from "../custody/escrow/disk.js";
import { readKit } from "../custody/escrow/kit.js";
import type { Trustee } from "../custody/escrow/trustees.js";
import { writeIdentity } from "../custody/identityFile.js";
import { nameSchema } from "../formats/place.js";
import { agreed } from "./ask.js";
import { contribute } from "./escrow/contribute.js";
import { createEscrow } from "./escrow/create.js";
import { drill, type Proof } from "./escrow/drill.js";
import { forgetRequest, recoverFromFiles, requestShares, whomToAsk, type GivenShares } from "./escrow/shares.js";
import { askPassphrase } from "./passphrase.js";
import { recordsFolder, type Places } from "./places.js";
import { table } from "./table.js";
import { paint } from "./updateView.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

interface StackOption { readonly stack: string }
interface PassphraseOption { readonly passphraseFile?: string }
interface CreateOptions extends StackOption, PassphraseOption {
  readonly threshold: number;
  readonly trustee: readonly Trustee[];
  readonly identity: readonly string[];
  readonly share: readonly string[];
  readonly keepIdentity?: true;
  readonly yes?: true;
}
interface ShareOptions extends StackOption, PassphraseOption { readonly share: readonly string[]; readonly identity: readonly string[] }

const given = ({ share, identity, passphraseFile }: ShareOptions): GivenShares => ({ shares: share, identities: identity.map((file) => resolve(file)), ask: askPassphrase(passphraseFile) });

/** `holdfast escrow create|request|contribute|recover|drill`. */
export function escrowCommands(program: Command, here: (options: StackOption) => Places): void {
  const escrow = program.command("escrow").description("the recovery identity, split among trustees: any k of n give it back");
  const inStack = (usage: string, description: string): Command => escrow.command(usage).description(description)
    .option("-s, --stack <name>", "the environment", "dev").option("--passphrase-file <path>", "holds the passphrase of an identity file");
  const withShares = (usage: string, description: string): Command => inStack(usage, description)
    .option("--share <file>", "a trustee's answer; once for each", listed, [])
    .option("--identity <file>", "an identity that opens shares, beside the one-time identity; may be given several times", listed, []);

  inStack("create", "split the recovery identity among trustees, write their pages, and delete the whole one; run again, it goes on")
    .requiredOption("--threshold <k>", "so many shares give it back", countFrom)
    .option("--trustee <name=recipient>", "who keeps a share, and the recipient of their own age identity; once for each", trusteeFrom, [])
    .option("--identity <file>", "the recovery identity, when it lies elsewhere; with --share, an identity that opens shares", listed, [])
    .option("--share <file>", "for a new split: a share of the one before; once for each", listed, [])
    .option("--keep-identity", "do not delete the whole identity: the escrow then protects nothing").option("--yes", "delete the whole identity without asking")
    .action(async (options: CreateOptions) => {
      const shares = options.share.length > 0 ? given(options) : undefined;
      const [identity, another] = options.identity;
      if (shares === undefined && another !== undefined) throw new Error("There is one recovery identity: give --identity once, or --share.");
      const end = await createEscrow(here(options), {
        threshold: options.threshold, trustees: options.trustee, whole: options.keepIdentity ? "stays" : "goes",
        ...(shares !== undefined ? { given: shares } : identity !== undefined && { identity: resolve(identity) }),
      }, {
        disk: realDisk, now: () => new Date(), ask: askPassphrase(options.passphraseFile), say: print,
        agree: async (question) => options.yes === true || agreed(question),
      });
      if (end === "whole" && !options.keepIdentity) process.exitCode = 1;
    });

  inStack("request", "make a one-time identity, and say what to tell the trustees").action(async (options: StackOption) => {
    const { message } = await requestShares(here(options));
    print(message);
    note(`\nKeep each answer in a file, then: holdfast escrow drill|recover -s ${options.stack} --share FILE …, or holdfast state restore. The one-time identity goes when it has served.`);
  });

  escrow.command("contribute").description("a trustee's part: seal your share for the one-time recipient of whoever recovers; needs no project")
    .requiredOption("--share <file>", "your share, as the kit has it: NAME.age").requiredOption("--identity <file>", "your age identity")
    .requiredOption("--for <recipient>", "the one-time recipient that you were sent, and checked", parsedRecipient).option("--passphrase-file <path>", "holds the passphrase of your identity file")
    .action(async (options: PassphraseOption & { readonly share: string; readonly identity: string; readonly for: string }) => {
      const done = await contribute(projectHere(), { share: options.share, identity: resolve(options.identity), recipient: options.for, ask: askPassphrase(options.passphraseFile) });
      process.stdout.write(done.sealed.endsWith("\n") ? done.sealed : `${done.sealed}\n`);
      note(`${done.trustee}'s share of ${done.environment}, sealed for the recipient that ends with  ${done.spoken}  Send it only if who asks read you these letters.`);
      if (!done.recorded) note("The project is not here: no audit log has a line of this.");
    });

  withShares("recover", "put the recovery identity together from shares, and write it to a file")
    .requiredOption("--output <file>", "where it goes, 0600; - for a pipe")
    .action(async (options: ShareOptions & { readonly output: string }) => {
      const places = here(options);
      const output = options.output === "-" ? undefined : resolve(options.output);
      if (output === undefined && process.stdout.isTTY) throw new Error("The recovery identity is not shown on a terminal. Name a file with --output, or read it through a pipe.");
      if (output !== undefined && existsSync(output)) throw new Error(`${output} is there already, and is not overwritten. Name another file.`);
      const recovered = await recoverFromFiles(places, given(options));
      if (output === undefined) process.stdout.write(`${recovered.identity}\n`);
      else await writeIdentity(output, recovered, { form: "clear" });
      forgetRequest(places);
      note(`The recovery identity of ${recovered.environment}, from the shares of ${recovered.trustees.join(", ")}${output === undefined ? "" : `: ${output}`}.`);
      note(`Whoever reads it opens everything of ${recovered.environment} but the wallet. Use it, then delete it${output === undefined ? "" : `: rm ${output}`}.`);
    });

  withShares("drill", "prove that shares recover the environment, and reveal nothing; without --share, say whom to ask")
    .option("--json", "print as JSON")
    .action(async (options: ShareOptions & { readonly json?: true }) => {
      const places = here(options);
      if (options.share.length === 0) return whomToAsk(places, readKit(recordsFolder(places))).forEach(print);
      const { trustees, proofs, proven } = await drill(places, given(options));
      if (!proven) process.exitCode = 1;
      if (options.json) return print(JSON.stringify({ environment: places.environment, proven, trustees, proofs }));
      print(table([["WHAT", "OUTCOME", "DETAIL"], ...proofs.map(({ what, outcome, detail }) => [what, outcome, paint(COLOURS[outcome], detail)])]));
      print(`${proven ? paint("green", "Proven") : paint("red", "Not proven")} with the shares of ${trustees.join(", ")}. Nothing was revealed${proven ? ", and the one-time identity is gone" : ""}.`);
    });
}

const COLOURS: Readonly<Record<Proof["outcome"], "green" | "red" | "yellow">> = { opened: "green", failed: "red", nothing: "yellow" };

const listed = (file: string, before: readonly string[]): string[] => [...before, file];

function countFrom(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError("wants a number of shares.");
  return Number(text);
}

/** @see https://age-encryption.org/v1; names become file names */
export function trusteeFrom(text: string, before: readonly Trustee[]): Trustee[] {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("wants NAME=RECIPIENT, such as anna=age1….");
  const name = nameSchema.safeParse(text.slice(0, at));
  if (!name.success) throw new InvalidArgumentError(`the name: ${name.error.issues[0]!.message}.`);
  return [...before, { name: name.data, recipient: parsedRecipient(text.slice(at + 1)) }];
}

function parsedRecipient(text: string): string {
  const result = recipientSchema.safeParse(text);
  if (!result.success) throw new InvalidArgumentError(`${result.error.issues[0]!.message}.`);
  return result.data;
}

/** A trustee's machine need not have the project. */
function projectHere(): string | undefined {
  try {
    return projectFolder(process.cwd());
  } catch {
    return undefined;
  }
}
