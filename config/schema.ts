import { z } from "zod";
import { nameSchema, networks } from "../formats/place.js";
import { serviceSchema } from "../formats/services.js";
import { nixosSchema } from "../formats/settings.js";
import { addressSchema, firstHostAddress, isHostAddress, networkSchema, npubSchema, pathSchema, portSchema, publicKeySchema, recipientSchema, relaySchema, repositorySchema } from "./text.js";

/** How a commodity host is reached: five facts known before first contact. */
export const hostSchema = z.strictObject({
  address: addressSchema,
  port: portSchema.default(22),
  user: nameSchema.default("root"),
  /** The host's own SSH key. No other key is ever accepted. */
  hostKey: publicKeySchema,
  /** Raised when a new machine takes the node over. */
  generation: z.int({ error: "wants a whole number" }).positive("wants 1 or more").default(1),
});
export type HostSpecification = z.infer<typeof hostSchema>;

const hetznerIdSchema = z.int({ error: "wants the id that Hetzner gave it" }).positive("wants the id that Hetzner gave it");

/** A server of a Hetzner Cloud project, made by the stack. Its token is no setting of ours: `hcloud:token`, or HCLOUD_TOKEN. */
export const hetznerSchema = z.strictObject({
  /** For good: neither addresses nor volumes can move. */
  location: z.string().regex(/^[a-z]{3}\d{0,2}$/, "wants a location of Hetzner's, such as fsn1, nbg1, hel1 or ash"),
  serverType: z.string().regex(/^[a-z]{2,4}\d{2,3}$/, "wants a server type of Hetzner's, such as cx33, cax21 or ccx13"),
  /** What a new server starts from. Another one takes effect with the next generation. */
  image: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/, "wants an image of Hetzner's, such as debian-13, or a snapshot's id").default("debian-13"),
  /** Raised, a new server takes the node over: with the node's address and data volume, and nothing else of the old one. */
  generation: z.int({ error: "wants a whole number" }).positive("wants 1 or more").default(1),
  /** For the bulk below /var/lib: encrypted, and outlives every server. */
  volume: z.strictObject({
    /** In GB. May grow. */
    size: z.int({ error: "wants a whole number of GB" }).min(10, "wants 10 to 10240 GB").max(10_240, "wants 10 to 10240 GB"),
    /** The word that this volume, and all data on it, may be deleted. */
    discard: hetznerIdSchema.optional(),
  }),
  /** A private network of the project, by its id. */
  network: z.strictObject({ id: hetznerIdSchema, ip: z.ipv4({ error: "wants an IPv4 address of the network" }).optional() }).optional(),
  /** Servers of one group run on different machines. */
  placementGroup: nameSchema.optional(),
  /** Against deletion, at Hetzner and in Pulumi: of server, addresses and firewall. YAML 1.1 reads `off` as false. */
  protection: z.preprocess((value) => (value === true ? "on" : value === false ? "off" : value), z.enum(["on", "off"], { error: "wants on or off" })).default("on"),
  /** The word that this address, which the last update left, is truly gone, and that the project is the right one all the same. */
  lost: hetznerIdSchema.optional(),
});
export type HetznerSpecification = z.infer<typeof hetznerSchema>;

/** Three hierarchies of keys that never mix. Environments share none of them. */
export const recipientsSchema = z.strictObject({
  /** Wraps the stack's passphrase. */
  environment: recipientSchema,
  /** A recipient of everything; its identity is never kept whole. */
  recovery: recipientSchema,
  /** Seals node identities; its identity never lies with the other two. */
  wallet: recipientSchema,
});
export type Recipients = z.infer<typeof recipientsSchema>;

/** In place of the values: a JSON file with the same keys. */
export const fileReferenceSchema = z.strictObject({ file: pathSchema });
const orFile = <T extends z.ZodType>(schema: T) => z.union([fileReferenceSchema, schema]);

/** A node's tunnel network unless its stack says otherwise. */
export const defaultTunnelNetwork = "10.10.0.0/24";

const tunnelSchema = z.strictObject({
  /** The node has the first address, peers have others. */
  network: networkSchema.default(defaultTunnelNetwork),
  port: portSchema.default(51820),
  /** `address:port` that peers dial, when it is not the host's own. */
  endpoint: z.string().regex(/^[^\s:]+:\d{1,5}$/, "wants address:port").optional(),
  peers: z.record(nameSchema, z.strictObject({ address: z.ipv4({ error: "wants an IPv4 address" }) })).default({}),
}, { error: "wants none, or a tunnel's settings (network, port, endpoint, peers)" }).superRefine(({ network, peers }, context) => {
  const taken = new Map([[firstHostAddress(network), "the node itself"]]);
  for (const [name, { address }] of Object.entries(peers)) {
    const path = ["peers", name, "address"];
    const owner = taken.get(address);
    if (!isHostAddress(network, address)) context.addIssue({ code: "custom", path, message: `wants a host address inside ${network}, the tunnel's network` });
    else if (owner !== undefined) context.addIssue({ code: "custom", path, message: `is taken by ${owner}; wants an address of its own` });
    taken.set(address, `peer ${name}`);
  }
});

const lightningSchema = z.strictObject({
  /** What other nodes see. Defaults to the node's name. */
  alias: z.string().min(1, "wants 1 to 32 characters").max(32, "wants 1 to 32 characters").optional(),
  p2pPort: portSchema.default(9735),
  /** Core Lightning's, where it runs beside LND. */
  clightningPort: portSchema.default(9736),
  restPort: portSchema.default(8080),
});

