import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigurationRefused } from "../../../config/refusal.js";
import { marksOf } from "../../../config/marks.js";
import { specify } from "../../../config/specify.js";

const recipient = (letter: string): string => `age1${letter.repeat(58)}`;
const hostKey = (letter: string): string => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${letter.repeat(43)}`;
const identity = {
  format: "holdfast-identity/1", kind: "lnd-seed", environment: "dev", network: "regtest", node: "alice", nodePublicKey: `02${"ab".repeat(32)}`,
  recipient: recipient("w"), made: "2026-11-21T00:00:00.000Z", sealed: "-----BEGIN AGE ENCRYPTED FILE-----\n",
};
const files: Record<string, string> = { "seed.json": JSON.stringify(identity), "store-password": "secret" };

const valid = () => ({
  network: "regtest",
  access: { authorizedKeys: [hostKey("k")] as unknown },
  recipients: { environment: recipient("e"), recovery: recipient("r"), wallet: recipient("w") } as Record<string, unknown>,
  deposit: { folder: "/mnt/deposit" },
  nodes: {
    alice: {
      host: { commodity: { address: "10.231.9.10", hostKey: hostKey("h") } as Record<string, unknown> },
      identity: "seed.json",
      tunnel: { network: "10.10.0.0/24", peers: { phone: { address: "10.10.0.2" } } } as Record<string, unknown>,
      backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: "store-password" } as Record<string, unknown>,
    } as Record<string, unknown>,
  } as Record<string, Record<string, unknown>>,
});
type Input = ReturnType<typeof valid>;

const read = (path: string): string | undefined => files[path];
const refusal = (change: (input: Input) => void, others: Parameters<typeof specify>[3] = []): string => {
  const input = valid();
  change(input);
  try {
    specify("dev", input, read, others);
  } catch (error) {
    if (error instanceof ConfigurationRefused) return error.message;
    throw error;
  }
  return "accepted";
};

describe("a stack's configuration", () => {
  it("becomes a complete specification, with its defaults", () => {
    const stack = specify("dev", valid(), read, []);
    expect(stack.nodes[0]).toMatchObject({
      name: "alice", id: "alice", host: { port: 22, user: "root", generation: 1 }, lightning: { alias: "alice", p2pPort: 9735, restPort: 8080 },
      tunnel: { address: "10.10.0.1", prefixLength: 24, port: 51820, endpoint: "10.231.9.10:51820", peers: [{ name: "phone", address: "10.10.0.2" }] },
      sshFrom: "internet",
    });
  });

  it("has no tunnel, and no WireGuard among its services, when it says so", () => {
    const input = valid();
    input.nodes["alice"]!["tunnel"] = "none";
    const [node] = specify("dev", input, read, []).nodes;
    expect(node).not.toHaveProperty("tunnel");
    expect(node!.services).toEqual(["bitcoind", "offsite-backup", "lnd"]);
  });

  it("hands on where its bunker is found and who administers it", () => {
    const input = valid();
    const bunker = { relays: ["wss://relay.example.org/path"], admins: ["npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg"] };
    Object.assign(input.nodes["alice"]!, { bunker, services: ["lnd", "bunker"] });
    expect(specify("dev", input, read, []).nodes[0]).toMatchObject({ bunker, services: ["bitcoind", "wireguard", "offsite-backup", "lnd", "bunker"] });
    expect(specify("dev", valid(), read, []).nodes[0]).not.toHaveProperty("bunker");
  });

  it("without a tunnel takes no range from another environment", () => {
    const bare = (): Input => { const input = valid(); input.nodes["alice"]!["tunnel"] = "none"; return input; };
    expect(marksOf("dev", valid(), read).marks.filter(({ kind }) => kind === "tunnel-range")).toHaveLength(1);
    expect(marksOf("dev", bare(), read).marks.filter(({ kind }) => kind === "tunnel-range")).toEqual([]);
  });

  it("has a data volume's key when there is a data volume", () => {
    const input = valid();
    input.nodes["alice"]!["nixos"] = { dataVolume: "/dev/disk/by-id/scsi-data" };
    expect(specify("dev", input, read, []).nodes[0]!.services).toEqual(["bitcoind", "wireguard", "offsite-backup", "lnd", "data-volume"]);
  });

  it("takes values from a file that stands in their place", () => {
    const input = valid();
    input.nodes["alice"]!["host"] = { commodity: { file: "host.json" } };
    const stack = specify("dev", input, (path) => (path === "host.json" ? JSON.stringify({ address: "10.231.9.77", hostKey: hostKey("x"), generation: 3 }) : read(path)), []);
    expect(stack.nodes[0]!.host).toMatchObject({ address: "10.231.9.77", generation: 3 });
  });

  const host = (input: Input): Record<string, unknown> => (input.nodes["alice"]!["host"] as { commodity: Record<string, unknown> }).commodity;
  const tunnel = (input: Input): Record<string, unknown> => input.nodes["alice"]!["tunnel"] as Record<string, unknown>;

  it.each<[string, (input: Input) => void, readonly string[]]>([
    ["a tunnel that is neither one nor none", (input) => { input.nodes["alice"]!["tunnel"] = "off"; }, ["holdfast:nodes.alice.tunnel", 'found "off"', "wants none, or a tunnel's settings"]],
    ["an unknown key", (input) => { input.nodes["alice"]!["tunel"] = {}; }, ["holdfast:nodes.alice.tunel", "found {}", "no setting of ours"]],
    ["too little time for a proof", (input) => { Object.assign(input, { system: { proofSeconds: 5 } }); }, ["holdfast:system.proofSeconds", "found 5", "wants 20 to 600 seconds"]],
    ["an address that is none", (input) => { host(input)["address"] = "10.231.9"; }, ["holdfast:nodes.alice.host.commodity.address", 'found "10.231.9"', "wants an IPv4 address"]],
    ["a documentation address", (input) => { host(input)["address"] = "203.0.113.10"; }, ["host.commodity.address", "203.0.113.10", "reserved for documentation"]],
    ["a store at a documentation address", (input) => { (input.nodes["alice"]!["backup"] as Record<string, unknown>)["repository"] = "rest:https://203.0.113.20:8000/alice/"; }, ["backup.repository", "203.0.113.20", "reserved for documentation"]],
    ["a store with credentials in its address", (input) => { (input.nodes["alice"]!["backup"] as Record<string, unknown>)["repository"] = "rest:https://a:b@10.231.0.1:8000/alice/"; }, ["backup.repository", "without credentials"]],
    ["a port out of range", (input) => { tunnel(input)["port"] = 70000; }, ["holdfast:nodes.alice.tunnel.port", "found 70000", "from 1 to 65535"]],
    ["a name that is none", (input) => { input.nodes["Alice!"] = input.nodes["alice"]!; }, ["holdfast:nodes.Alice!", "lower-case"]],
    ["an unknown network", (input) => { input.network = "testnet3"; }, ["holdfast:network", '"testnet3"', "testnet4"]],
    ["a recipient that was never replaced", (input) => { input.recipients["wallet"] = "age1-REPLACE-ME"; }, ["holdfast:recipients.wallet", "age1-REPLACE-ME", "age-keygen"]],
    ["a host key that was never replaced", (input) => { host(input)["hostKey"] = "ssh-ed25519 REPLACE-ME"; }, ["host.commodity.hostKey", "REPLACE-ME", "OpenSSH public key"]],
    ["an identity in a recipient's place, without showing it", (input) => { input.recipients["wallet"] = `AGE-SECRET-KEY-1${"Q".repeat(58)}`; }, ["holdfast:recipients.wallet", "found a secret, which is not shown", "make a new one"]],
    ["recipients of both kinds", (input) => { input.recipients["recovery"] = `age1pq1${"q".repeat(1950)}`; }, ["holdfast:recipients.environment", "is a classical recipient, and holdfast:recipients.recovery is a post-quantum one", "--post-quantum"]],
    ["a token's recipient beside hybrid ones", (input) => { input.recipients = { environment: `age1yubikey1${"q".repeat(60)}`, recovery: `age1pq1${"q".repeat(1950)}`, wallet: `age1pq1${"w".repeat(1950)}` }; }, ["holdfast:recipients.environment", "is a classical recipient"]],
    ["two nodes with one id", (input) => { input.nodes["bob"] = { ...input.nodes["alice"], id: "alice", tunnel: { network: "10.12.0.0/24" } }; }, ["holdfast:nodes.bob.id", "is the id of node alice too"]],
    ["two nodes in one tunnel network", (input) => { input.nodes["bob"] = { ...input.nodes["alice"], tunnel: { network: "10.10.0.0/16" } }; }, ["holdfast:nodes.bob.tunnel.network", "overlaps holdfast:nodes.alice.tunnel.network", "tunnel.network of one of them"]],
    ["a recipient used twice", (input) => { input.recipients["recovery"] = recipient("e"); }, ["holdfast:recipients.recovery", "belongs to holdfast:recipients.environment"]],
    ["a peer outside its tunnel", (input) => { tunnel(input)["peers"] = { phone: { address: "10.11.0.2" } }; }, ["tunnel.peers.phone.address", "10.11.0.2", "inside 10.10.0.0/24"]],
    ["a peer with the node's address", (input) => { tunnel(input)["peers"] = { phone: { address: "10.10.0.1" } }; }, ["tunnel.peers.phone.address", "taken by the node itself"]],
    ["two peers with one address", (input) => { tunnel(input)["peers"] = { a: { address: "10.10.0.2" }, b: { address: "10.10.0.2" } }; }, ["tunnel.peers.b.address", "taken by peer a"]],
    ["a network with host bits", (input) => { tunnel(input)["network"] = "10.10.0.7/24"; }, ["tunnel.network", "10.10.0.7/24", "bits set behind its prefix"]],
    ["a missing host", (input) => { input.nodes["alice"]!["host"] = {}; }, ["holdfast:nodes.alice.host", "found {}", "either commodity", "or hetzner"]],
    ["a file that is not there", (input) => { input.nodes["alice"]!["host"] = { commodity: { file: "gone.json" } }; }, ["host.commodity.file", "gone.json", "not there"]],
    ["a seed that is not there", (input) => { input.nodes["alice"]!["identity"] = "gone.json"; }, ["nodes.alice.identity", "holdfast wallet create alice"]],
    ["Core Lightning without its secret", (input) => { input.nodes["alice"]!["services"] = ["lnd", "clightning"]; }, ["holdfast:nodes.alice.services", 'found "clightning"', "holdfast wallet create --kind cln-hsm-secret"]],
    ["what does not go together", (input) => { input.nodes["alice"]!["nixos"] = { isolation: "netns" }; }, ["holdfast:nodes.alice.nixos.isolation", 'found "netns"', "hides every service from the tunnel"]],
    ["a secret key in the place of a bunker's admin, without showing it", (input) => { input.nodes["alice"]!["bunker"] = { relays: ["wss://relay.example.org"], admins: ["nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"] }; }, ["holdfast:nodes.alice.bunker.admins.0", "found a secret, which is not shown", "make a new one"]],
    ["a mistyped admin of a bunker", (input) => { input.nodes["alice"]!["bunker"] = { relays: ["wss://relay.example.org"], admins: ["npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptq"] }; }, ["holdfast:nodes.alice.bunker.admins.0", "is no Nostr public key; wants npub1"]],
    ["a relay with a password in its address", (input) => { input.nodes["alice"]!["bunker"] = { relays: ["wss://me:pass@relay.example.org"] }; }, ["holdfast:nodes.alice.bunker.relays.0", "is no relay's address", "without credentials"]],
    ["a bunker without relays", (input) => { input.nodes["alice"]!["bunker"] = { relays: [] }; }, ["holdfast:nodes.alice.bunker.relays", "wants at least one relay"]],
    ["no node at all", (input) => { input.nodes = {}; }, ["holdfast:nodes", "at least one node"]],
    ["mainnet's wallet in clear", (input) => { input.network = "mainnet"; Object.assign(input, { wallet: { identityFile: "x" } }); }, ["holdfast:wallet.identityFile", "mainnet"]],
  ])("refuses %s, naming the path, what was found and what is wanted", (_, change, words) => {
    const message = refusal(change);
    for (const word of words) expect(message).toContain(word);
    expect(message).toContain("nothing was touched");
  });

  it("takes a token's recipient beside classical ones", () => {
    const input = valid();
    input.recipients["environment"] = `age1yubikey1${"q".repeat(60)}`;
    expect(specify("dev", input, read, []).recipients.environment).toMatch(/^age1yubikey1/);
  });

  it("takes marks, versions and the keys of others' tunnels from the records", () => {
    const marks = { format: "holdfast-marks/1", tunnels: { alice: "own=" }, made: {} };
    const stack = specify("dev", { ...valid(), records: "elsewhere" }, (path) => (path === "elsewhere/marks.json" ? JSON.stringify(marks) : read(path)), [
      { environment: "testnet", marks: [{ kind: "tunnel-key", path: "environments/testnet/marks.json: tunnels.bob", value: "theirs=" }], faults: [] },
    ]);
    expect(stack).toMatchObject({ records: "elsewhere", marks: { tunnels: { alice: "own=" } }, foreignMarks: { "theirs=": "environment testnet (its environments/testnet/marks.json: tunnels.bob)" } });
  });

  it("refuses the passphrase of another environment", () => {
    const other = { environment: "testnet", marks: [{ kind: "passphrase" as const, path: "x", value: "2".repeat(64) }], faults: [] };
    expect(() => specify("dev", valid(), read, [other], "2".repeat(64))).toThrow("found the passphrase of environment testnet; wants that of dev");
    expect(specify("dev", valid(), read, [other], "1".repeat(64)).environment).toBe("dev");
  });

  it("refuses another environment's recipient and names both places", () => {
    const message = refusal(() => undefined, [{ environment: "testnet", marks: [{ kind: "recipient", path: "holdfast:recipients.wallet", value: recipient("w") }], faults: [] }]);
    expect(message).toContain("holdfast:recipients.wallet");
    expect(message).toContain("environment testnet (its holdfast:recipients.wallet)");
  });

  it("refuses the seed of another environment, network or node, and one sealed for another wallet", () => {
    for (const [key, value] of [["environment", "prod"], ["network", "mainnet"], ["node", "bob"], ["recipient", recipient("q")]] as const) {
      files["other.json"] = JSON.stringify({ ...identity, [key]: value });
      expect(refusal((input) => { input.nodes["alice"]!["identity"] = "other.json"; })).toContain("holdfast:nodes.alice.identity");
    }
  });

  it("names every fault at once", () => {
    const message = refusal((input) => { host(input)["address"] = "x"; tunnel(input)["port"] = -1; });
    expect(message).toContain("address");
    expect(message).toContain("tunnel.port");
  });

  it("never fails in another way than by refusing, whatever it is given", () => {
    fc.assert(fc.property(fc.dictionary(fc.constantFrom("network", "nodes", "access", "recipients", "wallet", "system", "x"), fc.jsonValue()), (input) => {
      try {
        specify("dev", input, read, []);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigurationRefused);
      }
    }), { numRuns: 300 });
  });
});
