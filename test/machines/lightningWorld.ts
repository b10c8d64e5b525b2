import { spawn, execFile, type ChildProcess } from "node:child_process";
import { openSync } from "node:fs";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { ripemd160 } from "@noble/hashes/legacy.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bech32 } from "@scure/base";
import { HDKey } from "@scure/bip32";
import { CipherSeed } from "aezeed";
import { cacheFolder } from "../../cli/places.js";
import { ensureDaemons } from "../../rehearsal/system/daemons/daemons.js";

const execute = promisify(execFile);
/** lnd, btcd, restic's server: built once, as for a machine. */
export const bin = (await ensureDaemons({ cache: cacheFolder(), report: () => undefined })).folder;
export const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A port on loopback that nobody used a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Looks every 250 ms until there is an answer; the last error is told when time is up. */
export async function eventually<T>(what: string, within: number, look: () => Promise<T | undefined | false>): Promise<T> {
  const end = Date.now() + within;
  let last: unknown = "it never was";
  do {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    await sleep(250);
  } while (Date.now() < end);
  throw new Error(`not within ${within} ms: ${what}: ${last instanceof Error ? last.message : String(last)}`);
}

/** A process that a test started; ends by its own id alone. */
export interface Running {
  readonly process: ChildProcess;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export function start(argv: readonly [string, ...string[]], log: string): Running {
  const out = openSync(log, "a");
  const child = spawn(argv[0], argv.slice(1), { stdio: ["ignore", out, out] });
  process.once("exit", () => child.kill("SIGKILL"));
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  return {
    process: child,
    stop: async (signal = "SIGTERM") => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      const killer = setTimeout(() => child.kill("SIGKILL"), 60_000);
      await ended;
      clearTimeout(killer);
    },
  };
}

/** A seed as the operator makes it, with what it gives on regtest. */
export function newSeed(entropy: Buffer, salt: Buffer) {
  const mnemonic = new CipherSeed(entropy, salt).toMnemonic().split(" ");
  const root = HDKey.fromMasterSeed(entropy);
  // lnd's spending accounts have coin type 0 on every network.
  const first = root.derive("m/84'/0'/0'/0/0").publicKey!;
  return {
    mnemonic,
    nodePublicKey: Buffer.from(root.derive("m/1017'/1'/6'/0/0").publicKey!).toString("hex"),
    firstAddress: bech32.encode("bcrt", [0, ...bech32.toWords(ripemd160(sha256(first)))]),
  };
}

export async function tlsPair(folder: string, certificate: string, key: string): Promise<void> {
  await execute("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/O=lnd/CN=localhost",
    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", `${folder}/${certificate}`, "-keyout", `${folder}/${key}`]);
}

/** btcd on regtest without peers, mining for one address. */
export async function startChain(folder: string, miningAddress: string) {
  await mkdir(folder, { recursive: true });
  const rpcPort = await freePort();
  await writeFile(`${folder}/btcd.conf`, [
    "[Application Options]", "regtest=1", "nolisten=1", "txindex=1", `datadir=${folder}/data`, `logdir=${folder}/logs`, `rpclisten=127.0.0.1:${rpcPort}`,
    "rpcuser=rehearsal", "rpcpass=rehearsal", `rpccert=${folder}/rpc.cert`, `rpckey=${folder}/rpc.key`, `miningaddr=${miningAddress}`, "",
  ].join("\n"), { mode: 0o600 });
  await writeFile(`${folder}/btcctl.conf`, ["[Application Options]", "rpcuser=rehearsal", "rpcpass=rehearsal", `rpcserver=127.0.0.1:${rpcPort}`, `rpccert=${folder}/rpc.cert`, "regtest=1", ""].join("\n"), { mode: 0o600 });
  const running = start([`${bin}/btcd`, `--configfile=${folder}/btcd.conf`], `${folder}/log`);
  const btcctl = async (...words: string[]) => (await execute(`${bin}/btcctl`, [`--configfile=${folder}/btcctl.conf`, ...words])).stdout.trim();
  await eventually("btcd to answer", 30_000, async () => (await btcctl("getblockcount")) !== "");
  return {
    ...running,
    rpcPort, certificate: `${folder}/rpc.cert`,
    mine: async (blocks: number) => void (await btcctl("generate", String(blocks))),
    height: async () => Number(await btcctl("getblockcount")),
  };
}
export type Chain = Awaited<ReturnType<typeof startChain>>;

export interface LndConfiguration {
  readonly folder: string;
  readonly chain: Chain;
  readonly restPort: number;
  readonly rpcPort: number;
  readonly p2pPort: number;
  readonly certificate: string;
  readonly key: string;
  /** Unlocks by itself with this file; without it, it does not listen for peers either. */
  readonly passwordFile?: string;
  readonly name: string;
}

export async function startLnd(at: LndConfiguration): Promise<Running> {
  await mkdir(at.folder, { recursive: true });
  // With a folder that is not its default, lnd takes the pair from there, whatever tlscertpath says.
  await copyFile(at.certificate, `${at.folder}/tls.cert`);
  await copyFile(at.key, `${at.folder}/tls.key`);
  const file = `${at.folder}/${at.passwordFile === undefined ? "unopened" : "lnd"}.conf`;
  await writeFile(file, [
    "[Application Options]", `alias=${at.name}`, `restlisten=127.0.0.1:${at.restPort}`, `rpclisten=127.0.0.1:${at.rpcPort}`,
    "nobootstrap=1", "debuglevel=info", "trickledelay=50", "minbackoff=1s", "maxbackoff=3s", "no-backup-archive=1",
    at.passwordFile === undefined ? "nolisten=1" : `listen=127.0.0.1:${at.p2pPort}`,
    ...(at.passwordFile === undefined ? [] : [`wallet-unlock-password-file=${at.passwordFile}`]),
    "[Bitcoin]", "bitcoin.regtest=1", "bitcoin.node=btcd", "bitcoin.defaultchanconfs=1",
    "[Btcd]", `btcd.rpchost=127.0.0.1:${at.chain.rpcPort}`, "btcd.rpcuser=rehearsal", "btcd.rpcpass=rehearsal", `btcd.rpccert=${at.chain.certificate}`, "",
  ].join("\n"), { mode: 0o600 });
  return start([`${bin}/lnd`, `--lnddir=${at.folder}`, `--configfile=${file}`], `${at.folder}/log`);
}

/** lnd's REST interface as a person at a shell would use it. */
export function restOf(port: number, certificateFile: string, macaroonFile: string) {
  return async <Answer = unknown>(method: "GET" | "POST", path: string, body?: unknown): Promise<Answer> => {
    const ca = await readFile(certificateFile, "utf8");
    const macaroon = await readFile(macaroonFile).catch(() => undefined);
    return new Promise((resolve, reject) => {
      const sent = request({ host: "127.0.0.1", port, method, path, ca, agent: false, timeout: 60_000, headers: macaroon && { "Grpc-Metadata-macaroon": macaroon.toString("hex") } }, (response) => {
        let text = "";
        response.on("data", (part) => (text += String(part)));
        response.on("end", () => (response.statusCode === 200 ? resolve(JSON.parse(text) as Answer) : reject(new Error(`${method} ${path}: ${response.statusCode}: ${text}`))));
      });
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  };
}
export type Rest = ReturnType<typeof restOf>;
