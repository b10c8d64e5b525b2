import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, openSync, closeSync } from "node:fs";
import { chmod, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";

export interface ChainArgs {
  /** The chain is in `<state>/chain`. */
  readonly state: string;
  /** The folder of `ensurePrograms`. */
  readonly programs: string;
  /** An address of this machine at which nodes reach it. */
  readonly address: string;
  /** For nodes; RPC has the next one, on loopback. */
  readonly port: number;
  readonly report: (line: string) => void;
}

/** The rehearsal's Bitcoin network: one regtest btcd on this machine, to which every node connects. */
export interface Chain {
  readonly folder: string;
  readonly programs: string;
  /** What `bitcoin.peers` of a node's settings names: `address:port`. */
  readonly peer: string;
  readonly rpc: { readonly port: number; readonly user: string; readonly password: string; readonly certificate: string };
}

const DEADLINE = 30_000;
/** The hash of no key: whoever mines without an address mines for nobody. */
const nobody = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202";
/** btcd's regtest refuses witness transactions, those that open channels among them, before block 432. */
const FIRST_BLOCKS = 432;
/** LND calls itself unsynced when the newest block is older than two hours. */
const FRESH = 60 * 60_000;

const files = (folder: string) => ({ pid: join(folder, "pid"), log: join(folder, "btcd.log"), settings: join(folder, "btcd.conf"), client: join(folder, "btcctl.conf"), chain: join(folder, "chain.json"), miner: join(folder, "miner") });

/** The text of btcd's configuration file. */
export function chainConfiguration({ folder, peer, rpc }: Chain, miner: string): string {
  return [
    "[Application Options]", "regtest=1", `datadir=${folder}/data`, `logdir=${folder}/logs`, "txindex=1", `listen=${peer}`,
    `rpclisten=127.0.0.1:${rpc.port}`, `rpcuser=${rpc.user}`, `rpcpass=${rpc.password}`, `rpccert=${rpc.certificate}`, `rpckey=${folder}/rpc.key`, `miningaddr=${miner}`, "",
  ].join("\n");
}

/**
 * btcd deletes its regtest chain at every start, and goes on with it when it cannot. Deleting wants to list the folder above the chain, and using it does not: that folder may not be listed,
 * and btcd runs without root's right to list it all the same.
 */
export function chainCommand(programs: string, settings: string, uid: number): string[] {
  return [...(uid === 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : []), join(programs, "btcd"), `--configfile=${settings}`];
}

async function writeWhole(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

async function textOf(path: string): Promise<string | undefined> {
  return existsSync(path) ? readFile(path, "utf8") : undefined;
}

/** The process of a chain that runs, or undefined. Its command line proves that the number is still its own. */
async function runningPid(folder: string): Promise<number | undefined> {
  const pid = Number(await textOf(files(folder).pid));
  if (!pid || !existsSync(`/proc/${pid}/cmdline`)) return undefined;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return commandLine.includes(`--configfile=${files(folder).settings}`) ? pid : undefined;
}

/** Whether a killed process may still hold its lock on the blocks: its command line goes first, its first thread may be a zombie next, and the files go with the last thread that ends. */
async function dying(pid: number): Promise<boolean> {
  const about = async (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "");
  if ((await about("cmdline")) !== "" || !(await about("stat")).includes("(btcd)")) return false;
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const states = await Promise.all(threads.map((thread) => about(`task/${thread}/stat`)));
  return states.some((state) => /\) [^ZX]/.test(state));
}

async function whileDying(folder: string): Promise<void> {
  const pid = Number(await textOf(files(folder).pid));
  for (const end = Date.now() + DEADLINE; pid > 0 && (await dying(pid)) && Date.now() < end;) await pause(20);
}

async function bitcoin(chain: Chain, ...command: string[]): Promise<string> {
  const { stdout } = await execa(join(chain.programs, "btcctl"), [`--configfile=${files(chain.folder).client}`, ...command], { timeout: DEADLINE, stdin: "ignore" });
  return stdout;
}

async function launch(chain: Chain, miner: string): Promise<void> {
  const { settings, client, log, pid, miner: minerFile } = files(chain.folder);
  await whileDying(chain.folder);
  await writeWhole(settings, chainConfiguration(chain, miner));
  await writeWhole(client, ["[Application Options]", "regtest=1", `rpcserver=127.0.0.1:${chain.rpc.port}`, `rpcuser=${chain.rpc.user}`, `rpcpass=${chain.rpc.password}`, `rpccert=${chain.rpc.certificate}`, ""].join("\n"));
  await writeWhole(minerFile, miner);
  const database = join(chain.folder, "data/regtest");
  await mkdir(database, { recursive: true });
  await chmod(database, 0o300);

  const [program, ...args] = chainCommand(chain.programs, settings, process.getuid?.() ?? 0);
  const output = openSync(log, "w", 0o600);
  const child = spawn(program!, args, { detached: true, stdio: ["ignore", output, output], cwd: "/" });
  closeSync(output);
  const failure = new Promise<string>((done) => {
    child.once("error", (error) => done(error.message));
    child.once("exit", (code) => done(`it ended with ${code}`));
  });
  child.unref();
  await writeWhole(pid, String(child.pid ?? ""));

  for (const end = Date.now() + DEADLINE; ;) {
    const ended = await Promise.race([failure, pause(150).then(() => undefined)]);
    if (ended !== undefined || Date.now() > end) {
      throw new Error(`The chain at ${chain.peer} did not start (${ended ?? "no answer in time"}): ${(await textOf(log))?.trim().split("\n").slice(-3).join(" ") ?? ""}. Its log is ${log}.`);
    }
    if (await height(chain).then(() => true, () => false)) return;
  }
}

async function halt(folder: string): Promise<void> {
  const pid = await runningPid(folder);
  if (pid === undefined) return;
  process.kill(pid, "SIGTERM");
  for (const end = Date.now() + DEADLINE; await runningPid(folder); await pause(50)) {
    if (Date.now() > end) process.kill(pid, "SIGKILL");
  }
}

/** Height of the newest block. */
export async function height(chain: Chain): Promise<number> {
  return Number(await bitcoin(chain, "getblockcount"));
}

/** Whether the chain's process runs and answers. One that was killed a moment ago still looks as if it ran; one that has just started is waited for. */
async function runs(chain: Chain): Promise<boolean> {
  for (const end = Date.now() + DEADLINE; (await runningPid(chain.folder)) !== undefined; await pause(50)) {
    if (await height(chain).then(() => true, () => false)) return true;
    if (Date.now() > end) await halt(chain.folder);
  }
  return false;
}

/**
 * Sees to it that the chain runs, survives this program (a kill -9 of btcd itself may cost the blocks of its last minutes), and has a block that is fresh enough for LND to call itself synced. One that runs at the same address is left alone.
 *
 * @throws when btcd does not answer within 30 seconds; the message has its last word
 */
export async function startChain({ state, programs, address, port, report }: ChainArgs): Promise<Chain> {
  const folder = join(resolve(state), "chain");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const peer = `${address}:${port}`;
  const before = await textOf(files(folder).chain);
  const known = before === undefined ? undefined : (JSON.parse(before) as Chain);
  const chain: Chain = { folder, programs, peer, rpc: { port: port + 1, user: "rehearsal", password: known?.rpc.password ?? randomBytes(16).toString("hex"), certificate: join(folder, "rpc.cert") } };
  if (known?.peer !== peer) await halt(folder);
  await writeWhole(files(folder).chain, JSON.stringify(chain));
  if (!(await runs(chain))) {
    report(`starting the chain at ${peer}`);
    await launch(chain, (await textOf(files(folder).miner)) ?? nobody);
  }
  const missing = FIRST_BLOCKS - (await height(chain));
  if (missing > 0) await generate(chain, missing);
  const tip = JSON.parse(await bitcoin(chain, "getblock", (await bitcoin(chain, "getbestblockhash")).trim())) as { time: number };
  if (Date.now() - tip.time * 1000 > FRESH) await generate(chain, 1);
  return chain;
}

/** The chain of a state folder whose process runs, or undefined. */
export async function runningChain(state: string): Promise<Chain | undefined> {
  const folder = join(resolve(state), "chain");
  const text = await textOf(files(folder).chain);
  return text !== undefined && (await runningPid(folder)) !== undefined ? (JSON.parse(text) as Chain) : undefined;
}

/** Raw transactions that wait for a block; those that spend others come after them. */
async function waiting(chain: Chain): Promise<string[]> {
  const pool = JSON.parse(await bitcoin(chain, "getrawmempool", "true")) as Record<string, { readonly time: number }>;
  const ids = Object.keys(pool).sort((one, other) => pool[one]!.time - pool[other]!.time);
  return Promise.all(ids.map(async (id) => (await bitcoin(chain, "getrawtransaction", id)).trim()));
}

/** Hands transactions in again. One whose parent comes later is refused and tried once more. */
async function submit(chain: Chain, transactions: readonly string[]): Promise<void> {
  const refused: string[] = [];
  for (const transaction of transactions) await bitcoin(chain, "sendrawtransaction", transaction).catch(() => refused.push(transaction));
  if (refused.length === transactions.length && refused.length > 0) throw new Error(`The chain lost ${refused.length} transactions that waited for a block: send them again.`);
  if (refused.length > 0) await submit(chain, refused);
}

/**
 * Mines blocks, whose coins go to an address, or to nobody. btcd takes a mining address at its start alone, so another one than last time restarts it: transactions that wait are
 * carried over, and nodes are back within seconds.
 *
 * @returns hashes of the new blocks
 */
export async function generate(chain: Chain, blocks: number, address: string = nobody): Promise<string[]> {
  if ((await textOf(files(chain.folder).miner)) !== address) {
    const transactions = await waiting(chain);
    await halt(chain.folder);
    await launch(chain, address);
    await submit(chain, transactions);
  }
  return JSON.parse(await bitcoin(chain, "generate", String(blocks))) as string[];
}

/** Ends the chain's process. `blocks: "delete"` removes its data too; without it the next start goes on where this one ended. */
export async function stopChain(args: { readonly state: string; readonly report: (line: string) => void; readonly blocks?: "delete" }): Promise<void> {
  const folder = join(resolve(args.state), "chain");
  if ((await runningPid(folder)) !== undefined) args.report("stopping the chain");
  await halt(folder);
  if (args.blocks === "delete") {
    const database = join(folder, "data/regtest");
    if (existsSync(database)) await chmod(database, 0o700);
    await rm(folder, { recursive: true, force: true });
  }
}
