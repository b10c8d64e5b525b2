import { z } from "zod";

/** The chains a node can live on. `regtest` is the rehearsal's: its coins are worth nothing. */
export const networks = ["mainnet", "testnet4", "signet", "regtest"] as const;
export type Network = (typeof networks)[number];

/** Names of environments, nodes and peers: they become file, unit and resource names. */
export const nameSchema = z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, "wants a lower-case letter, then up to 30 letters, digits or hyphens");

/** Where a sealed thing belongs. What is sealed carries its place inside the ciphertext, and a host refuses what is meant for another. */
export const placeSchema = z.strictObject({
  environment: nameSchema,
  network: z.enum(networks),
  node: nameSchema,
  /** Counts the hosts that the node has had, from 1. */
  generation: z.int().positive(),
});
export type Place = z.infer<typeof placeSchema>;

/** The first thing in which two places differ, in words, or undefined when they are the same. */
export function placeDifference(meant: Place, found: Place): string | undefined {
  const differing = (["environment", "network", "node", "generation"] as const).find((key) => meant[key] !== found[key]);
  return differing && `${differing} ${String(meant[differing])}, and this host is ${differing} ${String(found[differing])}`;
}
