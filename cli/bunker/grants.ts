import { z } from "zod";
import { printBunkerUri } from "../../bunker/nip46/uri.js";
import { publicKeyOfNpub } from "../../formats/npub.js";
import { keyCalled, type AskBunker } from "./host.js";

const okSchema = z.tuple([z.literal("ok")]);

const ruleSchema = z.object({
  method: z.string(), kind: z.string().nullable(), counterparty: z.string().optional(),
  max_usage_count: z.number().nullable(), current_usage_count: z.number(), window_seconds: z.number().optional(),
});
export const policySchema = z.object({ id: z.number(), name: z.string(), expires_at: z.string().nullable(), rules: z.array(ruleSchema) });
export type ShownPolicy = z.infer<typeof policySchema>;

const clientSchema = z.object({ id: z.number(), pubkey: z.string(), description: z.string(), createdAt: z.string(), lastUsedAt: z.string().optional(), revokedAt: z.string().optional() });
export type ShownClient = z.infer<typeof clientSchema>;

const tokenSchema = z.object({ id: z.number(), client_name: z.string(), token: z.string(), policy_name: z.string().nullable(), created_at: z.string(), expires_at: z.string().nullable(), redeemed_at: z.string().nullable() });

/** An invitation that nobody has redeemed yet, without what makes it work. */
export interface Pending {
  readonly id: number;
  readonly client: string;
  readonly policy: string | null;
  readonly expiresAt: string | null;
}

const signing = (...kinds: number[]) => kinds.map((kind) => ({ method: "sign_event", kind }));
const messages = ["nip04_encrypt", "nip04_decrypt", "nip44_encrypt", "nip44_decrypt"].map((method) => ({ method }));

/** Policies for what most people want. `connect`, `ping`, `get_public_key` and `logout` need no rule. */
export const presets: Readonly<Record<string, { readonly what: string; readonly rules: readonly object[] }>> = {
  notes: { what: "sign notes, reposts, reactions, deletions, profile, contacts, relay lists, articles", rules: signing(0, 1, 3, 5, 6, 7, 16, 1111, 10002, 30023) },
  messages: { what: "read and write encrypted messages of both kinds, and sign what carries them (sealed and plain)", rules: [...messages, ...signing(4, 13, 14, 15, 10050)] },
  wallet: { what: "Nostr Wallet Connect and zaps: encrypt, decrypt, sign their events", rules: [...messages, ...signing(9734, 23194, 23195, 23196, 23197)] },
  everything: { what: "sign and decrypt anything: for a program that is as trusted as the key itself", rules: [{ method: "sign_event" }, ...messages] },
};

export async function policyCalled(ask: AskBunker, name: string): Promise<ShownPolicy> {
  const policies = await ask(z.array(policySchema), "get_policies");
  const found = policies.filter((one) => one.name === name || String(one.id) === name);
  if (found.length === 1) return found[0]!;
  if (found.length > 1) throw new Error(`Several policies are called ${name}; give the number: ${found.map(({ id }) => id).join(", ")}.`);
  throw new Error(`There is no policy ${name}. ${policies.length === 0 ? `There is none yet: holdfast bunker policy add --preset ${Object.keys(presets)[0]}` : `There are: ${policies.map((one) => one.name).join(", ")}.`}`);
}

/** A policy as nsecbunkerd's create_new_policy takes it. */
export interface GivenPolicy {
  readonly name: string;
  readonly rules: readonly unknown[];
  readonly expires_at?: string;
}

export async function addPolicy(ask: AskBunker, policy: GivenPolicy): Promise<ShownPolicy> {
  const known = await ask(z.array(policySchema), "get_policies");
  if (known.some(({ name }) => name === policy.name)) throw new Error(`There is a policy ${policy.name} already; wants another name. \`holdfast bunker policies\` shows what it allows.`);
  await ask(okSchema, "create_new_policy", [JSON.stringify(policy)]);
  return policyCalled(ask, policy.name);
}

