import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { openHolds, type Holds } from "../../../../bunker/admin/holds.js";
import type { AdminContext } from "../../../../bunker/admin/method.js";
import { NotOpened, type Keyring, type OpenKey } from "../../../../bunker/keyring/keyring.js";
import { openStore } from "../../../../bunker/store/open.js";
import type { Store } from "../../../../bunker/store/store.js";

/** A real store in memory, and a keyring whose keys open without scrypt: passphrases are compared as they are. */
export interface StandIn {
  readonly context: AdminContext;
  readonly store: Store;
  readonly keyring: Keyring;
  readonly holds: Holds;
  /** Everything that was logged. */
  readonly lines: string[];
  /** What happened outside, in order: `listen`, `connect`. */
  readonly deeds: string[];
  /** While it is set, keys take until it resolves to open. */
  slow?: Promise<void>;
  time: number;
  readonly folder: string;
  remove(): void;
}

export function standIn(): StandIn {
  const folder = mkdtempSync(join(tmpdir(), "bunker-admin-"));
  const here = { time: Date.UTC(2026, 10, 21), lines: [] as string[], deeds: [] as string[], folder } as Omit<StandIn, "context"> & { context?: AdminContext };
  const now = (): number => here.time;
  const store = openStore(":memory:", now);
  const keyring = plainKeyring(store, () => here.slow);
  const holds = openHolds(folder);
  const context: AdminContext = {
    store, keyring, holds,
    relays: { states: () => [] },
    signer: { connect: async (uri, keyName, policyId) => {
      here.deeds.push(`connect ${keyName} ${policyId}`);
      return { client: uri.slice(15, 79), relays: ["wss://client.example"] };
    } },
    listen: async () => { here.deeds.push("listen"); },
    identity: "b".repeat(64),
    relayUrls: ["wss://relay.example"],
    backup: async (recipients) => Buffer.from(`sealed for ${recipients.join(" and ")}`),
    metrics: () => "nsecbunkerd_keys_unlocked_total 0\n",
    now,
    log: (level, line) => here.lines.push(`${level} ${line}`),
  };
  return Object.assign(here, { context, store, keyring, holds, remove: () => { store.close(); rmSync(folder, { recursive: true }); } });
}

function plainKeyring(store: Store, slow: () => Promise<void> | undefined): Keyring {
  const sealed = new Map<string, { readonly passphrase: string; readonly key: OpenKey }>();
  const open = new Map<string, OpenKey>();
  const made = (name: string, passphrase: string, secretKey: Uint8Array): OpenKey => {
    const key = { name, publicKey: getPublicKey(secretKey), secretKey };
    sealed.set(name, { passphrase, key });
    open.set(name, key);
    return key;
  };
  const of = (name: string, passphrase: string): OpenKey => {
    const found = sealed.get(name);
    if (found === undefined) throw new NotOpened(name, "no-such-key", `There is no key ${name}.`);
    if (found.passphrase !== passphrase) throw new NotOpened(name, "wrong-passphrase", `The passphrase does not open ${name}.`);
    return found.key;
  };
  return {
    names: () => [...sealed].map(([name, { key }]) => ({ name, publicKey: key.publicKey, open: open.has(name) ? "open" : "locked" })),
    find: (publicKey) => [...open.values()].find((key) => key.publicKey === publicKey),
    get: (name) => open.get(name),
    unlock: async (name, passphrase) => {
      await slow();
      const key = of(name, passphrase);
      const was = open.has(name);
      open.set(name, key);
      return was ? "was-open" : "opened";
    },
    lock: (name) => { open.delete(name); },
    lockAll: () => open.clear(),
    create: async (name, passphrase, secretKey = generateSecretKey()) => {
      await slow();
      store.keys.add(name, { at: "ncryptsec", text: "ncryptsec1" }, getPublicKey(secretKey));
      return made(name, passphrase, secretKey);
    },
    rotate: async (name, passphrase) => {
      of(name, passphrase);
      const secretKey = generateSecretKey();
      store.keys.replace(name, { at: "ncryptsec", text: "ncryptsec1" }, getPublicKey(secretKey));
      return made(name, passphrase, secretKey);
    },
    remove: (name) => {
      store.keys.remove(name);
      sealed.delete(name);
      open.delete(name);
    },
    export: async (name) => {
      if (!open.has(name)) throw new Error(`${name} is locked.`);
      return "ncryptsec1exported";
    },
    onChange: () => {},
  };
}
