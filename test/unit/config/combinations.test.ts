import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { combinationFindings, identityFindings, worksOn } from "../../../config/combinations.js";
import { nodeSchema } from "../../../config/schema.js";
import type { FileIdentity } from "../../../formats/identity.js";
import type { Network } from "../../../formats/place.js";
import type { Service } from "../../../formats/services.js";

const hostKey = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"h".repeat(43)}`;

/** What is found in a node that has these keys beside the usual ones, as lines. */
function found(node: Record<string, unknown>, network: Network = "mainnet"): string[] {
  const parsed = nodeSchema.parse({
    host: { commodity: { address: "10.231.9.10", hostKey } }, identity: "seed.json",
    backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: "p" }, ...node,
  });
  return combinationFindings("alice", parsed, network).map(({ path, found: what, wanted }) => `${path.replace("holdfast:nodes.alice.", "")}: ${what} ${wanted}`);
}

describe("what goes together on a node", () => {
  it("is anything that nix-bitcoin can run at once", () => {
    expect(found({})).toEqual([]);
    expect(found({ tunnel: "none" })).toEqual([]);
    expect(found({ tunnel: "none", nixos: { isolation: "netns" } })).toEqual([]);
    expect(found({
      services: ["lnd", "clightning", "lightning-loop", "fulcrum", "btcpayserver", "rtl", "mempool", "joinmarket", "joinmarket-ob-watcher", "liquidd", "nodeinfo"],
      nixos: { preset: "hardened", tor: "optional", published: ["btcpayserver", "rtl", "mempool"], dataVolume: "/dev/disk/by-id/b", disks: { layout: "single", disk: "/dev/disk/by-id/a" } },
    })).toEqual([]);
  });

  it.each<[string, Record<string, unknown>, Network, string]>([
    ["network namespaces beside the tunnel", { nixos: { isolation: "netns" } }, "mainnet", 'nixos.isolation: "netns" hides every service from the tunnel (tunnel), and its iptables rules do nothing beside the tunnel\'s nftables; wants tunnel: none beside it, or none'],
    ["SSH through a tunnel that is not there", { tunnel: "none", ssh: { from: "tunnel" } }, "mainnet", 'ssh.from: "tunnel" would leave no way in, for the node has no tunnel (tunnel is none); wants internet, or a tunnel'],
    ["a page in a tunnel that is not there", { tunnel: "none", services: ["lnd", "rtl"], nixos: { published: ["rtl"] } }, "mainnet", 'nixos.published: "rtl" would answer inside the tunnel alone, and the node has none (tunnel is none); wants to be left out and reached over SSH'],
    ["the tunnel's service without a tunnel", { tunnel: "none", services: ["lnd", "wireguard"] }, "mainnet", 'services: "wireguard" is the tunnel, and tunnel is none; wants to be left out, or a tunnel'],
    ["a bunker without relays", { services: ["lnd", "bunker"] }, "mainnet", 'services: "bunker" wants to know its relays; wants bunker: { relays: [wss://…], admins: [npub1…] } beside the services, or to be left out'],
    ["a bunker's relays without a bunker", { bunker: { relays: ["wss://relay.example.org"] } }, "mainnet", 'is for the service bunker, which is not among the services (services); wants it there too, or not here'],
    ["a bunker whose relay is in clear", { services: ["lnd", "bunker"], bunker: { relays: ["wss://relay.example.org", "ws://relay.example.org", "ws://127.0.0.1:7777", "ws://abcdefgh.onion", "ws://10.10.0.2"] } }, "mainnet", 'bunker.relays.1: "ws://relay.example.org" is not encrypted on its way'],
    ["a bunker whose relay is in a private network, in clear", { services: ["lnd", "bunker"], bunker: { relays: ["ws://10.231.0.1:7777"] } }, "mainnet", 'bunker.relays.0: "ws://10.231.0.1:7777" is not encrypted on its way'],
    ["two Electrum servers", { services: ["lnd", "electrs", "fulcrum"] }, "mainnet", 'services: ["electrs","fulcrum"] both serve Electrum on port 50001; wants one of them'],
    ["a page of a service that is not there", { nixos: { published: ["rtl"] } }, "mainnet", 'nixos.published: "rtl" is not among the services (services); wants it there too, or not here'],
    ["two Lightning daemons on one port", { services: ["lnd", "clightning"], lightning: { clightningPort: 9735 } }, "mainnet", "lightning.clightningPort: 9735 is the port of lightning.p2pPort; wants another one"],
    ["mempool without an Electrum server", { services: ["lnd", "mempool"] }, "mainnet", 'services: "mempool" stands on electrs or fulcrum, which is not among the services; wants one of them too'],
    ["an order book without its market", { services: ["lnd", "joinmarket-ob-watcher"] }, "mainnet", 'services: "joinmarket-ob-watcher" stands on joinmarket, which is not among the services; wants it too'],
    ["a node without LND", { services: ["clightning"] }, "mainnet", 'services: ["clightning"] has no lnd, and the gate opens a node by LND\'s wallet (identity); wants lnd among them'],
    ["a replica without a destination", { services: ["lnd", "clightning", "clightning-replication"] }, "mainnet", 'services: "clightning-replication" has no destination that a stack could name yet; wants to be left out'],
    ["copies of a live channel.db", { services: ["lnd", "backups"] }, "mainnet", 'services: "backups" would copy LND\'s live channel.db'],
    ["a data volume that is no service", { services: ["lnd", "data-volume"] }, "mainnet", "wants that key instead"],
    ["mempool on regtest", { services: ["lnd", "electrs", "mempool"] }, "regtest", 'services: "mempool" does not work on regtest (holdfast:network); wants to be left out, or one of the networks mainnet, testnet4, signet'],
    ["Liquid on testnet4", { services: ["lnd", "liquidd"] }, "testnet4", 'services: "liquidd" does not work on testnet4'],
    ["REST on bitcoind's RPC port", { lightning: { restPort: 8332 } }, "mainnet", "lightning.restPort: 8332 is the port of bitcoind's RPC; wants another one"],
    ["REST on SSH's port", { lightning: { restPort: 22 } }, "mainnet", "lightning.restPort: 22 is the port of SSH"],
    ["REST where RTL listens, published or not", { services: ["lnd", "rtl"], lightning: { restPort: 3000 } }, "mainnet", "lightning.restPort: 3000 is the port of rtl"],
    ["a data volume that an installation would wipe", { nixos: { disks: { layout: "mirror", disks: ["/dev/disk/by-id/a", "/dev/disk/by-id/b"] }, dataVolume: "/dev/disk/by-id/b" } }, "mainnet", "is a disk of nixos.disks, which an installation wipes; wants another one"],
    ["a mirror of one disk", { nixos: { disks: { layout: "mirror", disks: ["/dev/disk/by-id/a", "/dev/disk/by-id/a"] } } }, "mainnet", "are one disk; wants two"],
  ])("is never %s", (_, node, network, words) => {
    const lines = found(node, network);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(words);
  });

  it("is on each network what the Nix module says as well", () => {
    const nix = JSON.parse(readFileSync("nix/modules/network/works-on.json", "utf8")) as Record<string, { networks: string[] }>;
    expect(Object.fromEntries(Object.entries(nix).map(([service, { networks }]) => [service, networks]))).toEqual(worksOn);
  });
});

describe("identities of a node", () => {
  const identity = (kind: "onion-key" | "cln-hsm-secret", name: string): FileIdentity => ({
    format: "holdfast-identity/1", environment: "dev", network: "regtest", node: "alice", recipient: "age1x", made: "2026-01-01T00:00:00Z", sealed: "-----BEGIN AGE ENCRYPTED FILE-----", kind, name, publicIdentity: "x",
  });
  const lines = (services: readonly Service[], ...identities: readonly FileIdentity[]): string[] => identityFindings("alice", services, identities).map(({ path, found: what, wanted }) => `${path} ${what} ${wanted}`);

  it("may be an onion key for each of its services that has an address", () => {
    expect(lines(["bitcoind", "lnd", "electrs"], identity("onion-key", "lnd"), identity("onion-key", "electrs"))).toEqual([]);
  });

  it.each(["main", "sshd", "fulcrum", "rtl"])("are no onion key called %s, which nothing on the node would serve", (name) => {
    expect(lines(["bitcoind", "lnd", "rtl"], identity("onion-key", name))).toEqual([expect.stringMatching(new RegExp(`^holdfast:nodes\\.alice\\.identities "onion-key ${name}" is named after no onion service of this node .*bitcoind, btcpayserver, clightning`))]);
  });

  it("are no key of a bunker that is not there", () => {
    const key = { ...identity("onion-key", "shop"), kind: "nsec" as const };
    expect(lines(["lnd", "bunker"], key)).toEqual([]);
    expect(lines(["lnd"], key)).toEqual([expect.stringMatching(/^holdfast:nodes\.alice\.identities "nsec shop" is a key of the bunker's, and the node has none \(services\)/)]);
  });

  it("have an hsm_secret where Core Lightning runs", () => {
    expect(lines(["lnd", "clightning"])).toHaveLength(1);
    expect(lines(["lnd", "clightning"], identity("cln-hsm-secret", "main"))).toEqual([]);
  });
});