export interface Invitation {
  readonly key: string;
  readonly client: string;
  readonly policy: string;
  readonly expiresAt: string | null;
  /** Secret until it was redeemed; works once. */
  readonly uri: string;
}

/** @param hours for how long the invitation, and the client's grant with it, are good; for ever when absent */
export async function invite(ask: AskBunker, name: string, client: string, policy: string, hours: number | undefined): Promise<Invitation> {
  const { key, status } = await keyCalled(ask, name);
  if (key.is !== "open" || key.publicKey === null) throw new Error(`${name} is locked, so that no client could connect. Unlock it first: holdfast bunker unlock ${name}`);
  const { id, name: policyName } = await policyCalled(ask, policy);
  await ask(okSchema, "create_new_token", [name, client, id, ...(hours === undefined ? [] : [hours])]);
  const token = (await ask(z.array(tokenSchema), "get_key_tokens", [name]))
    .filter((one) => one.client_name === client && one.redeemed_at === null && one.token.includes("#")).sort((one, other) => other.id - one.id)[0];
  if (token === undefined) throw new Error(`The invitation of ${client} is gone already. Somebody may have revoked it: holdfast bunker clients ${name}`);
  return { key: name, client, policy: policyName, expiresAt: token.expires_at, uri: printBunkerUri(key.publicKey, status.clientRelays, token.token.split("#")[1]!) };
}

const connectedSchema = z.object({ pubkey: z.string(), relays: z.array(z.string()) });

/** Answers a client's own nostrconnect:// invitation. */
export async function accept(ask: AskBunker, name: string, uri: string, policy: string): Promise<z.infer<typeof connectedSchema>> {
  await keyCalled(ask, name);
  return ask(connectedSchema, "connect_client", [uri, name, (await policyCalled(ask, policy)).id]);
}

export async function clientsOf(ask: AskBunker, name: string): Promise<{ readonly clients: readonly ShownClient[]; readonly pending: readonly Pending[] }> {
  await keyCalled(ask, name);
  const clients = await ask(z.array(clientSchema), "get_key_users", [name]);
  const tokens = await ask(z.array(tokenSchema), "get_key_tokens", [name]);
  return {
    clients: clients.map(({ id, pubkey, description, createdAt, lastUsedAt, revokedAt }) => ({ id, pubkey, description, createdAt, ...(lastUsedAt !== undefined && { lastUsedAt }), ...(revokedAt !== undefined && { revokedAt }) })),
    pending: tokens.filter((one) => one.redeemed_at === null && one.token.includes("#")).map((one) => ({ id: one.id, client: one.client_name, policy: one.policy_name, expiresAt: one.expires_at })),
  };
}

/**
 * Ends a client's access, and invitations of that name that nobody has redeemed yet.
 *
 * @param who a client's name, its number, or its public key as npub or hex
 */
export async function revoke(ask: AskBunker, name: string, who: string): Promise<{ readonly clients: readonly string[]; readonly invitations: number }> {
  const { clients, pending } = await clientsOf(ask, name);
  const publicKey = publicKeyOfNpub(who) ?? who.toLowerCase();
  const meant = clients.filter((one) => one.revokedAt === undefined && (one.description === who || one.pubkey === publicKey || String(one.id) === who));
  const invited = pending.filter((one) => one.client === who);
  if (meant.length === 0 && invited.length === 0) {
    const live = [...clients.filter((one) => one.revokedAt === undefined).map((one) => one.description), ...pending.map((one) => `${one.client} (invited)`)];
    throw new Error(`No client ${who} has access to ${name}. ${live.length === 0 ? "Nobody has." : `Those who have: ${live.join(", ")}.`}`);
  }
  for (const { id } of invited) await ask(okSchema, "revoke_token", [id]);
  for (const { id } of meant) await ask(okSchema, "revoke_user", [id]);
  return { clients: meant.map((one) => one.pubkey), invitations: invited.length };
}
