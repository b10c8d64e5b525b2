import { rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError, type Command } from "commander";
import qrcode from "qrcode";
import { recipientSchema } from "../config/text.js";
import { agreed } from "./ask.js";
import { lockPassphrase, unlockPassphrase } from "./keys.js";
import { secretOutputs } from "./nodes.js";
import { askNewPassphrase, askPassphrase } from "./passphrase.js";
import { memoryFile, type Places } from "./places.js";
import { abandonAge, rotateAge } from "./rotate/age.js";
import { hosts } from "./rotate/hosts.js";
import { underway } from "./rotate/journal.js";
import type { Means } from "./rotate/means.js";
import { rotateSecrets } from "./rotate/secret.js";
import { abandonSsh, rotateSsh } from "./rotate/ssh.js";
import { vaultOf } from "./rotate/vault.js";
import { abandonPeer, rotatePeer } from "./rotate/wireguard.js";
import { openStack } from "./session.js";
import { roles, type Role } from "./stackFile.js";
import { update } from "./update.js";
import { paint } from "./updateView.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

interface CommonOptions {
  readonly stack: string;
  readonly yes?: true;
  readonly passphraseFile?: string;
  readonly identity?: string;
}
interface NodeOption { readonly node?: string }
interface AbandonOption { readonly abandon?: true }
interface WithinOption { readonly within: number; readonly output?: string }
interface SshOptions extends CommonOptions, AbandonOption { readonly publicKey?: string; readonly identityFile?: string; readonly replaces?: string }
interface AgeOptions extends CommonOptions, AbandonOption {
  readonly oldIdentity?: string;
  readonly newIdentity?: string;
  readonly recipient?: string;
  readonly oldPassphraseFile?: string;
  readonly newPassphraseFile?: string;
}

/** `holdfast rotate secret|wireguard|ssh|age`, and without either what is under way. */
export function rotateCommands(program: Command, here: (options: { readonly stack: string }) => Places): void {
  const rotate = program.command("rotate").description("replace keys; the old ones work until the new ones are proven; run again what was cut short")
    .option("-s, --stack <name>", "the environment", "dev")
    .action((options: { readonly stack: string }) => showUnderway(here(options)));
  const command = (usage: string, description: string): Command => rotate.command(usage).description(description).option("-s, --stack <name>", "the environment")
    .option("--yes", "do not ask").option("--identity <file>", "the environment's identity, when it is not in its usual place")
    .option("--passphrase-file <path>", "holds the passphrase of the environment's identity");
  // The parent takes an option that both have.
  const placesFor = (options: { readonly stack?: string }): Places => here({ stack: options.stack ?? rotate.opts<{ stack: string }>().stack });

  command("secret [name]", "replace one service secret of a node, or all that can be").option("--all", "every secret that can be rotated, in one update")
    .option("-n, --node <name>", "the node, when several have it")
    .action(async (name: string | undefined, options: CommonOptions & NodeOption & { readonly all?: true }) => {
      if ((name === undefined) === (options.all === undefined)) throw new Error("Name one secret, or give --all.");
      const means = await meansFor(placesFor(options), options);
      await rotateSecrets(means, { ...(name !== undefined && { id: name }), ...(options.node !== undefined && { node: options.node }) });
    });

  command("wireguard <peer>", "replace a peer's keys; its old ones work until the new ones have made a handshake").option("-n, --node <name>", "the node, when several have the peer")
    .option("--within <time>", "how long to wait for the handshake", parsedTime, 600_000).option("--output <file>", "write the new configuration there (0600), and show nothing")
    .option("--abandon", "take keys that have made no handshake away again")
    .action(async (peer: string, options: CommonOptions & NodeOption & AbandonOption & WithinOption) => {
      const places = placesFor(options);
      const means = await meansFor(places, options);
      const node = options.node === undefined ? {} : { node: options.node };
      if (options.abandon) return abandonPeer(means, { peer, ...node });
      await rotatePeer({ ...means, show, configurations: async () => (await secretOutputs(await openStack(places, note))).peers }, {
        peer, ...node, within: options.within, ...(options.output !== undefined && { output: options.output }),
      });
    });

  command("ssh", "replace the key with which the hosts are reached").option("--public-key <file>", "a new key that was made elsewhere, hardware-backed for one")
    .option("--identity-file <file>", "what OpenSSH logs in with for it").option("--replaces <file>", "the public key that goes, when the stack does not tell")
    .option("--abandon", "take a new key that is not in use yet away again")
    .action(async (options: SshOptions) => {
      const means = await meansFor(placesFor(options), options);
      if (options.abandon) return abandonSsh(means);
      if ((options.publicKey === undefined) !== (options.identityFile === undefined)) throw new Error("--public-key and --identity-file go together: the half that the hosts get, and what OpenSSH logs in with.");
      await rotateSsh(means, {
        ...(options.publicKey !== undefined && options.identityFile !== undefined && { given: { publicKeyFile: options.publicKey, identityFile: options.identityFile } }),
        ...(options.replaces !== undefined && { replaces: options.replaces }),
      });
    });

  command("age <role>", `replace an age identity (${roles.join(", ")}), and seal anew what it opens`)
    .option("--recipient <age1…>", "of a new identity that stays elsewhere", parsedRecipient).option("--new-identity <file>", "a new identity that was made elsewhere")
    .option("--old-identity <file>", "the wallet identity that goes, when it is not in its usual place")
    .option("--old-passphrase-file <path>", "holds its passphrase").option("--new-passphrase-file <path>", "holds the passphrase of the new identity")
    .option("--abandon", "forget a new identity that nothing depends on yet")
    .action(async (named: string, options: AgeOptions) => {
      const role = roles.find((one) => one === named);
      if (role === undefined) throw new Error(`There is no identity ${named}. There are: ${roles.join(", ")}.`);
      const places = placesFor(options);
      const means = await meansFor(places, options, role === "environment" ? "locked" : "unlocked");
      if (options.abandon) return abandonAge(means, role);
      await rotateAge({ ...means, vault: vaultOf(places), usePassphrase: (passphrase) => usePassphrase(places, passphrase) }, ageRequest(role, options));
      if (role !== "environment") return;
      lockPassphrase(places);
      print(`Shells that were unlocked have the old passphrase: eval "$(holdfast env unlock ${places.environment})"`);
    });
}

