import { spawn } from "node:child_process";
import { scrypt } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { sealKey } from "../../bunker/keyring/nip49.js";
import { openStore } from "../../bunker/store/open.js";
import { table } from "../../cli/table.js";
import { makeRelay } from "../interop/nostr/relays.js";
import { newKey, newSecret } from "../nostr/operator.js";
import { build, everything, makeHome, startProgram, type Home, type Running } from "../unit/bunker/program.js";
import { askForSignatures, computeHere, connect, newAsker, openLine, percentile, type Measured } from "./requests.js";

/** Requests in each part; askers among whom they are spread, as each may ask 50 times a second. */
const [REQUESTS, ASKERS, ROUNDS] = [400, 32, 3];
const UNLOCKED = 20;
/** Keys whose memory is measured, and scrypt's cost for those: a thousand at the usual 2^16 would take minutes to make. */
const [AMOUNTS, SMALL_LOG_N, LOG_N] = [[1, 100, 1000], 8, 16];
/** The loop's last line. */
const LOOP = /unlocked \d+\/\d+ keys in (\d+)ms/;
const passphrase = "of the measured bunker";
const { values: options } = parseArgs({ options: { json: { type: "boolean", default: false } } });
const note = (line: string): void => void process.stderr.write(`${line}\n`);

/** What is to be ended and removed, if it comes to that. */
const leftOver = new Set<() => void>();
const interrupted = (signal: NodeJS.Signals): never => {
  note(`${signal}: removing what was made`);
  for (const end of leftOver) end();
  process.exit(1);
};
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, interrupted);

// Node says that node:sqlite is new.
process.removeAllListeners("warning");
const load = loadavg()[0]!;
note(`load before: ${load.toFixed(1)} on ${availableParallelism()} processors`);
await build();
const signatures = await signing();
const unlocking = await unlock();
const memory = [];
for (const amount of AMOUNTS) memory.push(await memoryOf(amount));

if (options.json) process.stdout.write(`${JSON.stringify({ date: new Date().toISOString(), processors: availableParallelism(), load, node: process.version, requests: REQUESTS, signatures, unlocking, memory })}\n`);
else {
  const [bare] = signatures;
  process.stdout.write(`${table([
    ["SIGNING AN EVENT", "P50 MS", "RATIO", "P99 MS", "RATIO", "PER SECOND", "RATIO"],
    ...signatures.map(({ what, p50, p99, perSecond }) => [what, p50.toFixed(1), ratio(p50, bare!.p50), p99.toFixed(1), ratio(p99, bare!.p99), perSecond.toFixed(0), ratio(perSecond, bare!.perSecond)]),
  ])}\n\n${table([
    ["UNLOCKING", "SECONDS", "RATIO"],
    [`the bare scrypt, ${UNLOCKED} times`, unlocking.bare.toFixed(2), "1.00"],
    [`the unlock loop, ${UNLOCKED} keys`, unlocking.loop.toFixed(2), ratio(unlocking.loop, unlocking.bare)],
  ])}\n\n${table([
    ["MEMORY", "MIB RESIDENT", "MIB AT MOST", "READY AFTER SECONDS"],
    ...memory.map(({ keys, resident, most, ready }) => [`${keys} key${keys === 1 ? "" : "s"}`, resident.toFixed(0), most.toFixed(0), ready.toFixed(1)]),
  ])}\n`);
}
// Another bench of the same run has its own way of tidying up.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupted);

function ratio(one: number, other: number): string {
  return (one / other).toFixed(2);
}

async function inHome<T>(relays: readonly string[], work: (home: Home) => Promise<T>): Promise<T> {
  const home = makeHome(relays, passphrase);
  leftOver.add(home.remove);
  try {
    return await work(home);
  } finally {
    leftOver.delete(home.remove);
    home.remove();
  }
}

async function running<T>(home: Home, line: RegExp, work: (one: Running) => Promise<T>): Promise<T> {
  const one = startProgram(home);
  const end = (): void => void one.child.kill("SIGKILL");
  leftOver.add(end);
  try {
    await one.says(line, 120_000);
    return await work(one);
  } finally {
    await one.stop();
    leftOver.delete(end);
  }
}

async function withRelay<T>(work: (url: string) => Promise<T>): Promise<T> {
  const relay = await makeRelay("khatru");
  const end = (): void => void relay.kill();
  await relay.start();
  leftOver.add(end);
  try {
    return await work(relay.url);
  } finally {
    await relay.kill();
    leftOver.delete(end);
  }
}

