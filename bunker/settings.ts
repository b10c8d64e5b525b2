import { readFileSync, statSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { getPublicKey } from "nostr-tools/pure";
import * as nip19 from "nostr-tools/nip19";
import { z } from "zod";
import type { PublicKey } from "./model.js";

/** Something in the environment or in the configuration does not fit. Names the variable or the key, and the remedy; never a value that is secret. */
export class Refused extends Error {}

/** What one bunker runs with. */
export interface Settings {
  /** Keeps the database and the identities that the gate places. */
  readonly dataFolder: string;
  /** Holds the control socket. */
  readonly runFolder: string;
  /** Where clients are heard: `nostr.relays`, as given, without repetitions. What `bunker://` and `switch_relays` name. */
  readonly relays: readonly string[];
  /** All relays: those of clients and `admin.adminRelays`. */
  readonly allRelays: readonly string[];
  /** Who may use the admin RPC. */
  readonly admins: ReadonlySet<PublicKey>;
  /** The bunker's own identity: answers the admin RPC, NIP-42 and probes. Signs nothing for anybody. */
  readonly identity: { readonly secretKey: Uint8Array; readonly publicKey: PublicKey; readonly from: string };
  /** Every connection to a relay goes through it: `socks5h://host:port`. */
  readonly proxy?: string;
  /** Where metrics are served: loopback alone. */
  readonly metrics?: { readonly host: string; readonly port: number };
  /** nsecbunkerd's entries, as the configuration has them: each is taken into the keystore once. */
  readonly configuredKeys: Readonly<Record<string, unknown>>;
  /** One line each, for the log. */
  readonly warnings: readonly string[];
}

export interface Places {
  readonly config: string;
  readonly data: string;
  readonly run: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const configSchema = z.looseObject({
  nostr: z.looseObject({ relays: z.array(z.string()) }),
  admin: z.looseObject({
    npubs: z.array(z.string()).default([]),
    adminRelays: z.array(z.string()).default([]),
    key: z.string().optional(),
    notifyAdminsOnBoot: z.boolean().optional(),
  }).default({ npubs: [], adminRelays: [] }),
  keys: z.record(z.string(), z.unknown()).default({}),
});

/**
 * Reads environment and configuration. Nothing is written, and no identity is invented.
 *
 * @throws Refused
 * @see docs/AUTOUNLOCK.md, "Variables"; the configuration is nsecbunkerd's `nsecbunker.json`
 */
export function readSettings(places: Places, environment: Environment): Settings {
  const config = readConfig(places.config);
  const warnings: string[] = [];
  const unknown = unknownKeys(config);
  if (unknown.length > 0) warnings.push(`${places.config}: keys that mean nothing here were passed over: ${unknown.join(", ")}`);
  if (config.admin.notifyAdminsOnBoot === true) warnings.push(`${places.config}: admin.notifyAdminsOnBoot is passed over: nothing is sent to public relays at the start`);

  const relays = [...new Set(config.nostr.relays.map((url, index) => relayUrl(url, `nostr.relays[${index}]`, places.config, warnings)))];
  if (relays.length === 0) throw new Refused(`${places.config}: nostr.relays is empty. Name at least one relay (wss://…) where clients find the bunker.`);
  const adminRelays = config.admin.adminRelays.map((url, index) => relayUrl(url, `admin.adminRelays[${index}]`, places.config, warnings));

  const admins = new Set(config.admin.npubs.map((text, index) => adminOf(text, index, places.config)));
  if (admins.size === 0) warnings.push(`${places.config}: admin.npubs is empty: the admin RPC answers nobody, and the control socket alone is left`);
  if (config.admin.key !== undefined && (statSync(places.config).mode & 0o077) !== 0) warnings.push(`${places.config} holds admin.key and others than its owner may read it: chmod 600, or use NSECBUNKER_ADMIN_KEY_FILE`);

  const proxy = proxyOf(environment["NSECBUNKER_PROXY"]);
  const metrics = metricsOf(environment["NSECBUNKER_METRICS"]);
  return {
    dataFolder: places.data,
    runFolder: places.run,
    relays,
    allRelays: [...new Set([...relays, ...adminRelays])],
    admins,
    identity: identityOf(config.admin.key, environment["NSECBUNKER_ADMIN_KEY_FILE"], places.config),
    ...(proxy !== undefined ? { proxy } : {}),
    ...(metrics !== undefined ? { metrics } : {}),
    configuredKeys: config.keys,
    warnings,
  };
}

/**
 * nsecbunkerd's configuration.
 *
 * @throws Refused, which quotes nothing of it
 */
export function readConfig(path: string): z.infer<typeof configSchema> {
  const text = readText(path, `The configuration ${path} (--config)`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's own words would quote the file, which may hold a key.
    throw new Refused(`${path} is no JSON. It wants what nsecbunkerd's nsecbunker.json has: nostr.relays and admin.npubs at least.`);
  }
  const parsed = configSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new Refused(`${path}: ${parsed.error.issues.map((issue) => `${issue.path.join(".") || "the whole"} does not fit (${issue.message})`).join("; ")}. Correct it: nostr.relays and admin.npubs are lists of texts.`);
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Refused(`${what} cannot be read (${(error as NodeJS.ErrnoException).code}). Put it there, readable for this user.`);
  }
}

const known: Readonly<Record<string, readonly string[] | undefined>> = {
  nostr: ["relays"], admin: ["npubs", "adminRelays", "key", "notifyAdminsOnBoot"], keys: undefined, version: undefined,
};

function unknownKeys(config: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(config).flatMap(([key, value]) => {
    if (!Object.hasOwn(known, key)) return [key];
    const inner = known[key];
    return inner === undefined ? [] : Object.keys(value as object).filter((name) => !inner.includes(name)).map((name) => `${key}.${name}`);
  });
}

const nearby = new BlockList();
for (const [network, prefix] of [["127.0.0.0", 8], ["10.0.0.0", 8], ["172.16.0.0", 12], ["192.168.0.0", 16], ["100.64.0.0", 10], ["169.254.0.0", 16]] as const) nearby.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of [["::1", 128], ["fc00::", 7], ["fe80::", 10]] as const) nearby.addSubnet(network, prefix, "ipv6");

