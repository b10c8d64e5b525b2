import { createHash } from "node:crypto";
import type { PublicKey, Time } from "../model.js";
import type { Store } from "../store/store.js";
import type { OldPolicy, OldToken, OldUser, Predecessor } from "./predecessor.js";
import { draftReport, type Draft, type ImportReport } from "./report.js";
import { rulesOfConditions, rulesOfPolicy, type Translated } from "./rules.js";

/** The public keys that nsecbunkerd's database knows, by the key's name. */
export const publicKeysIn = ({ Key }: Predecessor): Map<string, PublicKey> =>
  new Map(Key.filter(({ deletedAt, pubkey }) => deletedAt === undefined && isPublicKey(pubkey)).map(({ keyName, pubkey }) => [keyName, pubkey]));

/**
 * Brings clients, policies and tokens of nsecbunkerd's database, each once, all or none. Keys come first: what belongs to a key that is not in the store is left out, and comes another time.
 *
 * Revoked clients stay revoked, redeemed tokens stay redeemed. Each client gets a policy of its own with what it was allowed.
 */
export function importDatabase(old: Predecessor, store: Store, now: Time): ImportReport {
  const report = draftReport();
  for (const { what, why } of old.unreadable) report.leave(what, `it cannot be read: ${why}`, "error");
  store.atomically(() => {
    const names = new Set(store.keys.all().map(({ name }) => name));
    for (const user of old.KeyUser) once(store, report, `client/${user.keyName}/${user.userPubkey}`, () => bringClient(user, old, store, names, now, report));
    for (const policy of old.Policy) once(store, report, markOf(policy), () => bringPolicy(policy, old, store, report));
    for (const token of old.Token) once(store, report, `token/${createHash("sha256").update(token.token).digest("hex")}`, () => bringToken(token, old, store, names, report));
  });
  return report.done();
}

/** @param bring returns what it became, or undefined when it did not come: it may another time */
function once(store: Store, report: Draft, mark: string, bring: () => number | undefined): void {
  if (store.imports.has(`nsecbunkerd/${mark}`)) return report.seen();
  const id = bring();
  if (id !== undefined) store.imports.mark(`nsecbunkerd/${mark}`, id);
}

const markOf = ({ id, createdAt, name }: OldPolicy): string => `policy/${id}/${createdAt}/${name}`;

const isPublicKey = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);
const noKey = (keyName: string): string => `there is no key named ${keyName} here`;

function bringClient(user: OldUser, old: Predecessor, store: Store, names: ReadonlySet<string>, now: Time, report: Draft): number | undefined {
  const { keyName, userPubkey: publicKey, description, createdAt, lastUsedAt } = user;
  const what = `client ${publicKey} of ${keyName}`;
  const leave = (why: string): undefined => report.leave(what, why);
  if (!names.has(keyName)) return leave(noKey(keyName));
  if (!isPublicKey(publicKey)) return leave("its public key is none");
  if (store.clients.find(keyName, publicKey) !== undefined) return leave("it is a client here already, and stays as it is");
  const name = description === undefined || description.trim() === "" ? `client ${publicKey.slice(0, 8)}` : description;
  const conditions = rulesOfConditions(old.SigningCondition.filter(({ keyUserId }) => keyUserId === user.id));
  const policyId = conditions.rules.length === 0 ? undefined : addPolicy(store, report, `${name} of ${keyName}`, conditions, undefined);
  if (policyId === undefined) reportRules(report, what, conditions);
  const revokedAt = user.revokedAt ?? (conditions.rejected ? now : undefined);
  const { id } = store.imports.client({
    keyName, publicKey, name, createdAt, ...(policyId !== undefined && { policyId }), ...(lastUsedAt !== undefined && { lastUsedAt }), ...(revokedAt !== undefined && { revokedAt }),
  });
  report.bring(`${what}${revokedAt === undefined ? "" : ", revoked"}${policyId === undefined ? ", allowed nothing" : ""}`);
  if (tokenPolicies(user, old).some((policy) => policy.expiresAt !== undefined || old.PolicyRule.some((rule) => rule.policyId === policy.id && rule.maxUsageCount !== undefined)))
    report.warn(`The ${what} came by a policy that expires or caps its use. nsecbunkerd never enforced that, and it was not brought: update the policy "${name} of ${keyName}".`);
  return id;
}

const tokenPolicies = (user: OldUser, old: Predecessor): OldPolicy[] =>
  old.Policy.filter(({ id }) => old.Token.some((token) => token.keyUserId === user.id && token.policyId === id));

function bringPolicy(policy: OldPolicy, old: Predecessor, store: Store, report: Draft): number | undefined {
  if (policy.deletedAt !== undefined) return report.leave(`policy ${policy.name}`, "it was deleted");
  return addPolicy(store, report, policy.name, rulesOfPolicy(old.PolicyRule.filter(({ policyId }) => policyId === policy.id)), policy.expiresAt);
}

function bringToken(token: OldToken, old: Predecessor, store: Store, names: ReadonlySet<string>, report: Draft): number | undefined {
  const { keyName, clientName, createdAt, updatedAt, expiresAt, redeemedAt } = token;
  const what = `token ${token.id} for ${clientName} of ${keyName}`;
  const leave = (why: string): undefined => report.leave(what, why);
  if (!names.has(keyName)) return leave(noKey(keyName));
  if (token.deletedAt !== undefined) return leave("it was deleted");
  const policy = old.Policy.find(({ id }) => id === token.policyId);
  const policyId = policy && store.imports.idOf(`nsecbunkerd/${markOf(policy)}`);
  if (policyId === undefined) return leave("its policy was deleted or cannot be read: it could not be redeemed");
  const redeemedBy = old.KeyUser.find(({ id }) => id === token.keyUserId)?.userPubkey;
  const { id } = store.imports.token({
    keyName, clientName, policyId, createdAt, updatedAt, ...(expiresAt !== undefined && { expiresAt }),
    ...(redeemedAt === undefined ? { secret: token.token } : { redeemedAt, ...(redeemedBy !== undefined && { redeemedBy }) }),
  });
  report.bring(`${what}${redeemedAt === undefined ? "" : ", redeemed"}`);
  if (redeemedAt === undefined) report.warn(`The ${what} can still be redeemed, and nsecbunkerd drew its secret from Math.random: withdraw it and make another.`);
  return id;
}

function addPolicy(store: Store, report: Draft, name: string, translated: Translated, expiresAt: Time | undefined): number {
  reportRules(report, `policy ${name}`, translated);
  report.bring(`policy ${name}`);
  return store.policies.add({ name, ...(expiresAt !== undefined && { expiresAt }), rules: translated.rules }).id;
}

function reportRules(report: Draft, of: string, { leftOut }: Translated): void {
  for (const why of leftOut) report.leave(`a rule of ${of}`, why);
}
