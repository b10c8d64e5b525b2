import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { Connection } from "../../formats/step.js";

/** `update`: one connection that all steps of an update share. `fresh`: a connection of its own, for what must be proven from outside. */
export type Channel = "update" | "fresh";

/** A remote command that ran and failed, or never ran. Its input is never part of the message. */
export class RemoteFailure extends Error {
  constructor(
    readonly command: string,
    /** 255 and undefined: the connection failed, and what became of the command is unknown. */
    readonly exitCode: number | undefined,
    readonly stderr: string,
  ) {
    const end = exitCode === undefined ? "no answer in time" : exitCode === 255 ? "the connection failed" : `exit ${exitCode}`;
    super(`"${command}" on the host: ${end}: ${stderr.trim() || "it said nothing"}`);
  }

  get connectionLost(): boolean {
    return this.exitCode === undefined || this.exitCode === 255;
  }
}

const keyDigest = (to: Connection, digits: number): string => createHash("sha256").update(keyOf(to)).digest("hex").slice(0, digits);

/** The name under which a host's key is pinned: whatever its address, port or jump host. */
const alias = (to: Connection): string => `holdfast-${keyDigest(to, 16)}`;

/** The shared connection's socket, by pinned key too: a connection that another key has proven is none of this host's. */
const socket = (to: Connection, folder: string): string => join(folder, `${keyDigest(to, 8)}-%C`);

/** Type and key, without a comment. */
const keyOf = (to: Connection): string => to.hostKey.split(" ").slice(0, 2).join(" ");

/** What proves the host, whatever the user's own configuration says. @see ssh_config(5) */
const proof = (to: Connection, folder: string): string[] => [
  "-o", "StrictHostKeyChecking=yes",
  "-o", `UserKnownHostsFile=${join(folder, alias(to))}`,
  "-o", "GlobalKnownHostsFile=/dev/null",
  "-o", `HostKeyAlias=${alias(to)}`,
  "-o", "UpdateHostKeys=no",
  "-o", "ConnectTimeout=10",
  "-o", "ServerAliveInterval=5",
  "-o", "ServerAliveCountMax=3",
];

const destination = (to: Connection): string[] => [
  ...(to.identityFile === undefined ? [] : ["-o", "IdentitiesOnly=yes", "-i", to.identityFile]),
  "-p", String(to.port),
  `${to.user}@${to.address}`,
];

/**
 * OpenSSH's arguments for one command. The user's own configuration stays in force (jump hosts, agents, hardware keys), except for what proves the host.
 *
 * @param folder holds the pinned key and the shared connection's socket
 */
export function sshArguments(to: Connection, folder: string, channel: Channel, command: string): string[] {
  return [
    "-o", "BatchMode=yes",
    ...proof(to, folder),
    ...(channel === "update"
      ? ["-o", "ControlMaster=auto", "-o", `ControlPath=${socket(to, folder)}`, "-o", "ControlPersist=20"]
      : ["-o", "ControlMaster=no", "-o", "ControlPath=none"]),
    ...destination(to),
    "--", command,
  ];
}

/** OpenSSH's arguments for a shell of the operator's own, over a connection of its own. */
export const shellArguments = (to: Connection): string[] => ["-o", "ControlPath=none", ...proof(to, pinned(to)), ...destination(to)];

/** The line that pins a host's key. sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. */
export const knownHostsLine = (to: Connection): string => `${alias(to)} ${keyOf(to)}\n`;

/** A folder that is ours alone, short enough for a socket's path. */
function ownFolder(): string {
  const folder = join(tmpdir(), `holdfast-ssh-${userInfo().uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** Writes the host's pinned key where `sshArguments` points. */
function pinned(to: Connection): string {
  const folder = ownFolder();
  writeFileSync(join(folder, alias(to)), knownHostsLine(to), { mode: 0o600 });
  return folder;
}

export interface RemoteOptions {
  readonly input?: string | Uint8Array;
  /** Milliseconds after which the connection is closed and the command counts as failed. */
  readonly deadline: number;
  readonly channel?: Channel;
}

/**
 * Runs a command on the host and gives its stdout.
 *
 * @param input goes to the command's stdin: the one way in which a secret may travel
 * @throws RemoteFailure on any exit but 0
 */
export async function runOnHost(to: Connection, command: string, { input = "", deadline, channel = "update" }: RemoteOptions): Promise<string> {
  const folder = pinned(to);
  const result = await execa("ssh", sshArguments(to, folder, channel, command), { input, timeout: deadline, reject: false, stripFinalNewline: false });
  if (result.failed) throw new RemoteFailure(command, result.timedOut ? undefined : result.exitCode, result.stderr ?? result.shortMessage);
  return result.stdout;
}
