import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { InvalidArgumentError, type Command } from "commander";
import qrcode from "qrcode";
import { z } from "zod";
import { accept, addPolicy, clientsOf, invite, policySchema, presets, revoke, type GivenPolicy } from "./bunker/grants.js";
import { bunkerNode, bunkerOf, bunkerStatusSchema, keyCalled, type AskBunker } from "./bunker/host.js";
import { deleteKey, endsWith, rotateKey } from "./bunker/keys.js";
import { clientsText, deedsText, keysText, policiesText } from "./bunker/shown.js";
import { typed } from "./ask.js";
import { connectionOf, specification } from "./nodes.js";
import { askPassphrase } from "./passphrase.js";
import type { Places } from "./places.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

interface CommonOptions { readonly stack: string; readonly node?: string; readonly json?: true }
interface PolicyOption { readonly policy: string }
interface PolicyAddOptions { readonly preset?: string; readonly name?: string; readonly expires?: number }
interface AuditOptions { readonly key?: string; readonly lines: number; readonly verify?: true }

const okSchema = z.tuple([z.literal("ok")]);
const npubSchema = z.object({ npub: z.string() });
const deedSchema = z.object({
  sequence: z.number(), time: z.number(), action: z.string(), who: z.string(), keyName: z.string().nullish(), kind: z.number().nullish(), outcome: z.string(), note: z.string().nullish(),
});

const UNITS: Readonly<Record<string, number>> = { m: 1 / 60, h: 1, d: 24 };

/** A time such as 30d, in hours. */
export function hoursFrom(text: string): number {
  const [, count, unit] = /^([1-9]\d{0,5})([mhd])$/.exec(text) ?? [];
  if (unit === undefined) throw new InvalidArgumentError("wants a number and m, h or d, such as 12h or 30d");
  return Math.round(Number(count) * UNITS[unit]! * 1e6) / 1e6;
}

const linesFrom = (text: string): number => {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError("wants 1 to 999");
  return Number(text);
};