/** In the order of the table: computed here, NDK's backend, the bunker. All in turn in each round, so that others' work on this machine is in all of them; medians over the rounds. */
function signing(): Promise<readonly (Measured & { readonly what: string })[]> {
  return withRelay(async (url) => {
    const theirs = generateSecretKey();
    const backend = spawn(process.execPath, [join(dirname(fileURLToPath(import.meta.url)), "ndkBackend.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
    const end = (): void => void backend.kill("SIGKILL");
    leftOver.add(end);
    try {
      backend.stdin.end(JSON.stringify({ url, secretKey: Buffer.from(theirs).toString("hex") }));
      await once(backend.stdout, "data");
      return await inHome([url], (home) => running(home, /ready:/, (one) => compare(url, one, theirs)));
    } finally {
      end();
      leftOver.delete(end);
    }
  });
}

async function compare(url: string, one: Running, theirs: Uint8Array): Promise<readonly (Measured & { readonly what: string })[]> {
  await one.call("create_new_policy", [everything]);
  const [key, theirKey] = [await newKey(one, "main", passphrase), getPublicKey(theirs)];
  const [line, theirLine] = [await openLine(url, key), await openLine(url, theirKey)];
  const askers = Array.from({ length: ASKERS }, () => newAsker(key));
  const theirAskers = Array.from({ length: ASKERS }, () => newAsker(theirKey));
  for (const [index, asker] of askers.entries()) {
    const secret = await newSecret(one, "main", `asker ${index}`);
    // Strangers may knock ten times a second, all of them together.
    await wait(110);
    await connect(line, key, asker, secret);
  }

  const rounds: Record<"here" | "ndk" | "bunker", Measured[]> = { here: [], ndk: [], bunker: [] };
  computeHere(theirs, 100);
  for (let round = 0; round < ROUNDS; round++) {
    rounds.here.push(computeHere(theirs, REQUESTS));
    rounds.ndk.push(await askForSignatures(theirLine, theirKey, theirAskers, REQUESTS));
    rounds.bunker.push(await askForSignatures(line, key, askers, REQUESTS));
    note(`  round ${round + 1}: p50 here ${rounds.here[round]!.p50.toFixed(1)}, NDK ${rounds.ndk[round]!.p50.toFixed(1)}, bunker ${rounds.bunker[round]!.p50.toFixed(1)} ms`);
  }
  line.close();
  theirLine.close();
  return [
    { what: "the same crypto, called in-process", ...median(rounds.here) },
    { what: "NDK's NDKNip46Backend, through khatru", ...median(rounds.ndk) },
    { what: "the bunker, through khatru", ...median(rounds.bunker) },
  ];
}

function median(rounds: readonly Measured[]): Measured {
  const of = (key: keyof Measured): number => percentile(rounds.map((round) => round[key]).sort((one, other) => one - other), 0.5);
  return { p50: of("p50"), p99: of("p99"), perSecond: of("perSecond") };
}

async function fill(home: Home, amount: number, logN: number): Promise<void> {
  const store = openStore(join(home.data, "bunker.db"), Date.now);
  const keys: { readonly text: string; readonly publicKey: string }[] = [];
  for (let count = 0; count < amount; count++) {
    const secretKey = generateSecretKey();
    keys.push({ text: await sealKey(secretKey, passphrase, logN), publicKey: getPublicKey(secretKey) });
  }
  store.atomically(() => keys.forEach(({ text, publicKey }, index) => store.keys.add(`key${index}`, { at: "ncryptsec", text }, publicKey)));
  store.close();
}

/** Seconds for the same number of keys: scrypt alone, and the loop as its log line says. No relay is there, and none is waited for. */
async function unlock(): Promise<{ readonly bare: number; readonly loop: number }> {
  const stretch = promisify<string, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt);
  return inHome(["ws://127.0.0.1:9"], async (home) => {
    await fill(home, UNLOCKED, LOG_N);
    const [bare, loop]: number[][] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      const began = performance.now();
      for (let count = 0; count < UNLOCKED; count++) await stretch(passphrase, new Uint8Array(16), 32, { N: 2 ** LOG_N, r: 8, p: 1, maxmem: 2 ** (LOG_N + 11) });
      bare!.push((performance.now() - began) / 1000);
      loop!.push(await running(home, LOOP, async (one) => Number(LOOP.exec(one.output())![1]) / 1000));
      note(`  round ${round + 1}: ${UNLOCKED} times scrypt ${bare!.at(-1)!.toFixed(1)} s, the loop ${loop!.at(-1)!.toFixed(1)} s`);
    }
    const middle = (all: readonly number[]): number => percentile([...all].sort((one, other) => one - other), 0.5);
    return { bare: middle(bare!), loop: middle(loop!) };
  });
}

/** Of a bunker at rest, ten seconds after it was ready. */
function memoryOf(keys: number): Promise<{ readonly keys: number; readonly resident: number; readonly most: number; readonly ready: number }> {
  return withRelay((url) => inHome([url], async (home) => {
    await fill(home, keys, SMALL_LOG_N);
    const began = performance.now();
    return running(home, /ready:/, async (one) => {
      const ready = (performance.now() - began) / 1000;
      await wait(10_000);
      const status = readFileSync(`/proc/${one.child.pid}/status`, "utf8");
      const mebibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]) / 1024;
      note(`  ${keys} keys: ${mebibytes("VmRSS").toFixed(0)} MiB`);
      return { keys, resident: mebibytes("VmRSS"), most: mebibytes("VmHWM"), ready };
    });
  }));
}