/** Whether what goes there in clear stays on this host, in a private network or tunnel, or inside Tor. */
function isNear(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "");
  const family = isIP(host);
  if (family === 0) return host === "localhost" || host.endsWith(".onion");
  return nearby.check(host, family === 6 ? "ipv6" : "ipv4");
}

function relayUrl(text: string, key: string, config: string, warnings: string[]): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "wss:" && url.protocol !== "ws:")) throw new Refused(`${config}: ${key} is no address of a relay: it wants wss://… (or ws://… inside a private network).`);
  if (url.username !== "" || url.password !== "") throw new Refused(`${config}: ${key} carries a user or a password, and a relay's address is shown to every client. Take them out.`);
  if (url.protocol === "ws:" && !isNear(url.hostname)) warnings.push(`${config}: ${key} (${text}) is not encrypted on its way: who listens sees which keys are used and when. Use wss://, a tunnel or an onion address`);
  return text.replace(/\/+$/, "");
}

function adminOf(text: string, index: number, config: string): PublicKey {
  const found = publicKeyIn(text);
  if (found === undefined) throw new Refused(`${config}: admin.npubs[${index}] is no public key: it wants npub1… or 64 hex digits.`);
  return found;
}

/** A public key written as npub or in hex; undefined for anything else. */
export function publicKeyIn(text: string): PublicKey | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  if (!/^npub1[0-9a-z]+$/.test(text)) return undefined;
  try {
    const decoded = nip19.decode(text);
    return decoded.type === "npub" ? decoded.data : undefined;
  } catch {
    // A checksum that does not fit: no public key.
    return undefined;
  }
}

/** A secret key written as nsec or in hex; undefined for anything else. Nothing of the text is in an error. */
export function secretKeyIn(text: string): Uint8Array | undefined {
  try {
    const bytes = /^[0-9a-f]{64}$/i.test(text) ? Uint8Array.from(Buffer.from(text, "hex")) : nsecBytes(text);
    if (bytes !== undefined) getPublicKey(bytes);
    return bytes;
  } catch {
    // No point of the curve, or a checksum that does not fit: no secret key.
    return undefined;
  }
}

function nsecBytes(text: string): Uint8Array | undefined {
  const decoded = text.startsWith("nsec1") ? nip19.decode(text) : undefined;
  return decoded?.type === "nsec" ? decoded.data : undefined;
}

function identityOf(inConfig: string | undefined, file: string | undefined, config: string): Settings["identity"] {
  const [here, there] = [`${config}: admin.key`, "NSECBUNKER_ADMIN_KEY_FILE"];
  if (inConfig !== undefined && file !== undefined) throw new Refused(`Both ${there} and ${here} are set, and they may differ. Keep ${there} and take admin.key out.`);
  if (inConfig === undefined && file === undefined) throw new Refused(`Neither ${there} nor ${here} is set: the bunker needs an identity of its own, and invents none. Put an nsec (or 64 hex digits) into a file and name it in ${there}.`);
  const [text, from] = file !== undefined ? [readText(file, `The file of ${there}, ${file},`), there] : [inConfig!, here];
  const secretKey = secretKeyIn(text.trim());
  if (secretKey === undefined) throw new Refused(`${file !== undefined ? `The file of ${there}, ${file},` : here} holds no secret key: it wants nsec1… or 64 hex digits.`);
  return { secretKey, publicKey: getPublicKey(secretKey), from };
}

function proxyOf(text: string | undefined): string | undefined {
  if (text === undefined || text === "") return undefined;
  if (!URL.canParse(text) || !/^socks5h?:$/.test(new URL(text).protocol)) throw new Refused("NSECBUNKER_PROXY is no SOCKS proxy: it wants socks5h://host:port, such as socks5h://127.0.0.1:9050.");
  return text;
}

function metricsOf(text: string | undefined): Settings["metrics"] {
  if (text === undefined || text === "") return undefined;
  const match = /^(127\.0\.0\.1|\[::1\]|localhost):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[2]) > 65_535) throw new Refused(`NSECBUNKER_METRICS (${text}) wants 127.0.0.1:PORT or [::1]:PORT: metrics are served on loopback alone. Let a proxy or a tunnel carry them further.`);
  return { host: match[1]!.replace(/[[\]]/g, ""), port: Number(match[2]) };
}