export const bitcoinSchema = z.strictObject({
  /** Nodes to connect to, `address:port`. None means the network's own discovery. */
  peers: z.array(z.string().regex(/^[^\s:]+:\d{1,5}$/, "wants address:port")).default([]),
});

/** The remote signer of Nostr keys (NIP-46). */
export const bunkerSchema = z.strictObject({
  /** Where clients and admins find it. */
  relays: z.array(relaySchema).min(1, "wants at least one relay (wss://…)"),
  /** Who may use its admin RPC; without any, the operator alone has a say, on the host. */
  admins: z.array(npubSchema).default([]),
});

export const backupSchema = z.strictObject({
  /** A restic repository without credentials, outside the host. */
  repository: repositorySchema,
  user: nameSchema,
  /** Holds the store's password, mode 0600. */
  passwordFile: pathSchema,
  /** PEM, when the store's certificate is its own. */
  certificateFile: pathSchema.optional(),
});

export const nodeSchema = z.strictObject({
  /** Keys derive from it: never changes, even when the node is renamed. Defaults to the node's name. */
  id: nameSchema.optional(),
  host: z.strictObject({ commodity: orFile(hostSchema).optional(), hetzner: hetznerSchema.optional() })
    .refine(({ commodity, hetzner }) => (commodity === undefined) !== (hetzner === undefined), { error: "wants either commodity (a machine that you have) or hetzner (a server that the stack makes)" }),
  /** The LND seed, sealed for the wallet recipient: what `holdfast wallet create` writes. */
  identity: pathSchema,
  /** Other node identities (hsm_secret, nsecs, onion keys), each sealed for the wallet recipient. */
  identities: z.array(pathSchema).default([]),
  lightning: lightningSchema.prefault({}),
  bitcoin: orFile(bitcoinSchema).prefault({}),
  /** For the service bunker. */
  bunker: bunkerSchema.optional(),
  /** `none`: no WireGuard, and nothing that answers inside a tunnel. */
  tunnel: z.union([z.literal("none"), tunnelSchema]).prefault({}),
  /** From where SSH answers. */
  ssh: z.strictObject({ from: z.enum(["internet", "tunnel"], { error: "wants internet or tunnel" }).default("internet") }).prefault({}),
  backup: orFile(backupSchema),
  /** What runs besides what every node has (bitcoind, the off-site backup, and the tunnel unless it is none), as nix-bitcoin names it. What goes together: config/combinations.ts. */
  services: z.array(serviceSchema).default(["lnd"]),
  /** How NixOS is set up; the rehearsal has none of it. */
  nixos: nixosSchema.prefault({}),
  /** The operator's word that an installation may wipe what lies on these disks: for one generation of the host, and no other. */
  wipe: z.strictObject({ generation: z.int().positive("wants 1 or more"), disks: z.array(z.string().startsWith("/dev/disk/by-id/", "wants a name below /dev/disk/by-id/")).min(1) }).optional(),
});

/** All of a stack's configuration, keys as in the stack file without `holdfast:`. */
export const stackSchema = z.strictObject({
  network: z.enum(networks, { error: `wants one of ${networks.join(", ")}` }),
  system: z.strictObject({
    /** The flake whose `holdfastSystems.<node>` is pushed. */
    flake: pathSchema.default("./nix"),
    /** Seconds that a new system has to prove itself before its host takes it back. */
    proofSeconds: z.int({ error: "wants a whole number of seconds" }).min(20, "wants 20 to 600 seconds").max(600, "wants 20 to 600 seconds").default(60),
  }).prefault({}),
  access: z.strictObject({
    /** Who may log in as root. */
    authorizedKeys: orFile(z.array(publicKeySchema).min(1, "wants at least one key")),
    /** The private key of the deploy machine; OpenSSH's own defaults and agent when absent. */
    identityFile: pathSchema.optional(),
  }),
  recipients: orFile(recipientsSchema),
  /** The stack on which the same configuration must have been proven first, or `none`. For mainnet `testnet` when absent, for others none. */
  release: z.strictObject({ provenOn: z.string().min(1, "wants a stack's name, or none") }).optional(),
  /** The folder of what the command writes about this environment: sealed passphrase, marks, versions, escrow kit, audit. `environments/<stack>` when absent. */
  records: pathSchema.optional(),
  /** Where the sealed roots go before anything starts: a folder that outlives this machine. */
  deposit: z.strictObject({ folder: pathSchema }),
  wallet: z.strictObject({
    /** The wallet's age identity in clear: for worthless coins alone. */
    identityFile: pathSchema,
  }).optional(),
  nodes: z.record(nameSchema, nodeSchema).refine((nodes) => Object.keys(nodes).length > 0, { error: "wants at least one node" }),
}).superRefine((stack, context) => {
  if (stack.wallet !== undefined && stack.network === "mainnet") {
    context.addIssue({ code: "custom", path: ["wallet", "identityFile"], message: "would leave mainnet's wallet identity in clear on this machine (holdfast:network is mainnet); wants to be removed" });
  }
});
export type StackConfiguration = z.infer<typeof stackSchema>;
export type NodeConfiguration = z.infer<typeof nodeSchema>;
