import { z } from "zod";
import { publicKeyOfNpub } from "../formats/npub.js";

/** The IPv4 blocks that only documentation may use: a stack file that still has one was never filled in. RFC 5737. */
const DOCUMENTATION = ["192.0.2.", "198.51.100.", "203.0.113."];

const octets = (address: string): number[] => address.split(".").map(Number);
const number32 = (address: string): number => octets(address).reduce((sum, octet) => sum * 256 + octet, 0);

const isReal = (address: string): boolean => !DOCUMENTATION.some((block) => address.startsWith(block));

/** An IPv4 address of a real place. */
export const addressSchema = z.ipv4({ error: "wants an IPv4 address" })
  .refine(isReal, { error: "is reserved for documentation (RFC 5737); wants the address of your own host" });

/** A restic repository behind its REST server, over TLS, without credentials. */
export const repositorySchema = z.string()
  .regex(/^rest:https:\/\/[^@\s/]+\/(\S*\/)?$/, "wants rest:https://host:port/path/ without credentials")
  .refine((repository) => isReal(repository.slice("rest:https://".length)), { error: "lies at an address reserved for documentation (RFC 5737); wants the address of your own store" });

/** An IPv4 network in CIDR form whose host bits are zero. */
export const networkSchema = z.cidrv4({ error: "wants an IPv4 network such as 10.10.0.0/24" }).refine((cidr) => {
  const { base, size } = cidrParts(cidr);
  return base % size === 0;
}, { error: "has bits set behind its prefix; wants the network's own address, such as 10.10.0.0/24" });

export const portSchema = z.int({ error: "wants a port number" }).min(1, "wants a port from 1 to 65535").max(65535, "wants a port from 1 to 65535");

/** Classical (58 letters), or hybrid or a plugin's, whose name stands between two ones. @see https://age-encryption.org/v1; age-plugin(7) */
const RECIPIENT = /^age1([02-9ac-hj-np-z]{58}|[a-z0-9+._-]+1[02-9ac-hj-np-z]{6,})$/;

/** An age recipient: classical or hybrid post-quantum, in bech32 as `age-keygen` prints it, or a plugin's. */
export const recipientSchema = z.string()
  .refine((text) => !/^AGE-(SECRET-KEY|PLUGIN)-/i.test(text), { error: "is an identity, which is secret, and not its recipient: make a new one, for this one was written into a file that others read; wants what `age-keygen -y` prints (age1…)", abort: true })
  .regex(RECIPIENT, "is no age recipient; wants what `age-keygen -y` prints (age1…), or a plugin's (age1yubikey1…)");

/** An OpenSSH public key: type and base64, without a comment. */
export const publicKeySchema = z.string().regex(
  /^(ssh-ed25519|sk-ssh-ed25519@openssh\.com|ecdsa-sha2-nistp256|ssh-rsa) AAAA[0-9A-Za-z+/]{40,}={0,3}( .*)?$/,
  "is no OpenSSH public key; wants a line such as `ssh-ed25519 AAAA…` from a .pub file",
);

/** Where a Nostr relay answers. Every client sees it, so that it carries no password. */
export const relaySchema = z.string().refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^wss?:$/.test(url.protocol) && url.username === "" && url.password === "" && url.hash === "" && !/\s/.test(text);
}, { error: "is no relay's address; wants wss://host or wss://host/path, without credentials" });

/** A Nostr public key as people write it. NIP-19. */
export const npubSchema = z.string()
  .refine((text) => !text.startsWith("nsec1"), { error: "is a secret key, which is not secret any more: make a new one, for this one was written into a file that others read; wants its public key (npub1…)", abort: true })
  .refine((text) => publicKeyOfNpub(text) !== undefined, { error: "is no Nostr public key; wants npub1… (its checksum tells a mistyped one)" });

/** A path relative to the project, or absolute. */
export const pathSchema = z.string().min(1, "wants a path relative to the project");

/** First number and size of a network. */
export function cidrParts(cidr: string): { readonly base: number; readonly size: number; readonly prefixLength: number } {
  const [address, prefix] = cidr.split("/") as [string, string];
  return { base: number32(address), size: 2 ** (32 - Number(prefix)), prefixLength: Number(prefix) };
}

/** Whether two networks have an address in common. */
export function overlap(left: string, right: string): boolean {
  const [one, other] = [cidrParts(left), cidrParts(right)];
  return one.base < other.base + other.size && other.base < one.base + one.size;
}

/** Whether a host may have this address in the network: inside, and neither its first nor its last. */
export function isHostAddress(cidr: string, address: string): boolean {
  const { base, size } = cidrParts(cidr);
  const offset = number32(address) - base;
  return offset > 0 && offset < size - 1;
}

/** The network's first host address: the node's own end of its tunnels. */
export function firstHostAddress(cidr: string): string {
  const first = cidrParts(cidr).base + 1;
  return [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join(".");
}
