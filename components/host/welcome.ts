import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { connectionSchema, type Connection } from "../../formats/step.js";
import { tell } from "../stepProgram.js";
import { RemoteFailure, runOnHost } from "./ssh.js";

export const welcomeSchema = z.strictObject({
  /** With the key that the server was created with. */
  firstContact: connectionSchema,
  /** The host's own key from now on. */
  own: z.strictObject({ privateKey: z.string().startsWith("-----BEGIN OPENSSH PRIVATE KEY-----"), publicKey: z.string().startsWith("ssh-ed25519 ") }),
});

export const welcomedSchema = z.strictObject({ hostKey: z.string() });

/** Takes the private key from stdin. Cut short anywhere, it can be run again: sshd goes on with what it has in memory until it is told. */
export const rekeyCommand = [
  "set -e", "umask 077", "cd /etc/ssh", "cat > .holdfast-own", "ssh-keygen -y -f .holdfast-own > .holdfast-own.pub", "chmod 644 .holdfast-own.pub",
  "mv .holdfast-own.pub ssh_host_ed25519_key.pub", "mv .holdfast-own ssh_host_ed25519_key", "rm -f ssh_host_rsa_key* ssh_host_ecdsa_key* ssh_host_dsa_key*",
  "systemctl try-reload-or-restart ssh.service || systemctl try-reload-or-restart sshd.service",
].join("; ");

/** Milliseconds: a server's first start, downloads of its cloud-init included; one attempt. */
const [START, ATTEMPT, RHYTHM] = [600_000, 20_000, 2_000];

/**
 * Waits for a new server and gives it a host key of its own. The key by which it was known first lies in the cloud's metadata service, where everything on the
 * server can read it: from here on it opens nothing.
 *
 * @throws when somebody answers who has neither key, and when nobody answers in time
 */
export async function welcome({ firstContact, own }: z.infer<typeof welcomeSchema>, deadline = START, rhythm = RHYTHM): Promise<z.infer<typeof welcomedSchema>> {
  const proper: Connection = { ...firstContact, hostKey: own.publicKey };
  let last = "it was not asked yet";
  tell(`waiting for ${firstContact.address} to start`);
  for (const end = Date.now() + deadline; Date.now() < end; await pause(rhythm)) {
    const failed = await attempt(proper, "true", "");
    if (failed === undefined) return { hostKey: own.publicKey };
    last = failed.stderr.trim() || failed.message;
    if (!hasAnotherKey(failed)) continue;
    const first = await attempt(firstContact, rekeyCommand, own.privateKey);
    if (first === undefined) continue;
    last = first.stderr.trim() || first.message;
    if (hasAnotherKey(first)) {
      throw new Error(`Who answers at ${firstContact.address} has neither the key that this server was created with nor its own. Nothing was sent. Was it installed anew by other means, or does somebody stand between? Raising host.hetzner.generation makes a new server with the same address and data.`);
    }
    if (!first.connectionLost) throw new Error(`The new server at ${firstContact.address} did not take its own host key: ${first.message}`);
  }
  throw new Error(`The server at ${firstContact.address} did not let us in within ${Math.round(deadline / 1000)} seconds: ${last}\nIts console, at Hetzner, shows how far it came. Then run the same command again; if it never starts, raise host.hetzner.generation.`);
}

const hasAnotherKey = ({ stderr }: RemoteFailure): boolean => stderr.includes("Host key verification failed");

async function attempt(to: Connection, command: string, input: string): Promise<RemoteFailure | undefined> {
  try {
    await runOnHost(to, command, { input, deadline: ATTEMPT, channel: "fresh" });
    return undefined;
  } catch (error) {
    if (error instanceof RemoteFailure) return error;
    throw error;
  }
}
