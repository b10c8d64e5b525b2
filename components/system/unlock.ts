import { setTimeout as pause } from "node:timers/promises";
import type { Connection } from "../../formats/step.js";
import { RemoteFailure, runOnHost } from "../host/ssh.js";
import { UNLOCK_PORT, unlockCommand } from "./installationCommands.js";

export interface WaitingHost {
  /** Of the host once it runs. */
  readonly connection: Connection;
  /** By which it is known while it waits: the initrd's own host key, as in a `.pub` file. */
  readonly unlockKey: string;
  readonly diskKey: string;
}

/** How the host answers while it waits for its disk's key (nix/disks/unlock.nix). */
export const waitingConnection = ({ connection, unlockKey }: Pick<WaitingHost, "connection" | "unlockKey">): Connection => ({ ...connection, user: "root", port: UNLOCK_PORT, hostKey: unlockKey });

/** Milliseconds for one answer. */
const ANSWER = 20_000;

/**
 * Opens the encrypted root of a host that waits for its key at its start, and waits until it runs. The key goes over stdin, to nobody but who has the pinned key.
 *
 * @param deadline in milliseconds, for all of it
 * @param rhythm in milliseconds, between two looks
 * @returns `running`: it waited for nothing, and was given nothing
 * @throws when somebody else answers, when it lets nobody in, and at the deadline
 */
export async function unlockHost(host: WaitingHost, deadline = 300_000, rhythm = 3000): Promise<"unlocked" | "running"> {
  const waiting = waitingConnection(host);
  let given = 0;
  let last = "";
  for (const end = Date.now() + deadline; Date.now() < end; await pause(rhythm)) {
    const running = await attempt(host.connection, "true");
    if (running === undefined) return given > 0 ? "unlocked" : "running";
    const failed = await attempt(waiting, unlockCommand, `${host.diskKey}\n`);
    if (failed === undefined) given += 1;
    else {
      requireRetry(waiting, failed);
      last = `port ${host.connection.port}: ${running.stderr.trim() || running.message}; port ${UNLOCK_PORT}: ${failed.stderr.trim() || failed.message}`;
    }
  }
  const late = `within ${Math.round(deadline / 1000)} seconds`;
  throw new Error(given > 0
    ? `${waiting.address} took the disk's key, and did not come up ${late}. Is it the key that this disk was formatted with? Its console shows what it says.`
    : `${waiting.address} did not wait for its disk's key ${late}, and does not run (${last}). Is it switched on, and does its network reach the initrd?`);
}

async function attempt(to: Connection, command: string, input = ""): Promise<RemoteFailure | undefined> {
  try {
    await runOnHost(to, command, { input, deadline: ANSWER, channel: "fresh" });
    return undefined;
  } catch (error) {
    if (error instanceof RemoteFailure) return error;
    throw error;
  }
}

/** @throws when no later attempt could end otherwise */
function requireRetry({ address, hostKey }: Connection, failed: RemoteFailure): void {
  if (failed.stderr.includes("Host key verification failed")) {
    throw new Error(`Who answers at ${address} port ${UNLOCK_PORT} does not have the key of the waiting host (${hostKey}). The disk's key was not given. If the host was installed anew by other means, look at its console and name its key with --host-key; otherwise somebody stands between.`);
  }
  if (failed.stderr.includes("Permission denied")) {
    throw new Error(`The waiting host at ${address} lets nobody of ours in: ${failed.stderr.trim()}. Its initrd knows the access keys of its last activation; use one of those as holdfast:access.identityFile or in ssh-agent.`);
  }
  if (!failed.connectionLost) throw new Error(`The waiting host did not take its disk's key: ${failed.message}`);
}
