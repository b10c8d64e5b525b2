import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ensureGoPrograms, ensurePythonPackages, here } from "./built.js";

/** Clients of four libraries that have nothing in common but the protocol; NDK's and nostr-tools' share their cryptography. */
export const clientNames = ["nostr-tools", "NDK", "go-nostr", "nostr-sdk"] as const;
export type ClientName = (typeof clientNames)[number];

export interface Asked {
  readonly uri?: string;
  /** Of the client itself, in hex. */
  readonly secretKey?: string;
  readonly event?: unknown;
  readonly scheme?: "nip04" | "nip44";
  /** Public key of the counterparty. */
  readonly with?: string;
  readonly text?: string;
  /** How long the library may wait; 20 s unless given. */
  readonly deadlineMs?: number;
}

/** `offer` makes a `nostrconnect://` at the relay that is asked for as `uri`, and `offered` waits until it was taken up. */
export type Verb = "connect" | "offer" | "offered" | "get_public_key" | "sign" | "encrypt" | "decrypt" | "ping" | "logout";

/** A library said no, in its words, which hold those of the bunker. */
export class ClientRefused extends Error {}

/** A program that is a client, with one session. */
export interface ClientProgram {
  readonly name: ClientName;
  /** @throws ClientRefused */
  ask(verb: Verb, asked?: Asked): Promise<unknown>;
  stop(): Promise<void>;
}

const LONGEST_MS = 20_000;

/** What starts a client: its argv, and what its environment needs. */
async function commandOf(name: ClientName): Promise<{ readonly argv: readonly [string, ...string[]]; readonly environment?: Readonly<Record<string, string>> }> {
  // v0.52.3 hands on "connected" before anybody waits for it when its goroutine is quick, and then says that it reached no relay. On one thread it never is.
  if (name === "go-nostr") return { argv: [join(await ensureGoPrograms(), "nip46-client")], environment: { GOMAXPROCS: "1" } };
  if (name === "nostr-sdk") return { argv: ["python3", join(here, "python", "client.py")], environment: { PYTHONPATH: await ensurePythonPackages() } };
  return { argv: [process.execPath, join(here, "clients", name === "NDK" ? "ndk.mjs" : "nostr-tools.mjs")] };
}

/** Builds or installs it where it is not in the cache yet. */
export async function startClient(name: ClientName): Promise<ClientProgram> {
  const { argv: [program, ...args], environment } = await commandOf(name);
  const child: ChildProcess = spawn(program, args, { env: { ...process.env, ...environment }, stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr!.on("data", (chunk) => { said = `${said}${String(chunk)}`.slice(-2000); });
  const ended = once(child, "close");
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  let last: Promise<unknown> = Promise.resolve();

  const next = async (verb: Verb, asked: Asked): Promise<unknown> => {
    const deadlineMs = asked.deadlineMs ?? LONGEST_MS;
    child.stdin!.write(`${JSON.stringify({ verb, ...asked, deadlineMs })}\n`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new Error(`${name}: no line for ${verb} within ${deadlineMs + 10_000} ms: ${said}`)), deadlineMs + 10_000); });
    const { value, done } = await Promise.race([lines.next(), late]).finally(() => clearTimeout(timer));
    if (done === true) throw new Error(`${name} ended at ${verb}: ${said}`);
    const answer = JSON.parse(value!) as { readonly result?: unknown; readonly error?: string };
    if (answer.error !== undefined) throw new ClientRefused(`${name}: ${answer.error}`);
    return answer.result;
  };
  return {
    name,
    ask: (verb, asked = {}) => {
      const answer = last.then(() => next(verb, asked));
      last = answer.catch(() => undefined);
      return answer;
    },
    stop: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
