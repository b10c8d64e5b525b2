import { describe, expect, it } from "vitest";
import { configurationDigest, provenOnByDefault, releaseFindings, type Proven } from "../../../config/release.js";
import type { NodeSpecification } from "../../../config/specification.js";
import { nixosSchema } from "../../../formats/settings.js";
import { exampleNode } from "../components/recorder.js";

const { specification: node, remove } = exampleNode();
remove();
const of = (changes: Partial<NodeSpecification>): string => configurationDigest({ ...node, ...changes }, "sources");
const same = of({});
const disk = (name: string) => ({ layout: "single", disk: `/dev/disk/by-id/${name}` } as const);

describe("what is proven of a configuration", () => {
  it.each<[string, Partial<NodeSpecification>]>([
    ["name and id", { name: "bob", id: "bob-1" }],
    ["environment and network", { environment: "prod", network: "mainnet" }],
    ["host: address, key, generation", { host: { ...node.host, address: "10.9.9.9", hostKey: "ssh-ed25519 AAAAother", generation: 9 } }],
    ["peers, tunnel addresses and endpoint", { tunnel: { ...node.tunnel, network: "10.12.0.0/24", address: "10.12.0.1", endpoint: "node.example:51820", peers: [] } }],
    ["identity", { identity: { ...node.identity, nodePublicKey: `03${"cd".repeat(32)}` } }],
    ["alias and store", { lightning: { ...node.lightning, alias: "bob" }, backup: { ...node.backup, repository: "rest:https://10.0.0.1:8000/bob/" } }],
    ["order of services", { services: [...node.services].reverse() }],
  ])("does not depend on %s", (_, changes) => {
    expect(of(changes)).toBe(same);
  });

  it("does not depend on which disks, and does on their layout", () => {
    const digests = [disk("a"), disk("b"), { ...disk("a"), encrypted: true }].map((disks) => of({ nixos: nixosSchema.parse({ disks }) }));
    expect(digests[0]).toBe(digests[1]);
    expect(new Set([...digests, same]).size).toBe(3);
  });

  it("depends on everything that runs", () => {
    const digests = [
      same, configurationDigest(node, "other sources"), of({ services: [...node.services, "electrs"] }), of({ nixos: nixosSchema.parse({ preset: "hardened" }) }), of({ nixos: nixosSchema.parse({ published: ["rtl"] }) }),
      of({ nixos: nixosSchema.parse({ dataVolume: "/dev/disk/by-id/x" }) }), of({ sshFrom: "tunnel" }), of({ lightning: { ...node.lightning, p2pPort: 9999 } }), of({ tunnel: { ...node.tunnel, port: 5000 } }),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });
});

describe("a production stack", () => {
  const stack = { environment: "prod", nodes: [{ ...node, environment: "prod", network: "mainnet" } as NodeSpecification] };
  const statement = (environment: string, configuration: string) => ({ format: "holdfast-release/1", environment, network: "testnet4", proven: "2026-11-21T00:00:00.000Z", nodes: { t: { configuration, system: "/nix/store/x" } } } as const);
  const proven = (changes: Partial<Proven> = {}): Proven => ({ network: "testnet4", statements: [statement("testnet", same)], faults: [], ...changes });
  const refusal = (provenOn: string, records: Proven): string => releaseFindings(stack, provenOn, records, "sources").map(({ path, wanted }) => `${path} ${wanted}`).join("\n");

  it("wants a proof by default, and no other stack does", () => {
    expect(["mainnet", "testnet4", "signet", "regtest"].map((network) => provenOnByDefault(network as "mainnet"))).toEqual(["testnet", "none", "none", "none"]);
  });

  it("is free to go when a node of the test stack has proven each of its configurations", () => {
    expect(refusal("testnet", proven())).toBe("");
    expect(refusal("none", proven({ statements: [] }))).toBe("");
  });

  it.each([
    ["nothing was proven", "testnet", proven({ statements: [] }), /^holdfast:nodes\.alice wants .*holdfast up -s testnet, then holdfast release prove -s testnet; or say holdfast:release: \{ provenOn: none \}/],
    ["another configuration was", "testnet", proven({ statements: [statement("testnet", "0".repeat(64))] }), /holdfast up -s testnet/],
    ["another stack's proof was put there", "testnet", proven({ statements: [statement("dev", same)] }), /holdfast up -s testnet/],
    ["a proof does not count", "testnet", proven({ statements: [], faults: ["x.json is signed by none"] }), /proofs that do not count: x\.json is signed by none/],
    ["it names itself", "prod", proven(), /is this stack itself/],
    ["it names a mainnet stack", "other", proven({ network: "mainnet" }), /is on mainnet itself/],
    ["it names no stack", "tetsnet", proven({ network: undefined }), /write Pulumi\.tetsnet\.yaml/],
  ])("is refused when %s", (_, provenOn, records, words) => {
    expect(refusal(provenOn, records)).toMatch(words);
  });
});