const ageRequest = (role: Role, { identity, oldIdentity, newIdentity, recipient }: AgeOptions) => ({
  role, ...(identity !== undefined && { identity }), ...(oldIdentity !== undefined && { oldIdentity }), ...(newIdentity !== undefined && { newIdentity: resolve(newIdentity) }), ...(recipient !== undefined && { recipient }),
});

/** @param how `locked`: the rotation opens the environment's passphrase itself */
async function meansFor(places: Places, options: AgeOptions | CommonOptions, how: "locked" | "unlocked" = "unlocked"): Promise<Means> {
  const ask = askPassphrase(options.passphraseFile);
  if (how === "unlocked") {
    const file = await unlockPassphrase(places, "command", { ask, ...(options.identity !== undefined && { identityFile: options.identity }) });
    if (file !== undefined) useFile(file);
  }
  const { oldPassphraseFile, newPassphraseFile } = options as AgeOptions;
  return {
    places, say: print, now: () => new Date(), hosts, ask,
    askOld: askPassphrase(oldPassphraseFile), askNew: askNewPassphrase(newPassphraseFile), askFresh: askPassphrase(newPassphraseFile),
    agree: async (preview) => {
      print(preview);
      return options.yes === true || agreed("Go on?");
    },
    update: async () => void await update(places, print),
  };
}

function usePassphrase(places: Places, passphrase: string): void {
  const file = memoryFile(places, `rotation.${process.pid}.passphrase`);
  rmSync(file, { force: true });
  writeFileSync(file, passphrase, { mode: 0o600, flag: "wx" });
  process.once("exit", () => rmSync(file, { force: true }));
  useFile(file);
}

function useFile(file: string): void {
  process.env["PULUMI_CONFIG_PASSPHRASE_FILE"] = file;
  delete process.env["PULUMI_CONFIG_PASSPHRASE"];
}

async function show(configuration: string): Promise<void> {
  print(configuration);
  print(await qrcode.toString(configuration, { type: process.stdout.isTTY ? "terminal" : "utf8", small: true }));
}

function showUnderway(places: Places): void {
  const all = underway(places.state);
  if (all.length === 0) return print(`No rotation is under way in ${places.environment}. \`holdfast rotate --help\` says what can be rotated; \`holdfast status\` shows how old each key is.`);
  for (const { subject, began, phase, command } of all) print(`${paint("bold", subject)}: since ${began}, at "${phase}". It goes on with: ${command}`);
}

function parsedTime(text: string): number {
  const [, count, unit] = /^(\d+)(s|m|h)$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError("wants a time such as 90s, 10m or 2h");
  return Number(count) * { s: 1000, m: 60_000, h: 3_600_000 }[unit as "s" | "m" | "h"];
}

function parsedRecipient(text: string): string {
  const result = recipientSchema.safeParse(text);
  if (!result.success) throw new InvalidArgumentError(result.error.issues[0]!.message);
  return result.data;
}
