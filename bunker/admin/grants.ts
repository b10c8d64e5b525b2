import * as nip19 from "nostr-tools/nip19";
import type { Policy, Rule, Time, Token } from "../model.js";
import { method, type AdminContext, type AdminMethod } from "./method.js";
import { client, clientId, clientName, hours, keyName, policy, policyId, tokenId, uri } from "./params.js";

const HOUR_MS = 3_600_000;

/** Methods on policies, tokens and clients (*key users*). Names and results are nsecbunkerd's where it has them. */
export const grantMethods = {
  get_key_users: method("never", [keyName], ({ store }, [name]) => store.clients.of(name).map((one) => ({
    id: one.id,
    name: one.keyName,
    pubkey: one.publicKey,
    description: one.name,
    createdAt: text(one.createdAt),
    ...(one.lastUsedAt !== undefined ? { lastUsedAt: text(one.lastUsedAt) } : {}),
    ...(one.revokedAt !== undefined ? { revokedAt: text(one.revokedAt) } : {}),
    signingConditions: (one.policyId === undefined ? [] : store.policies.get(one.policyId)?.rules ?? []).map((rule) => ({
      id: rule.id, method: rule.method, kind: kindText(rule), content: null, keyUserKeyName: one.keyName, allowed: true, keyUserId: one.id,
    })),
  }))),

  /** Shows invitations that still work, so it is audited. */
  get_key_tokens: method("with", [keyName], ({ store, keyring, now }, [name]) => {
    const open = keyring.get(name);
    if (open === undefined) return [];
    return store.tokens.of(name).map((token) => tokenRow(token, nip19.npubEncode(open.publicKey), store, now()));
  }),

  create_new_policy: method("with", [policy], ({ store }, [given]) => {
    store.policies.add(given);
    return ["ok"];
  }),

  update_policy: method("with", [policyId, policy], ({ store }, [id, given]) => {
    store.policies.update(id, given);
    return ["ok"];
  }),

  get_policies: method("never", [], ({ store, now }) => store.policies.all().map((one) => ({
    id: one.id,
    name: one.name,
    created_at: text(one.createdAt),
    expires_at: one.expiresAt === undefined ? null : text(one.expiresAt),
    rules: one.rules.map((rule) => ruleRow(rule, one, store, now())),
  }))),

  /** The invitation itself shows in `get_key_tokens`. */
  create_new_token: method("with", [keyName, clientName, policyId, hours], ({ store, now }, [name, called, id, lasting]) => {
    if (!store.keys.all().some((key) => key.name === name)) throw new Error(`There is no key ${name}.`);
    if (store.policies.get(id) === undefined) throw new Error(`There is no policy ${id}: get_policies lists those that there are.`);
    store.tokens.add({ keyName: name, clientName: called, policyId: id, ...(lasting !== undefined ? { expiresAt: now() + Math.round(lasting * HOUR_MS) } : {}) });
    return ["ok"];
  }),

  revoke_token: method("with", [tokenId], ({ store }, [id]) => {
    store.tokens.withdraw(id);
    return ["ok"];
  }),

  rename_key_user: method("with", [client, clientName], ({ store }, [publicKey, called]) => {
    store.clients.rename(publicKey, called);
    return ["ok"];
  }),

  revoke_user: method("with", [clientId], ({ store, now }, [id]) => {
    store.clients.revoke(id, now());
    return ["ok"];
  }),

  /** Answers a client's own `nostrconnect://` invitation. The bunker listens at the relays that it names, from then on. */
  connect_client: method("around", [uri, keyName, policyId], async ({ signer }, [invitation, name, id]) => {
    const { client: publicKey, relays } = await signer.connect(invitation, name, id);
    return { pubkey: publicKey, relays };
  }),
} satisfies Readonly<Record<string, AdminMethod>>;

const text = (time: Time): string => new Date(time).toISOString();
const kindText = ({ kind }: Rule): string | null => (kind === undefined ? null : String(kind));

function tokenRow(token: Token, npub: string, store: AdminContext["store"], now: Time): unknown {
  return {
    id: token.id,
    key_name: token.keyName,
    client_name: token.clientName,
    token: token.secret === undefined ? npub : `${npub}#${token.secret}`,
    policy_id: token.policyId,
    policy_name: store.policies.get(token.policyId)?.name ?? null,
    created_at: text(token.createdAt),
    updated_at: text(token.updatedAt),
    expires_at: token.expiresAt === undefined ? null : text(token.expiresAt),
    redeemed_at: token.redeemedAt === undefined ? null : text(token.redeemedAt),
    redeemed_by: token.redeemedBy === undefined ? null : store.clients.find(token.keyName, token.redeemedBy)?.name ?? token.redeemedBy,
    time_until_expiration: token.expiresAt === undefined ? null : (token.expiresAt - now) / 1000,
  };
}

/** Usage is counted for each client; shown is the sum, within the rule's window. */
function ruleRow(rule: Rule, { id }: Policy, store: AdminContext["store"], now: Time): unknown {
  const since = rule.cap?.windowSeconds === undefined ? undefined : now - rule.cap.windowSeconds * 1000;
  const used = rule.cap === undefined ? 0 : store.clients.all().filter((one) => one.policyId === id).reduce((sum, one) => sum + store.usage.count(rule.id, one.id, since), 0);
  return {
    method: rule.method,
    kind: kindText(rule),
    max_usage_count: rule.cap?.uses ?? null,
    current_usage_count: used,
    ...(rule.cap?.windowSeconds !== undefined ? { window_seconds: rule.cap.windowSeconds } : {}),
    ...(rule.counterparty !== undefined ? { counterparty: rule.counterparty } : {}),
  };
}
