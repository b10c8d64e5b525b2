import { z } from "zod";
import { fileIdentityKinds } from "./identity.js";
import { nameSchema, placeSchema } from "./place.js";
import { serviceSchema } from "./services.js";

const ipv4 = z.ipv4();
const port = z.int().min(1).max(65535);

/** One line of the firewall policy, as the host and the probes see it. */
export const policyRuleSchema = z.strictObject({
  name: nameSchema,
  protocol: z.enum(["tcp", "udp"]),
  port,
  /** `internet`: anyone. `tunnel`: WireGuard peers alone. */
  from: z.enum(["internet", "tunnel"]),
});
export type PolicyRule = z.infer<typeof policyRuleSchema>;

const disk = z.string().startsWith("/dev/disk/by-id/", "wants a name below /dev/disk/by-id/, which stays the same");

/** How NixOS is set up, beyond the services. The rehearsal's system has none of it. */
export const nixosSchema = z.strictObject({
  /** nix-bitcoin's preset; each has what the one before it has. */
  preset: z.enum(["secure-node", "hardened", "hardened-extended"]).default("secure-node"),
  /** `netns`: each service in a network namespace of its own (nix-bitcoin's netns-isolation). For a node without a tunnel. */
  isolation: z.enum(["none", "netns"]).default("none"),
  /** `enforced`: services reach the world through Tor alone. `optional`: they may use the clear net beside it. */
  tor: z.enum(["enforced", "optional"]).default("enforced"),
  /** Services with a web page that the tunnel's peers reach. Nobody else does. */
  published: z.array(z.enum(["btcpayserver", "rtl", "mempool"])).default([]),
  /** What disko makes of the disks at installation. `kept`: the host is NixOS already, and its own hardware configuration is used. */
  disks: z.discriminatedUnion("layout", [
    z.strictObject({ layout: z.literal("kept") }),
    z.strictObject({ layout: z.enum(["single", "hetzner"]), disk, encrypted: z.boolean().default(false) }),
    z.strictObject({ layout: z.literal("mirror"), disks: z.tuple([disk, disk]), encrypted: z.boolean().default(false) }),
  ]).default({ layout: "kept" }),
  /** A LUKS volume for the bulk below /var/lib, opened with the secret `data-volume-key`; never wiped by an installation. */
  dataVolume: disk.optional(),
});
export type NixosSettings = z.infer<typeof nixosSchema>;

/** Everything the stack hands to Nix and, as /etc/holdfast/settings.json, to the agent. Holds no secret: it goes into the Nix store. */
export const settingsSchema = z.strictObject({
  format: z.literal("holdfast-settings/1"),
  place: placeSchema,
  /** May log in as root: OpenSSH public key lines. */
  authorizedKeys: z.array(z.string().startsWith("ssh-").or(z.string().startsWith("sk-"))).min(1),
  lightning: z.strictObject({
    alias: z.string().min(1).max(32),
    /** The node id that the stack names: no other may open. */
    nodePublicKey: z.string().regex(/^0[23][0-9a-f]{64}$/),
    p2pPort: port,
    restPort: port,
    /** Core Lightning's port for other nodes, where it runs beside LND. */
    clightningPort: port.optional(),
  }),
  /** What runs. Without `wireguard` there is no `tunnel`. */
  services: z.array(serviceSchema).default(["bitcoind", "lnd", "wireguard", "offsite-backup"]),
  nixos: nixosSchema.prefault({}),
  /** Identities that lie in files: the gate opens nothing before each is in its place. */
  identities: z.array(z.strictObject({ kind: z.enum(fileIdentityKinds), name: nameSchema, publicIdentity: z.string() })).default([]),
  bitcoin: z.strictObject({
    /** Outbound peers, `address:port`; empty means the network's own discovery. */
    peers: z.array(z.string()),
    /** The RPC user that LND and the agent use; its password is in the bundle. */
    rpcUser: z.string(),
  }),
  /** For the service bunker: where it is found, and who administers it (npub1…). */
  bunker: z.strictObject({ relays: z.array(z.string()).min(1), admins: z.array(z.string()) }).optional(),
  /** Absent: the node has no tunnel. */
  tunnel: z.strictObject({
    /** The node's own address inside the tunnel. */
    address: ipv4,
    prefixLength: z.int().min(8).max(30),
    port,
    publicKey: z.string(),
    peers: z.array(z.strictObject({
      name: nameSchema,
      /** Absent: keys that must still prove themselves. Such a peer can make a handshake, and reaches nothing. */
      address: ipv4.optional(),
      publicKey: z.string(),
      /** The preshared key's file in the secrets directory; `wg-psk-<name>` when absent. */
      presharedKey: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/, "wants a plain file name").optional(),
    })),
  }).optional(),
  firewall: z.strictObject({
    policy: z.array(policyRuleSchema),
    /** What loads the ruleset, and what the agent asks for it. `iptables`: NixOS's own firewall, for nix-bitcoin's network namespaces. */
    backend: z.enum(["nftables", "iptables"]).default("nftables"),
    /**
     * Made from the policy. For nftables one table, `inet holdfast`, replaced as a whole; for iptables rules of NixOS's chain `nixos-fw`, one a line, as `iptables -S` prints them.
     * Either has a comment with the policy's digest.
     */
    ruleset: z.string(),
  }),
  backup: z.strictObject({
    /** As restic writes it, without credentials. */
    repository: z.string(),
    user: z.string(),
    /** PEM of the store's certificate, when it is not signed by a public authority. */
    certificate: z.string().optional(),
  }),
});
export type Settings = z.infer<typeof settingsSchema>;
export type TunnelSettings = NonNullable<Settings["tunnel"]>;
export type FirewallBackend = Settings["firewall"]["backend"];
