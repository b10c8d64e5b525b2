import { createHash } from "node:crypto";
import { z } from "zod";
import type { Call } from "./actions.js";
import { invalidInput, notUnique } from "./errors.js";
import { labels, name, read, requireFreeName } from "./input.js";
import { requireRoom } from "./limits.js";
import { stamp, type SshKey } from "./world.js";

/** The key's blob, whose first field repeats its type. @see RFC 4253, section 6.6 */
function blobOf(publicKey: string): Buffer {
  const [type, encoded] = publicKey.trim().split(/\s+/);
  const blob = Buffer.from(encoded ?? "", "base64");
  const length = blob.length > 4 ? blob.readUInt32BE(0) : 0;
  if (length === 0 || blob.subarray(4, 4 + length).toString() !== type) throw invalidInput({ name: "public_key", messages: ["is no OpenSSH public key"] });
  return blob;
}

/** `POST /ssh_keys`. A key is in a project once, under whatever name. */
export function createSshKey(call: Call): object {
  const wanted = read(z.looseObject({ name, public_key: z.string(), labels: labels.optional() }), call.body);
  const fingerprint = createHash("md5").update(blobOf(wanted.public_key)).digest("hex").replace(/(..)(?!$)/g, "$1:");
  requireFreeName(call.world.ssh_keys, wanted.name);
  requireRoom(call.world, "ssh_keys");
  if (call.world.ssh_keys.some((one) => one.fingerprint === fingerprint)) throw notUnique("public_key", "SSH key with the same fingerprint already exists");
  const key: SshKey = { id: call.state.nextId++, name: wanted.name, labels: wanted.labels ?? {}, created: stamp(call.now), fingerprint, publicKey: wanted.public_key };
  call.world.ssh_keys.push(key);
  return { ssh_key: sshKeyView(key) };
}

export const sshKeyView = ({ id, name: called, fingerprint, publicKey, labels: own, created }: SshKey): object => ({ id, name: called, fingerprint, public_key: publicKey, labels: own, created });
