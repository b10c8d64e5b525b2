import * as nip44 from "nostr-tools/nip44";
import { generateSecretKey, getEventHash, getPublicKey } from "nostr-tools/pure";
import type { Keyring, OpenKey } from "../../../../bunker/keyring/keyring.js";
import type { Rule } from "../../../../bunker/model.js";
import { createSigner, type Outcome, type SignerArgs } from "../../../../bunker/nip46/signer.js";
import type { NostrEvent } from "../../../../bunker/relays/relays.js";
import { openStore } from "../../../../bunker/store/open.js";

export interface Answered {
  readonly outcome: Outcome;
  readonly result?: string;
  readonly error?: string;
}

/** A signer with one open key (`work`), one locked key (`asleep`), the real store in memory, real crypto, and relays that take whatever `publish` is told to. */
export function createWorld(change: Partial<SignerArgs> = {}) {
  const clock = { now: 1_700_000_000_000 };
  const published: { readonly event: NostrEvent; readonly also: readonly string[] | undefined }[] = [];
  const logged: string[] = [];
  const key = openKey("work");
  const asleep = openKey("asleep");
  const locked = new Set(["asleep"]);
  const store = openStore(":memory:", () => clock.now);
  for (const one of [key, asleep]) store.keys.add(one.name, { at: "ncryptsec", text: "" }, one.publicKey);
  const listeners: (() => void)[] = [];

  const all = [key, asleep];
  const isOpen = (one: OpenKey) => !locked.has(one.name);
  const never = () => { throw new Error("the signer has no business here"); };
  const keyring: Keyring = {
    names: () => all.map((one) => ({ name: one.name, publicKey: one.publicKey, open: isOpen(one) ? "open" as const : "locked" as const })),
    find: (publicKey) => all.find((one) => one.publicKey === publicKey && isOpen(one)),
    get: (name) => all.find((one) => one.name === name && isOpen(one)),
    lock: (name) => { locked.add(name); for (const tell of listeners) tell(); },
    onChange: (listener) => { listeners.push(listener); },
    unlock: never, lockAll: never, create: never, rotate: never, remove: never, export: never,
  };
  const signer = createSigner({
    store, keyring,
    relays: () => ["wss://one.example", "wss://two.example"],
    publish: async (event, also) => { published.push({ event, also }); return ["wss://one.example"]; },
    now: () => clock.now,
    log: (level, line) => { logged.push(`${level}: ${line}`); },
    ...change,
  });
  const policy = (rules: readonly Omit<Rule, "id">[], expiresAt?: number) => store.policies.add({ name: "p", rules, ...(expiresAt === undefined ? {} : { expiresAt }) });
  const bind = (publicKey: string, rules: readonly Omit<Rule, "id">[]) => store.clients.add({ keyName: "work", publicKey, name: "app", policyId: policy(rules).id });

  // Unsigned: signatures are verified before the signer sees an event.
  const request = (secretKey: Uint8Array, body: unknown, at: { readonly to?: string; readonly createdAt?: number } = {}): NostrEvent => {
    const to = at.to ?? key.publicKey;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const { publicKey, conversation } = partyOf(secretKey, to);
    const event = { pubkey: publicKey, kind: 24133, created_at: at.createdAt ?? Math.floor(clock.now / 1000), tags: [["p", to]], content: nip44.encrypt(text, conversation) };
    return { ...event, id: getEventHash(event), sig: "0".repeat(128) };
  };
  const read = (event: NostrEvent, secretKey: Uint8Array): { readonly id: string; readonly result?: string; readonly error?: string } =>
    JSON.parse(nip44.decrypt(event.content, partyOf(secretKey, event.pubkey).conversation));
  const ask = async (secretKey: Uint8Array, method: string, ...params: readonly unknown[]): Promise<Answered> => {
    const before = published.length;
    const outcome = await signer.handle(request(secretKey, { id: `${method}-${before}`, method, params }));
    const answer = published[before];
    if (answer === undefined) return { outcome };
    const { id, ...rest } = read(answer.event, secretKey);
    if (id !== `${method}-${before}`) throw new Error(`the answer has another id: ${id}`);
    return { outcome, ...rest };
  };
  return { clock, published, logged, key, asleep, store, keyring, signer, policy, bind, request, read, ask };
}

const parties = new Map<string, { readonly publicKey: string; readonly conversation: Uint8Array }>();

function partyOf(secretKey: Uint8Array, other: string) {
  const name = `${Buffer.from(secretKey).toString("hex")} ${other}`;
  const party = parties.get(name) ?? { publicKey: getPublicKey(secretKey), conversation: nip44.getConversationKey(secretKey, other) };
  parties.set(name, party);
  return party;
}

export function newClient(): { readonly secretKey: Uint8Array; readonly publicKey: string } {
  const secretKey = generateSecretKey();
  return { secretKey, publicKey: getPublicKey(secretKey) };
}

function openKey(name: string): OpenKey {
  const { secretKey, publicKey } = newClient();
  return { name, secretKey, publicKey };
}

export const note = (change: Record<string, unknown> = {}): string =>
  JSON.stringify({ kind: 1, content: "Hello, I'm signing remotely", tags: [["t", "hello"]], created_at: 1714078911, ...change });
