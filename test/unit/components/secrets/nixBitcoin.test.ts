import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { registry, secretsOf } from "../../../../components/secrets/registry.js";
import { services, serviceSchema } from "../../../../formats/services.js";

/** What nix-bitcoin's modules declare. Made by test/nixBitcoin/declared.mjs, never by hand. */
const declared = z.strictObject({
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  secrets: z.array(z.strictObject({ name: z.string(), user: z.string(), group: z.string(), permissions: z.string() })).min(20),
  services: z.record(z.string(), z.strictObject({ enables: z.array(serviceSchema), secrets: z.array(z.string()) })),
}).parse(JSON.parse(readFileSync(new URL("../../../nixBitcoin/declared.json", import.meta.url), "utf8")));

/** The preset for one phone lays the phone's private key on the node. Our own tunnel (`wireguard-node`, a preshared key for each peer) is there instead. */
const notOurs = declared.services["wireguard-preset"]!.secrets;

/** Files of the registry that nix-bitcoin knows nothing of. */
const oursAlone = ["lnd-macaroon-root-key", "wg-node-private-key", "backup-password", "backup-store-password", "data-volume-key", "root-disk-key", "bunker-passphrase", "bunker-admin-key"];

/** Services of ours alone. */
const ourServices = ["bunker", "wireguard", "offsite-backup", "data-volume", "encrypted-root"];

const byName = <T extends { readonly name: string }>(all: readonly T[]): T[] => [...all].sort((one, other) => (one.name < other.name ? -1 : 1));

describe("the registry beside nix-bitcoin's own declarations", () => {
  it("has the same files with the same owners and modes; what it has beyond is named here", () => {
    const ours = registry.filter(({ file }) => !oursAlone.includes(file)).map(({ file, owner, group, mode }) => ({ name: file, user: owner, group, permissions: mode.replace(/^0/, "") }));
    expect(byName(ours)).toEqual(byName(declared.secrets.filter(({ name }) => !notOurs.includes(name))));
    expect(registry.map(({ file }) => file)).toEqual(expect.arrayContaining(oursAlone));
  });

  it("gives a node of each service exactly what nix-bitcoin wants there", () => {
    for (const [name, { enables, secrets }] of Object.entries(declared.services).filter(([service]) => service !== "wireguard-preset")) {
      const ours = secretsOf(enables, []).map(({ file }) => file).filter((file) => !oursAlone.includes(file));
      expect(ours.sort(), name).toEqual([...secrets].sort());
    }
  });

  it("compares every service that nix-bitcoin has", () => {
    expect([...Object.keys(declared.services).filter((name) => name !== "wireguard-preset"), ...ourServices].sort()).toEqual([...services].sort());
  });
});
