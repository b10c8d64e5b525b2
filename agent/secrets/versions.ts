import { z } from "zod";
import type { OlderBundle } from "../../formats/step.js";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { withLock } from "../lock.js";
import { thisHost, type Site } from "../site.js";
import { secretsLock } from "./leftovers.js";

const version = z.int().positive();
const versionsSchema = z.strictObject({
  format: z.literal("holdfast-secrets-versions/1"),
  /** The highest that was ever committed here. Never falls, also when an older one was accepted. */
  highest: version.optional(),
  /** Refused last, by a delivery or by the gate: the only one that the operator's word can be about. */
  refused: version.optional(),
  /** The operator's word. `given` lets one delivery in; the gate takes that version for good. */
  accepted: z.strictObject({ version, state: z.enum(["given", "used"]) }).optional(),
});
export type SecretsVersions = z.infer<typeof versionsSchema>;

/** All that is kept of versions, the committed bundle apart. */
type Ground = Pick<Site, "disk" | "layout">;

export async function readVersions({ disk, layout }: Ground): Promise<SecretsVersions> {
  const text = await disk.readText(layout.secretsVersions);
  return text === undefined ? { format: "holdfast-secrets-versions/1" } : parseFormat(versionsSchema, layout.secretsVersions, text);
}

/** To be called under the lock on secrets. What stays the same touches nothing. */
async function change(ground: Ground, changes: Partial<SecretsVersions>): Promise<void> {
  const before = await readVersions(ground);
  const text = printFormat(versionsSchema, { ...before, ...changes });
  if (text !== printFormat(versionsSchema, before)) await ground.disk.writeWhole(ground.layout.secretsVersions, text, 0o600);
}

/** Notes what was committed: to be called under the lock, again and again. */
export async function noteCommitted(ground: Ground, committed: number): Promise<void> {
  await change(ground, { highest: Math.max(committed, (await readVersions(ground)).highest ?? 0) });
}

/** Notes a version that was refused: to be called under the lock. */
export const noteRefused = (ground: Ground, refused: number): Promise<void> => change(ground, { refused });

/** Notes that a delivery made use of the operator's word: to be called under the lock. */
export async function noteDelivered(ground: Ground, delivered: number): Promise<void> {
  if ((await readVersions(ground)).accepted?.version === delivered) await change(ground, { accepted: { version: delivered, state: "used" } });
}

const inputSchema = z.strictObject({ version: version.optional() });

/**
 * The operator's word that one older bundle is right. Without a version it only tells what was refused.
 *
 * @param input JSON: `{ version? }`
 * @throws when another version than that was refused last
 */
export async function acceptOlder(input: string, site: Site = thisHost): Promise<OlderBundle> {
  const asked = parseFormat(inputSchema, "what accept-older was asked", input).version;
  return withLock(secretsLock(site), { purpose: "a note on versions of secrets", wait: 30_000 }, async () => {
    if (asked !== undefined) {
      const { refused } = await readVersions(site);
      if (refused !== asked) throw new Error(`this host has refused ${refused === undefined ? "no bundle of secrets" : `the bundle of ${dateOf(refused)} last`}, and not that of ${dateOf(asked)}. Nothing was noted; look again.`);
      await change(site, { accepted: { version: asked, state: "given" } });
    }
    const { refused, highest, accepted } = await readVersions(site);
    return { refused: refused ?? null, highest: highest ?? null, accepted: accepted?.version ?? null };
  });
}

/** When a version was sealed, for people. */
export const dateOf = (of: number): string => new Date(of).toISOString();
