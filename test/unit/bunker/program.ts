/** The bunker as a program of its own, a relay, and who talks to it: for tests of the whole. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import * as nip04 from "nostr-tools/nip04";
import * as nip19 from "nostr-tools/nip19";
import * as nip44 from "nostr-tools/nip44";
import { BunkerSigner } from "nostr-tools/nip46";
import { finalizeEvent, generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { Relay, useWebSocketImplementation } from "nostr-tools/relay";
import WebSocket from "ws";
import { call } from "../../../bunker/control/client.js";

// Node's own calls itself without end when a connection that nostr-tools closes in its error handler is refused.
useWebSocketImplementation(WebSocket);

const project = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

export const program = join(project, "dist", "bunker.mjs");

/** Bundles the program as it is now. */
export async function build(): Promise<void> {
  const { bundle } = await import(join(project, "build.mjs")) as { bundle: (...names: string[]) => Promise<void> };
  await bundle("bunker");
}

/** Where one bunker lives. */
export interface Home {
  readonly folder: string;
  readonly data: string;
  readonly run: string;
  readonly identity: { readonly secretKey: Uint8Array; readonly publicKey: string };
  readonly admin: { readonly secretKey: Uint8Array; readonly publicKey: string };
  readonly passphraseFile: string;
  remove(): void;
}

const keyPair = (): Home["identity"] => {
  const secretKey = generateSecretKey();
  return { secretKey, publicKey: getPublicKey(secretKey) };
};

export function makeHome(relays: readonly string[], passphrase: string): Home {
  const folder = mkdtempSync(join(tmpdir(), "bunker-home-"));
  const home = { folder, data: join(folder, "data"), run: join(folder, "run"), identity: keyPair(), admin: keyPair(), passphraseFile: join(folder, "passphrase"), remove: () => rmSync(folder, { recursive: true }) };
  mkdirSync(home.data, { mode: 0o700 });
  writeFileSync(join(folder, "nsecbunker.json"), JSON.stringify({ nostr: { relays }, admin: { npubs: [nip19.npubEncode(home.admin.publicKey)] }, keys: {} }));
  writeFileSync(join(folder, "admin-key"), `${nip19.nsecEncode(home.identity.secretKey)}\n`, { mode: 0o600 });
  writeFileSync(home.passphraseFile, `${passphrase}\n`, { mode: 0o600 });
  return home;
}

export interface Running {
  readonly child: ChildProcess;
  /** All that it wrote so far. */
  readonly output: () => string;
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  /** As the operator. */
  call(method: string, params?: readonly unknown[]): Promise<unknown>;
  /** Resolves when a line that fits was written. */
  says(pattern: RegExp, deadlineMs?: number): Promise<void>;
  stop(): Promise<number | string>;
}

export function places(home: Home): string[] {
  return ["--config", join(home.folder, "nsecbunker.json"), "--data", home.data, "--run", home.run];
}

export const environmentOf = (home: Home, more: Readonly<Record<string, string>> = {}): Record<string, string> => ({ PATH: process.env["PATH"] ?? "", NSECBUNKER_ADMIN_KEY_FILE: join(home.folder, "admin-key"), ...more });

/** Starts it with autounlock by file, unless `environment` says otherwise. */
export function startProgram(home: Home, environment: Readonly<Record<string, string>> = { NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: home.passphraseFile }): Running {
  const child = spawn(process.execPath, [program, "start", ...places(home)], { env: environmentOf(home, environment), stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => { text += String(chunk); });
  const ended = new Promise<number | string>((resolve) => child.once("close", (code, signal) => resolve(signal ?? code ?? -1)));
  return {
    child, ended,
    output: () => text,
    call: (method, params = []) => call(home.run, method, params, 20_000),
    says: async (pattern, deadlineMs = 15_000) => {
      const end = performance.now() + deadlineMs;
      while (!pattern.test(text)) {
        if (performance.now() > end || child.exitCode !== null) throw new Error(`The bunker did not say ${pattern} (exit ${child.exitCode}). It said:\n${text}`);
        await wait(10);
      }
    },
    stop: async () => {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

/** Asks by the admin RPC, at a relay. @returns what came: the reply as it is, or undefined after the deadline */
export async function askAdmin(url: string, home: Pick<Home, "identity" | "admin">, method: string, params: readonly unknown[] = [], { envelope = "nip44" as "nip04" | "nip44", kind = 24_134, deadlineMs = 10_000 } = {}): Promise<{ readonly id: string; readonly result: string; readonly error?: string } | undefined> {
  const { secretKey, publicKey } = home.admin;
  const to = home.identity.publicKey;
  const conversation = nip44.getConversationKey(secretKey, to);
  const relay = await Relay.connect(url);
  try {
    const id = Math.random().toString(36).slice(2);
    const text = JSON.stringify({ id, method, params });
    const request = finalizeEvent({ kind, created_at: Math.floor(Date.now() / 1000), tags: [["p", to]], content: envelope === "nip04" ? nip04.encrypt(secretKey, to, text) : nip44.encrypt(text, conversation) }, secretKey);
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(undefined), deadlineMs);
      relay.subscribe([{ kinds: [kind], authors: [to], "#p": [publicKey] }], {
        onevent: (event) => {
          const reply = JSON.parse(envelope === "nip04" ? nip04.decrypt(secretKey, to, event.content) : nip44.decrypt(event.content, conversation)) as { id: string; result: string };
          if (reply.id !== id) return;
          clearTimeout(timer);
          resolve(reply);
        },
        oneose: () => relay.publish(request).catch(reject),
      });
    });
  } finally {
    relay.close();
  }
}

/** A client of nostr-tools' that redeems the newest invitation of a key. */
export async function connectClient(url: string, running: Pick<Running, "call">, keyName: string, secretKey: Uint8Array = generateSecretKey()): Promise<BunkerSigner> {
  const tokens = await running.call("get_key_tokens", [keyName]) as { readonly token: string; readonly redeemed_at: string | null }[];
  const [npub = "", secret = ""] = tokens.filter(({ redeemed_at }) => redeemed_at === null).at(-1)!.token.split("#");
  const signer = BunkerSigner.fromBunker(secretKey, { pubkey: nip19.decode(npub).data as string, relays: [url], secret }, {});
  await signer.connect();
  return signer;
}

/** Everything a client may do. */
export const everything = JSON.stringify({ name: "all", expires_at: null, rules: ["connect", "get_public_key", "sign_event", "nip04_encrypt", "nip04_decrypt", "nip44_encrypt", "nip44_decrypt", "ping", "switch_relays", "logout"].map((method) => ({ method })) });
