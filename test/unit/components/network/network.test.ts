import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rulesetOf } from "../../../../components/network/firewall.js";
import { adminMacaroon, lndconnect } from "../../../../components/network/lndconnect.js";
import { policyOf, policyRefusals } from "../../../../components/network/policy.js";
import { peerConfiguration } from "../../../../components/network/wireguard.js";
import { services, type Service } from "../../../../formats/services.js";
import { nixosSchema, type PolicyRule } from "../../../../formats/settings.js";

const node = {
  services: ["bitcoind", "lnd", "wireguard", "offsite-backup"] as Service[], nixos: nixosSchema.parse({}),
  lightning: { alias: "alice", p2pPort: 9735, restPort: 8080, clightningPort: 9736 },
  sshFrom: "internet" as const, tunnel: { network: "10.10.0.0/24", address: "10.10.0.1", prefixLength: 24, port: 51820, endpoint: "h:51820", peers: [] },
};
const rule = fc.record<PolicyRule>({
  name: fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/), protocol: fc.constantFrom("tcp" as const, "udp" as const), port: fc.integer({ min: 1, max: 65535 }), from: fc.constantFrom("internet" as const, "tunnel" as const),
});
const accepted = (ruleset: string): void => { execFileSync("nft", ["-c", "-f", "-"], { input: ruleset, stdio: ["pipe", "pipe", "pipe"] }); };

describe("the firewall policy", () => {
  it("opens SSH, Lightning and WireGuard to the internet, and LND's REST to the tunnel alone", () => {
    expect(policyOf(node).map(({ name, from }) => `${name} ${from}`)).toEqual(["ssh internet", "lightning internet", "wireguard internet", "lnd-rest tunnel"]);
  });

  it("of a node without a tunnel names SSH and Lightning alone", () => {
    const { tunnel: _, ...bare } = node;
    expect(policyOf(bare).map(({ name, from }) => `${name} ${from}`)).toEqual(["ssh internet", "lightning internet"]);
  });

  it("has no rule for a service that is not there", () => {
    expect(policyOf({ ...node, services: ["bitcoind", "wireguard"] }).map(({ name }) => name)).toEqual(["ssh", "wireguard"]);
    expect(policyOf({ ...node, nixos: { ...node.nixos, published: ["rtl"] } })).toEqual(policyOf(node));
  });

  it("opens Core Lightning's own port where it runs, and published pages to the tunnel alone, whatever else runs", () => {
    const all = policyOf({ ...node, services: [...services], nixos: { ...node.nixos, published: ["btcpayserver", "rtl", "mempool"] } });
    expect(all.map(({ name, port, from }) => `${name} ${port} ${from}`)).toEqual([
      "ssh 22 internet", "lightning 9735 internet", "clightning 9736 internet", "wireguard 51820 internet",
      "lnd-rest 8080 tunnel", "btcpayserver 23000 tunnel", "rtl 3000 tunnel", "mempool 60845 tunnel",
    ]);
    expect(policyRefusals(all)).toEqual([]);
    expect(policyOf({ ...node, services: [...services] }).filter(({ name }) => name === "btcpayserver")).toEqual([]);
  });

  it("never opens an RPC port, whoever asks", () => {
    for (const port of [8332, 10009, 18334, 18443, 9051]) {
      expect(policyRefusals(policyOf({ ...node, lightning: { ...node.lightning, p2pPort: port } }))[0]).toContain(`port ${port}`);
    }
    expect(policyRefusals(policyOf(node))).toEqual([]);
  });

  it("refuses two rules for one port", () => {
    expect(policyRefusals(policyOf({ ...node, lightning: { ...node.lightning, restPort: 9735 } }))[0]).toContain("both name tcp 9735");
  });
});

describe("the host's ruleset", () => {
  it("drops by default and names each rule of the policy once, the tunnel's behind its interface", () => {
    const ruleset = rulesetOf(policyOf(node));
    expect(ruleset).toContain("hook input priority filter; policy drop;");
    expect(ruleset).toContain("hook forward priority filter; policy drop;");
    expect(ruleset).toMatch(/^ {4}iifname != "wg-node" tcp dport 22 accept comment "ssh"$/m);
    expect(ruleset).toMatch(/^ {4}iifname "wg-node" tcp dport 8080 accept comment "lnd-rest"$/m);
    expect(ruleset.match(/dport/g)).toHaveLength(4);
  });

  it("is accepted by nft, whatever the policy", () => {
    accepted(rulesetOf(policyOf(node)));
    fc.assert(fc.property(fc.array(rule, { maxLength: 8 }), (policy) => { accepted(rulesetOf(policy)); }), { numRuns: 15 });
    expect(() => accepted("table inet holdfast { chain input { nonsense } }")).toThrow();
  });

  it("has another comment for another policy", () => {
    const comment = (policy: readonly PolicyRule[]): string => /comment "policy (\w+)"/.exec(rulesetOf(policy))![1]!;
    expect(comment(policyOf(node))).not.toBe(comment(policyOf({ ...node, sshFrom: "tunnel" })));
  });
});

describe("the host's rules for iptables", () => {
  const { tunnel: _, ...bare } = node;

  it("are those of the policy, each with its name, behind a comment with the digest of all", () => {
    expect(rulesetOf(policyOf(bare), "iptables").split("\n")).toEqual([
      expect.stringMatching(/^-A nixos-fw -m comment --comment "policy [0-9a-f]{32}"$/),
      "-A nixos-fw -p tcp -m tcp --dport 22 -m comment --comment ssh -j nixos-fw-accept",
      "-A nixos-fw -p tcp -m tcp --dport 9735 -m comment --comment lightning -j nixos-fw-accept",
      "",
    ]);
    const comment = (p2pPort: number): string => rulesetOf(policyOf({ ...bare, lightning: { ...bare.lightning, p2pPort } }), "iptables").split("\n")[0]!;
    expect(comment(9735)).not.toBe(comment(9736));
  });

  it("are refused where the policy speaks of a tunnel", () => {
    expect(() => rulesetOf(policyOf(node), "iptables")).toThrow(/rule lnd-rest is for the tunnel/);
  });
});

describe("a peer's configuration", () => {
  it("reaches the node's address and nothing else", () => {
    expect(peerConfiguration({ privateKey: "P=", presharedKey: "S=", address: "10.10.0.2", node: { publicKey: "N=", endpoint: "10.231.0.11:51820", address: "10.10.0.1" } })).toBe(
      "[Interface]\nPrivateKey = P=\nAddress = 10.10.0.2/32\n\n[Peer]\nPublicKey = N=\nPresharedKey = S=\nEndpoint = 10.231.0.11:51820\nAllowedIPs = 10.10.0.1/32\nPersistentKeepalive = 25\n");
  });
});

describe("lndconnect", () => {
  it("carries certificate and macaroon as base64url, and the address inside the tunnel", () => {
    const uri = new URL(lndconnect({ address: "10.10.0.1", port: 8080, certificate: "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n", rootKey: "00".repeat(32) }));
    expect(uri.protocol).toBe("lndconnect:");
    expect(uri.host).toBe("10.10.0.1:8080");
    expect(uri.searchParams.get("cert")).toBe("AQID");
    expect(Buffer.from(uri.searchParams.get("macaroon")!, "base64url").equals(adminMacaroon("00".repeat(32)))).toBe(true);
  });

  it("gives another macaroon for another root key", () => {
    expect(adminMacaroon("00".repeat(32)).equals(adminMacaroon("11".repeat(32)))).toBe(false);
  });
});
