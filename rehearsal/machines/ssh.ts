import { connect } from "node:net";
import { attempt, until } from "../run.js";

/** ssh's arguments to ask a machine for nothing but the proof that it has the pinned host key. The user's own configuration has no say. */
export function proofArguments(address: string, port: number, knownHosts: string): string[] {
  return [
    "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", `UserKnownHostsFile=${knownHosts}`, "-o", "GlobalKnownHostsFile=/dev/null",
    "-o", "HostKeyAlgorithms=ssh-ed25519", "-o", "PreferredAuthentications=none", "-o", "IdentityAgent=none", "-o", "ControlPath=none", "-o", "ConnectTimeout=2",
    "-o", "LogLevel=ERROR", "-p", String(port), `root@${address}`, "--", "true",
  ];
}

/** A line of known_hosts; only a port other than 22 is part of the name. @see sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT" */
export function knownHostsLine(address: string, port: number, hostKey: string): string {
  return `${port === 22 ? address : `[${address}]:${port}`} ${hostKey}\n`;
}

/**
 * Waits until a machine answers SSH with its own host key. No login: that it asks for one means that the key was proven.
 *
 * @param deadline milliseconds
 * @throws at once when somebody else's key answers, and at the deadline when nobody does
 */
export async function waitForSsh(address: string, port: number, knownHosts: string, deadline: number): Promise<void> {
  let last = "nobody answered";
  const proven = await until(async () => {
    if (!(await listens(address, port))) return false;
    const { stderr } = await attempt(proofArguments(address, port, knownHosts), { deadline: 10_000 });
    last = stderr.trim() || last;
    if (/Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/.test(stderr)) {
      throw new Error(`${address} port ${port} answered with another host key than the machine's (pinned in ${knownHosts}): somebody else has this address. Delete that machine, or give this one another address.`);
    }
    return /Permission denied/.test(stderr);
  }, deadline, 30);
  if (!proven) throw new Error(`${address} port ${port} did not answer SSH within ${deadline / 1000} s: ${last}`);
}

function listens(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: 500 });
    const answer = (yes: boolean) => (): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once("connect", answer(true)).once("error", answer(false)).once("timeout", answer(false));
  });
}
