import { z } from "zod";
import { clientMethods, type Rule } from "../model.js";
import { publicKeyIn, secretKeyIn } from "../settings.js";
import type { Param } from "./method.js";

/** A text for people: no control characters, not longer than fits a line. */
const label = z.string().trim().min(1, "wants a text").max(100, "wants at most 100 characters").regex(/^[^\p{Cc}]*$/u, "wants no control characters");
const id = z.string().regex(/^\d{1,15}$/, "wants a number").transform(Number);

export const keyName: Param<string> = { name: "key name", schema: label, shown: (value) => ({ keyName: value }) };
export const passphrase: Param<string> = { name: "passphrase", schema: z.string().min(1).max(1024, "wants at most 1024 characters") };
export const nsec: Param<Uint8Array | undefined> = { name: "nsec", schema: z.string().transform((text, issues) => secretKeyIn(text) ?? refuse(issues, "wants nsec1… or 64 hex digits")).optional() };
export const clientName: Param<string> = { name: "client name", schema: label, shown: (value) => ({ note: `client ${value}` }) };
export const policyId: Param<number> = { name: "policy id", schema: id, shown: (value) => ({ note: `policy ${value}` }) };
export const tokenId: Param<number> = { name: "token id", schema: id, shown: (value) => ({ note: `token ${value}` }) };
export const clientId: Param<number> = { name: "key user id", schema: id, shown: (value) => ({ note: `key user ${value}` }) };
export const client: Param<string> = { name: "public key", schema: z.string().transform((text, issues) => publicKeyIn(text) ?? refuse(issues, "wants npub1… or 64 hex digits")), shown: (value) => ({ note: `key user ${value}` }) };
export const hours: Param<number | undefined> = {
  name: "hours",
  schema: z.string().regex(/^\d{1,6}(\.\d{1,6})?$/, "wants a number of hours").transform(Number).refine((value) => value > 0, "wants more than 0 hours").optional(),
  shown: (value) => ({ note: `for ${value} hours` }),
};
export const uri: Param<string> = { name: "nostrconnect URI", schema: z.string().max(4096, "wants at most 4096 characters") };
export const recipients: Param<readonly string[]> = {
  name: "recipients",
  schema: z.string().regex(/^age1[0-9a-z]+(,age1[0-9a-z]+)*$/, "wants age recipients (age1…), with commas between").transform((text) => text.split(",")),
  shown: (value) => ({ note: `for ${value.join(", ")}` }),
};

const filterSchema = z.strictObject({ key: z.string(), who: z.string(), since: z.iso.datetime(), after: z.int().nonnegative(), limit: z.int().min(1).max(1000) }).partial();
export type AuditFilter = z.infer<typeof filterSchema>;
export const auditFilter: Param<AuditFilter | undefined> = { name: "filter", schema: json(filterSchema).optional() };

/** nsecbunkerd's words for methods that NIP-46 names otherwise today. */
const formerNames: Readonly<Record<string, string>> = { encrypt: "nip04_encrypt", decrypt: "nip04_decrypt" };

const count = z.int("wants a whole number").min(1, "wants at least 1");
const ruleSchema = z.strictObject({
  method: z.string().transform((text) => formerNames[text] ?? text).pipe(z.enum(clientMethods, `wants one of ${clientMethods.join(", ")}`)),
  /** nsecbunkerd keeps kinds as texts, and `all` for each. */
  kind: z.union([z.int().min(0).max(65_535), z.string().regex(/^\d{1,5}$/).transform(Number), z.literal("all").transform(() => undefined)], "wants a kind's number, or \"all\"").nullish(),
  counterparty: z.string().transform((text, issues) => publicKeyIn(text) ?? refuse(issues, "wants npub1… or 64 hex digits")).nullish(),
  use_count: count.nullish(),
  window_seconds: count.nullish(),
}).superRefine((rule, issues) => {
  if (rule.window_seconds != null && rule.use_count == null) issues.addIssue({ code: "custom", path: ["window_seconds"], message: "wants a use_count beside it" });
  if (rule.kind != null && rule.method !== "sign_event") issues.addIssue({ code: "custom", path: ["kind"], message: "belongs to sign_event alone" });
  if (rule.counterparty != null && !/^nip(04|44)_/.test(rule.method)) issues.addIssue({ code: "custom", path: ["counterparty"], message: "belongs to encryption and decryption alone" });
}).transform((rule): Omit<Rule, "id"> => ({
  method: rule.method,
  ...(rule.kind != null ? { kind: rule.kind } : {}),
  ...(rule.counterparty != null ? { counterparty: rule.counterparty } : {}),
  ...(rule.use_count != null ? { cap: { uses: rule.use_count, ...(rule.window_seconds != null ? { windowSeconds: rule.window_seconds } : {}) } } : {}),
}));

const policySchema = z.object({
  name: label,
  description: z.unknown().optional(),
  expires_at: z.iso.datetime({ offset: true, error: "wants a time such as 2027-01-31T12:00:00Z" }).transform((text) => Date.parse(text)).nullish(),
  rules: z.array(ruleSchema).max(200, "wants at most 200 rules"),
}).transform(({ name, expires_at, rules }) => ({ name, rules, ...(expires_at != null ? { expiresAt: expires_at } : {}) }));
export type GivenPolicy = z.infer<typeof policySchema>;
export const policy: Param<GivenPolicy> = { name: "policy", schema: json(policySchema), shown: (value) => ({ note: `policy ${value.name}, ${value.rules.length} rules` }) };

/** A text that is JSON of a shape. The text is in no error. */
function json<T>(schema: z.ZodType<T>): z.ZodType<T> {
  return z.string().transform((text, issues): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      // The parser's own words would quote what was given.
      return refuse(issues, "wants JSON");
    }
  }).pipe(schema as z.ZodType<T, unknown>);
}

function refuse(issues: { addIssue(message: string): void }, message: string): never {
  issues.addIssue(message);
  return z.NEVER;
}
