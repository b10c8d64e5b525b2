import type { RootsContent } from "../../../../custody/deposit/roots.js";

/** The content of a node's export, sealed for these recipients. */
export const exampleContent = (recovery: string, change: Partial<RootsContent> = {}): RootsContent => ({
  place: { environment: "dev", network: "regtest", node: "alice-1", generation: 3 },
  name: "alice",
  roots: { "wireguard-node": { version: 1, value: "w".repeat(64) }, "lnd-tls-key": { version: 2, value: "t".repeat(64) }, "wireguard-peer-phone": { version: 1, value: "p".repeat(64) } },
  certificates: { "lnd-cert": "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n" },
  storePassword: "password-of-the-store",
  identities: [{
    format: "holdfast-identity/1", kind: "lnd-seed", environment: "dev", network: "regtest", node: "alice-1", nodePublicKey: `02${"ab".repeat(32)}`, recipient: `age1${"w".repeat(58)}`,
    made: "2026-11-21T00:00:00.000Z", sealed: "-----BEGIN AGE ENCRYPTED FILE-----\nseed\n-----END AGE ENCRYPTED FILE-----\n",
  }],
  recipients: { environment: `age1${"e".repeat(58)}`, recovery, wallet: `age1${"w".repeat(58)}` },
  versions: { format: "holdfast-versions/1", nodes: { "alice-1": { "lnd-tls-key": { version: 2, rotated: "2026-11-21T00:00:00.000Z" } } } },
  marks: { format: "holdfast-marks/1", tunnels: { "alice-1": "the key of alice's tunnel" }, made: { recovery: "2026-11-20T00:00:00.000Z" } },
  ...change,
});
