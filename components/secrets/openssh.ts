import { createPrivateKey, createPublicKey } from "node:crypto";
import { derive } from "./derive.js";

export interface OpensshKeys {
  /** A file that `ssh -i` reads, without a passphrase. */
  readonly privateKey: string;
  /** A line for authorized_keys. */
  readonly publicKey: string;
}

const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");
const KIND = "ssh-ed25519";

/**
 * An Ed25519 key pair as OpenSSH writes it.
 *
 * @see OpenSSH's PROTOCOL.key (openssh-key-v1); RFC 8709 (ssh-ed25519)
 */
export function opensshKeys(root: string, id: string): OpensshKeys {
  const seed = derive(root, id, 32);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: "der", type: "pkcs8" });
  const point = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
  const publicBlob = Buffer.concat([text(KIND), text(point)]);
  // Stands twice, so that a reader knows that it decrypted rightly.
  const check = derive(root, `${id}/check`, 4);
  const secret = Buffer.concat([check, check, text(KIND), text(point), text(Buffer.concat([seed, point])), text("")]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const whole = Buffer.concat([
    Buffer.from("openssh-key-v1\0"), text("none"), text("none"), text(""), number(1), text(publicBlob), text(Buffer.concat([secret, padding])),
  ]);
  return {
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${whole.toString("base64").replaceAll(/.{1,70}/g, "$&\n")}-----END OPENSSH PRIVATE KEY-----\n`,
    publicKey: `${KIND} ${publicBlob.toString("base64")}`,
  };
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** @see RFC 4251 section 5: a length and as many bytes */
function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([number(bytes.length), bytes]);
}
