import { spawn } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { recorded } from "../custody/audit/log.js";
import { formOf, openerOf, type AskPassphrase } from "../custody/identityFile.js";
import { openIdentities } from "../custody/wallet/open.js";
import { sessionLeader } from "../custody/wallet/leader.js";
import { askWallet, WalletGone } from "../custody/wallet/socket.js";
import { fileIdentitySchema, identityFileSchema } from "../formats/identity.js";
import { printFormat } from "../formats/versioned.js";
import { keptSchema, type Kept, type NodeIdentities } from "../formats/walletSocket.js";
import { auditLog, memoryFile, type Places } from "./places.js";
import { stackKeys } from "./prepare.js";
import { nodeFiles, readIdentityFile } from "./wallet.js";

/** In milliseconds. */
const START_WITHIN = 20_000;
/** A line in the audit log comes first. */
const END_WITHIN = 35_000;

/** @see unix(7): sun_path, with the zero at its end; other systems than Linux have four bytes less */
const LONGEST_SOCKET = 103;

export interface Unlocking {
  /** The wallet's identity file, in any form. */
  readonly identityFile: string;
  readonly ask: AskPassphrase;
  /** For how long, in milliseconds. */
  readonly duration: number;
}

/**
 * Opens every identity file that the stack names, here, and hands what was inside to a process of its own, which answers at a socket.
 *
 * @throws when one of them does not open; then nothing is kept
 */
export async function unlockWallet(places: Places, { identityFile, ask, duration }: Unlocking): Promise<Kept> {
  const { network, nodes } = nodeFiles(places.environment, stackKeys(places));
  if (network === "mainnet" && formOf(identityFile) === "clear") {
    throw new Error(`${identityFile} holds mainnet's wallet identity in clear on this machine's disk. Put it behind a passphrase (age --passphrase --armor --output wallet.age ${identityFile}), remove the clear file, and unlock with --identity wallet.age.`);
  }
  const audit = auditLog(places);
  const until = new Date(Date.now() + duration).toISOString();
  const subject = nodes.map(({ id }) => id).join(", ").slice(0, 300);
  return recorded(audit, { action: "wallet-unlocked", subject, note: `until ${until}` }, async () => {
    const files = nodes.map(({ identity, identities }) => ({
      seed: identityFileSchema.parse(readIdentityFile(places, identity)), others: identities.map((path) => fileIdentitySchema.parse(readIdentityFile(places, path))),
    }));
    const open = await openerOf(identityFile, ask);
    const opened: NodeIdentities[] = [];
    for (const { seed, others } of files) opened.push(await openIdentities(seed, others, open));
    const leader = sessionLeader();
    const kept: Kept = {
      format: "holdfast-kept-wallet/1", environment: places.environment, network, until, nodes: opened, socket: socketPath(places), audit: { ...audit }, ...(leader && { leader }),
    };
    await startKeeper(join(places.project, "dist", "wallet-keeper.js"), kept);
    return kept;
  });
}

const SUFFIX = ".wallet";

function socketPath(places: Places): string {
  const path = memoryFile(places, `${process.pid}${SUFFIX}`);
  if (Buffer.byteLength(path) > LONGEST_SOCKET) throw new Error(`${path} is too long for a socket's path (${LONGEST_SOCKET} bytes). Set XDG_RUNTIME_DIR to a shorter folder of your own, mode 0700.`);
  rmSync(path, { force: true });
  return path;
}

/**
 * Starts the process that keeps a wallet, in a session of its own and without this one's environment, and waits until it listens.
 *
 * @param program its bundle
 */
export async function startKeeper(program: string, kept: Kept): Promise<void> {
  // Without core dumps: what it keeps is in its memory alone.
  const keeper = spawn("/bin/sh", ["-c", 'ulimit -c 0 && exec "$0" "$@"', process.execPath, program], { cwd: "/", env: {}, detached: true, stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  keeper.stderr.on("data", (data) => { said += String(data); });
  // It may end before it has read everything: its exit tells.
  keeper.stdin.on("error", () => undefined);
  keeper.stdin.end(printFormat(keptSchema, kept));
  try {
    await new Promise<void>((done, failed) => {
      const timer = setTimeout(() => failed(new Error(`it did not begin within ${START_WITHIN / 1000} s`)), START_WITHIN);
      keeper.stdout.on("data", (data) => { if (String(data).includes("ready")) { clearTimeout(timer); done(); } });
      keeper.once("error", failed);
      keeper.once("close", (code) => { clearTimeout(timer); failed(new Error(`it ended with ${code ?? "a signal"}: ${said.trim().split("\n").slice(-8).join("\n") || "it said nothing"}`)); });
    });
  } catch (error) {
    keeper.kill();
    throw new Error(`The process that is to keep the wallet does not run (${program}): ${(error as Error).message}`);
  } finally {
    for (const pipe of [keeper.stdout, keeper.stderr]) pipe.destroy();
    keeper.unref();
  }
}

/**
 * Ends every unlocked wallet of the environment, in whatever shell it was unlocked.
 *
 * @returns how many there were
 */
export async function lockWallets(places: Places): Promise<number> {
  const example = memoryFile(places, SUFFIX.slice(1));
  const begin = basename(example, SUFFIX);
  const sockets = readdirSync(dirname(example)).filter((name) => name.startsWith(`${begin}.`) && name.endsWith(SUFFIX)).map((name) => join(dirname(example), name));
  const locked = await Promise.all(sockets.map(lock));
  return locked.filter((one) => one === "locked").length;
}

async function lock(socket: string): Promise<"locked" | "gone"> {
  try {
    await askWallet(socket, { format: "holdfast-wallet/1", ask: "lock" });
  } catch (error) {
    if (!(error instanceof WalletGone)) throw error;
    rmSync(socket, { force: true });
    return "gone";
  }
  for (const end = Date.now() + END_WITHIN; existsSync(socket); await pause(20)) {
    if (Date.now() > end) throw new Error(`The wallet at ${socket} was told to lock, and is still there after ${END_WITHIN / 1000} s. Find its process (lsof ${socket}) and end it.`);
  }
  return "locked";
}