/** `holdfast bunker …`: what an operator does with a node's remote signer, over SSH, at its control socket. */
export function bunkerCommands(program: Command, here: (options: CommonOptions) => Places): void {
  const bunker = program.command("bunker").description("the remote signer of Nostr keys (NIP-46) on a node");
  const on = (parent: Command, usage: string, description: string): Command => parent.command(usage).description(description)
    .option("-s, --stack <name>", "the environment", "dev").option("-n, --node <name>", "the node, when several have a bunker").option("--json", "print as JSON");
  const ofNode = (usage: string, description: string): Command => on(bunker, usage, description);
  const asked = (options: CommonOptions): { readonly ask: AskBunker; readonly show: (value: unknown, text: string) => void; readonly recipients: readonly string[] } => {
    const stack = specification(here(options));
    return {
      ask: bunkerOf(connectionOf(stack, bunkerNode(stack, options.node))),
      show: (value, text) => print(options.json ? JSON.stringify(value) : text),
      recipients: [stack.recipients.wallet, stack.recipients.recovery],
    };
  };

  ofNode("keys", "show the keys, which are unlocked, and the relays").action(async (options: CommonOptions) => {
    const { ask, show } = asked(options);
    const status = await ask(bunkerStatusSchema, "status");
    show(status, keysText(status));
  });

  ofNode("create <key>", "make a key on the node, sealed under the passphrase that unlocks at its start").action(async (key: string, options: CommonOptions) => {
    const { ask, show } = asked(options);
    const made = await ask(npubSchema, "create_new_key", [key], "hosts");
    show({ key, ...made }, `${key}: ${made.npub}\nIt is on this node alone: holdfast bunker backup FILE`);
  });

  ofNode("rotate <key>", "make a new key under the name of an old one, which is gone with its clients").option("--yes", "do not ask")
    .action(async (key: string, options: CommonOptions & { readonly yes?: true }) => {
      const { ask, show } = asked(options);
      const ends = await endsWith(ask, key);
      if (options.yes !== true && !await typed(`${ends} The old key signs nothing any more; others know you by it, and must be told the new one.`, key)) throw new Error("Nothing was rotated. Type the key's name when asked, or give --yes.");
      const npub = await rotateKey(ask, key);
      show({ key, npub }, `${key} is now ${npub}\nIt is on this node alone: holdfast bunker backup FILE`);
    });

  ofNode("delete <key>", "take a key off the node; a backup is all that is left of it").option("--yes", "do not ask")
    .action(async (key: string, options: CommonOptions & { readonly yes?: true }) => {
      const { ask, show } = asked(options);
      const ends = await endsWith(ask, key);
      if (options.yes !== true && !await typed(`${ends} Without a backup the key is lost for ever.`, key)) throw new Error("Nothing was deleted. Type the key's name when asked, or give --yes.");
      await deleteKey(ask, key);
      show({ key, deleted: true }, `${key} is gone from the node.`);
    });

  ofNode("invite <key> <client>", "make an invitation that one client can redeem, once; it is secret until then").requiredOption("--policy <name>", "what the client may do")
    .option("--expires <time>", "until when invitation and access are good, such as 12h or 30d", hoursFrom)
    .action(async (key: string, client: string, options: CommonOptions & PolicyOption & { readonly expires?: number }) => {
      const { ask, show } = asked(options);
      const invitation = await invite(ask, key, client, options.policy, options.expires);
      show(invitation, `${invitation.uri}\n${await qrcode.toString(invitation.uri, { type: process.stdout.isTTY ? "terminal" : "utf8", small: true })}`
        + `For ${client}, with policy ${invitation.policy}${invitation.expiresAt === null ? "" : `, until ${invitation.expiresAt}`}. It works once.`);
    });

  ofNode("accept <key> <uri>", "let a client in that shows a nostrconnect:// address itself; - reads the address from stdin").requiredOption("--policy <name>", "what the client may do")
    .action(async (key: string, uri: string, options: CommonOptions & PolicyOption) => {
      const { ask, show } = asked(options);
      const client = await accept(ask, key, uri === "-" ? readFileSync(0, "utf8").trim() : uri, options.policy);
      show(client, `${client.pubkey} has access to ${key} now. It was told at ${client.relays.join(", ")}.`);
    });

  ofNode("policies", "show what clients may be allowed").action(async (options: CommonOptions) => {
    const { ask, show } = asked(options);
    const policies = await ask(z.array(policySchema), "get_policies");
    show(policies, policiesText(policies));
  });

  on(bunker.command("policy").description("what clients may be allowed"), "add [file]", "add a policy, from a JSON file (name, rules: method, kind, counterparty, use_count, window_seconds) or a preset")
    .option("--preset <name>", `${Object.entries(presets).map(([name, { what }]) => `${name} (${what})`).join("; ")}`).option("--name <name>", "another name than the preset's or the file's")
    .option("--expires <time>", "until when it allows anything, such as 30d", hoursFrom)
    .action(async (file: string | undefined, options: CommonOptions & PolicyAddOptions) => {
      const { ask, show } = asked(options);
      const policy = await addPolicy(ask, givenPolicy(file, options, Date.now()));
      show(policy, policiesText([policy]));
    });

  ofNode("clients <key>", "show who has access to a key, and who is invited").action(async (key: string, options: CommonOptions) => {
    const { ask, show } = asked(options);
    const found = await clientsOf(ask, key);
    show(found, clientsText(found));
  });

  ofNode("revoke <key> <client>", "end a client's access at once, and invitations of that name; by name, number or public key").action(async (key: string, client: string, options: CommonOptions) => {
    const { ask, show } = asked(options);
    const ended = await revoke(ask, key, client);
    show(ended, `${client} has no access to ${key} any more (${ended.clients.length} clients, ${ended.invitations} invitations).`);
  });

  ofNode("unlock <key>", "unlock a key: under the host's passphrase, or another one that it was sealed under").option("--ask", "ask for the passphrase").option("--passphrase-file <path>", "holds the passphrase")
    .action(async (key: string, options: CommonOptions & { readonly ask?: true; readonly passphraseFile?: string }) => {
      const { ask, show } = asked(options);
      await keyCalled(ask, key);
      const own = options.ask === true || options.passphraseFile !== undefined;
      const words = own ? [await askPassphrase(options.passphraseFile)(`Passphrase of ${key}`)] : [];
      const { success, error } = await ask(z.object({ success: z.boolean(), error: z.string().optional() }), "unlock_key", [key, ...words], own ? "none" : "hosts");
      if (!success) throw new Error(`${error ?? `${key} stays locked.`}${own ? "" : " If it was sealed under a passphrase of its own: --ask, or --passphrase-file PATH."}`);
      show({ key, unlocked: true }, `${key} is unlocked.`);
    });

  ofNode("lock [key]", "lock a key, or all; it stays locked over restarts until `unlock`").option("--all", "the panic lock: every key at once")
    .action(async (key: string | undefined, options: CommonOptions & { readonly all?: true }) => {
      if ((key === undefined) !== (options.all === true)) throw new Error("Name one key, or say --all. Nothing was locked.");
      const { ask, show } = asked(options);
      await (key === undefined ? ask(okSchema, "lock_all") : ask(okSchema, "lock", [key]));
      show({ locked: key ?? "all" }, `${key ?? "Every key"} is locked, over restarts too. To undo it: holdfast bunker unlock ${key ?? "KEY"}`);
    });

  ofNode("audit", "show the newest lines of the bunker's audit log, or verify all of it").option("--key <name>", "of this key alone").option("--lines <count>", "how many", linesFrom, 50).option("--verify", "look whether a line was changed, put in or cut off")
    .action(async (options: CommonOptions & AuditOptions) => {
      const { ask, show } = asked(options);
      if (options.verify) {
        const { lines, fault } = await ask(z.object({ lines: z.number(), fault: z.string().optional() }), "verify_audit");
        if (fault !== undefined) process.exitCode = 1;
        return show({ lines, whole: fault === undefined, ...(fault !== undefined && { fault }) }, fault === undefined ? `${lines} lines, each follows from the one before.` : `The audit log is not whole: ${fault}`);
      }
      const deeds = await ask(z.array(deedSchema.loose()), "query_audit", [JSON.stringify({ limit: options.lines, ...(options.key !== undefined && { key: options.key }) })]);
      show(deeds, deedsText(deeds));
    });

  ofNode("backup <file>", "bring everything the bunker is into a file here, sealed for the wallet and the recovery recipient").action(async (file: string, options: CommonOptions) => {
    if (existsSync(file)) throw new Error(`${file} is there already, and a backup never replaces another. Give another name.`);
    const { ask, show, recipients } = asked(options);
    const { backup } = await ask(z.object({ backup: z.base64() }), "backup", [recipients.join(",")]);
    const bytes = Buffer.from(backup, "base64");
    writeFileSync(file, bytes, { mode: 0o600, flag: "wx" });
    show({ file, bytes: bytes.length, recipients }, `${file}: ${bytes.length} bytes`);
    note("Its keys are sealed once more, under the node's bunker-passphrase: that one is among the deposited roots.");
  });
}

/** @param now in milliseconds */
function givenPolicy(file: string | undefined, { preset, name, expires }: PolicyAddOptions, now: number): GivenPolicy {
  if ((file === undefined) === (preset === undefined)) throw new Error("Give a JSON file, or --preset with one of " + Object.keys(presets).join(", ") + ". Nothing was added.");
  const ending = expires === undefined ? {} : { expires_at: new Date(now + expires * 3_600_000).toISOString() };
  if (preset !== undefined) {
    if (!Object.hasOwn(presets, preset)) throw new Error(`There is no preset ${preset}. There are: ${Object.keys(presets).join(", ")}.`);
    return { name: name ?? preset, rules: presets[preset]!.rules, ...ending };
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file!, "utf8"));
  } catch (error) {
    throw new Error(`${file} cannot be read as JSON: ${(error as Error).message}`, { cause: error });
  }
  const given = z.looseObject({ name: z.string().optional(), rules: z.array(z.unknown()) }).safeParse(json);
  const called = name ?? given.data?.name;
  if (!given.success || called === undefined) throw new Error(`${file} holds no policy: it wants { "name": …, "rules": [{ "method": "sign_event", "kind": 1 }] }.`);
  return { ...given.data, name: called, ...ending };
}
