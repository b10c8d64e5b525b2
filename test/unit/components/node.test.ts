import * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Node } from "../../../components/node.js";
import { wireguardKeys } from "../../../components/secrets/derive.js";
import { secretId, secretsOf } from "../../../components/secrets/registry.js";
import type { SecretFile } from "../../../formats/bundle.js";
import { exampleNode, inputOf, isSecret, program, record, rootOf, steps, STORE_PASSWORD, valueOf, walletSeed, type Recorded } from "./recorder.js";

vi.mock("../../../components/system/sources.js", () => ({ sourcesDigest: (flake: string) => `digest of ${flake}` }));

let example: ReturnType<typeof exampleNode>;
let resources: Recorded[];
let node: Node;
beforeAll(async () => {
  const recorded = await record();
  resources = recorded.resources;
  example = exampleNode();
  node = new Node("alice", example, recorded.watch);
  await Promise.all([valueOf(node.summary), valueOf(node.peerConfigurations!), valueOf(node.lndconnect!)]);
});
afterAll(() => example.remove());

const HOST_STEPS = ["reach", "install", "contact", "seal", "deliver", "activate", "open"];
const step = (name: string): Recorded => steps(resources).find((one) => program(one) === name)!;

/** Every secret value of the node, derived as the node derives it. */
function derived(): Map<string, string> {
  const values = new Map<string, string>([["store password", STORE_PASSWORD]]);
  for (const secret of secretsOf(example.specification.services, example.specification.tunnel.peers).filter((one) => one.kind === "derived")) {
    const root = rootOf(`alice-secrets-${secret.rootOf ?? secret.id}-root`);
    values.set(secret.id, secret.value(root, secretId("alice-1", secret)));
    values.set(`${secret.id}'s root`, root);
  }
  for (const peer of ["phone", "laptop"]) {
    const root = rootOf(`alice-tunnels-${peer}-root`);
    values.set(`${peer}'s private key`, wireguardKeys(root, `alice-1/wireguard-peer-${peer}/1`).privateKey).set(`${peer}'s root`, root);
  }
  return values;
}
/** The names of the node's secrets that a text holds, as they are or in base64. */
const leaked = (text: string): string[] => [...derived()].flatMap(([name, value]) =>
  ([value, JSON.stringify(value).slice(1, -1), Buffer.from(value).toString("base64")].some((form) => text.includes(form)) ? [name] : []));

describe("every step of a node", () => {
  it("is one program's run, in the order of a rebuild, and each program runs once", () => {
    expect(steps(resources).map(program).sort()).toEqual([...HOST_STEPS, "certify", "hold", "deposit"].sort());
    for (const { inputs } of steps(resources)) expect(inputs["create"]).toMatch(/^node dist\/steps\/[a-z]+\.js$/);
  });

  it("has no delete, no update, no environment and no other way in than a secret stdin", () => {
    for (const { name, inputs } of steps(resources)) {
      expect(Object.keys(inputs).sort().filter((key) => key !== "triggers"), name).toEqual(["addPreviousOutputInEnv", "create", "logging", "stdin"]);
      expect(inputs["stdin"], name).toEqual({ secret: expect.any(String) as string });
      expect(inputs["logging"], name).toBe("stderr");
    }
  });

  it("runs anew on another host generation when it works on the host, and only then", () => {
    for (const name of HOST_STEPS) expect(step(name).inputs["triggers"], name).toEqual([3]);
    for (const name of ["certify", "hold", "deposit"]) expect(step(name).inputs["triggers"], name).toBeUndefined();
  });

  it("is gone with its host, without a word to it; the one that finds the host is the host's own", () => {
    for (const name of HOST_STEPS.filter((one) => one !== "reach")) expect(step(name).options.deletedWith, name).toBeDefined();
    for (const name of ["reach", "certify", "hold", "deposit"]) expect(step(name).options.deletedWith, name).toBeUndefined();
  });

  it("keeps what it was given and what it said secret", () => {
    for (const { name, options } of steps(resources)) expect(options.additionalSecretOutputs, name).toEqual(["stdin", "stdout", "stderr"]);
  });

  it("looks back at its last output only where a held identity must not change, and where a certificate is kept", () => {
    expect(steps(resources).filter(({ inputs }) => inputs["addPreviousOutputInEnv"] === true).map(program).sort()).toEqual(["certify", "hold"]);
  });
});

describe("what must never be lost", () => {
  it("is protected: the identity, and the roots of what exists already elsewhere", () => {
    const guarded = resources.filter(({ options }) => options.protect === true).map(({ name }) => name);
    expect(guarded.sort()).toEqual(["alice-lnd-seed-hold", "alice-secrets-backup-password-root", "alice-secrets-lnd-macaroon-root-key-root", "alice-secrets-lnd-wallet-password-root"]);
  });
});

describe("secrets", () => {
  it("are in no component's own inputs", () => {
    const components = resources.filter(({ type }) => type.startsWith("holdfast:"));
    expect(components.length).toBeGreaterThan(7);
    for (const { name, inputs } of components) expect(inputs, name).toEqual({});
  });

  it("are nowhere in clear: no resource has one outside its secret inputs", () => {
    for (const { name, inputs } of resources) {
      const { stdin: _, ...clear } = inputs;
      expect(leaked(JSON.stringify(clear)), name).toEqual([]);
    }
    expect(leaked(JSON.stringify(inputOf(resources, "seal")))).toContain("lnd-wallet-password");
  });

  it("are not in the settings, which go into the Nix store; nor is the wallet's seed, sealed or not", () => {
    const { settings, ...rest } = inputOf(resources, "install");
    expect(JSON.stringify(settings)).toContain("holdfast-settings/1");
    expect(leaked(JSON.stringify([settings, rest]))).toEqual([]);
    expect(JSON.stringify([settings, rest])).not.toContain(walletSeed);
  });

  it("reach the sealing of the bundle alone, but for the certificate's key and the sealed bundle itself; roots reach the deposit", () => {
    const seen = Object.fromEntries(steps(resources).map((one) => [program(one), leaked(JSON.stringify(inputOf(resources, program(one))))]));
    const { seal, certify, deposit, ...others } = seen;
    const roots = [...derived().keys()].filter((name) => name.endsWith("'s root"));
    expect([...deposit!].sort()).toEqual(["store password", ...roots].sort());
    expect(seal).toEqual(expect.arrayContaining(["store password", "wireguard-node", "wireguard-psk-phone"]));
    expect(certify).toEqual(["lnd-tls-key"]);
    for (const [name, found] of Object.entries(others)) expect(found, name).toEqual([]);
  });

  it("include no root and no peer's private key where the bundle is made", () => {
    const bundle = inputOf(resources, "seal")["bundle"] as { readonly files: readonly SecretFile[] };
    const texts = bundle.files.map(({ content }) => Buffer.from(content, "base64").toString()).join("\n");
    expect(leaked(texts).filter((name) => name.includes("root") && name !== "lnd-macaroon-root-key")).toEqual([]);
    expect(leaked(texts).filter((name) => name.includes("private key"))).toEqual([]);
    expect(bundle.files).toHaveLength(secretsOf(example.specification.services, example.specification.tunnel.peers).length);
  });

  it("come out as secret outputs, and the summary as none", async () => {
    expect(await isSecret(node.peerConfigurations!)).toBe(true);
    expect(await isSecret(node.lndconnect!)).toBe(true);
    expect(await isSecret(node.summary)).toBe(false);
    expect(leaked(JSON.stringify(await valueOf(node.summary)))).toEqual([]);
  });

  it("would be found if one leaked", () => {
    expect(leaked(`x ${[...derived().values()][3]!} y`)).not.toEqual([]);
  });
});

describe("the deposit of the roots", () => {
  it("has every root with its version, what is public of the node, and nothing that an update notes afterwards", () => {
    expect(inputOf(resources, "deposit")).toMatchObject({
      folder: "deposit/dev", records: ".holdfast/dev",
      content: {
        place: { environment: "dev", network: "regtest", node: "alice-1", generation: 3 }, name: "alice", storePassword: STORE_PASSWORD, recipients: example.stack.recipients,
        identities: [{ kind: "lnd-seed", nodePublicKey: example.specification.identity.nodePublicKey }], versions: { nodes: { "alice-1": {} } },
        certificates: { "lnd-cert": expect.stringContaining("BEGIN CERTIFICATE") as string },
        roots: { "wireguard-node": { version: 1, value: rootOf("alice-secrets-wireguard-node-root") }, "wireguard-peer-phone": { version: 1, value: rootOf("alice-tunnels-phone-root") } },
        marks: { tunnels: { "alice-1": expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/) as string } },
      },
    });
  });

  it("comes before the bundle and before the activation", () => {
    const bundle = resources.find(({ name }) => name === "alice-bundle")!;
    const isDeposit = (one: unknown): boolean => (one as pulumi.Resource & { readonly __pulumiType?: string }).__pulumiType === "holdfast:recovery:Deposit";
    expect(([bundle.options.dependsOn].flat() as unknown[]).some(isDeposit)).toBe(true);
    expect(([step("activate").options.dependsOn].flat() as unknown[]).some(isDeposit)).toBe(true);
  });

  it("is refused a folder that is lost with this machine, before anything is made", async () => {
    const recorded = await record();
    expect(() => new Node("alice", { ...example, stack: { ...example.stack, deposit: { folder: ".holdfast/deposit" } } }, recorded.watch)).toThrow(/holdfast:deposit\.folder: found "\.holdfast\/deposit"; lies inside \.holdfast/);
    expect(recorded.resources).toEqual([]);
  });
});

describe("a node without a tunnel", () => {
  it("has no key, preshared key or peer of one: not in its resources, settings, bundle or deposit, nor in what is proven of it", async () => {
    const recorded = await record();
    const { tunnel: _, ...specification } = example.specification;
    const bare = new Node("alice", { specification: { ...specification, services: ["bitcoind", "lnd", "offsite-backup"] }, stack: example.stack }, recorded.watch);
    const summary = await valueOf(bare.summary);
    expect(recorded.resources.map(({ name }) => name).filter((name) => /wireguard|tunnel/.test(name))).toEqual([]);
    const bundle = inputOf(recorded.resources, "seal")["bundle"] as { readonly files: readonly SecretFile[] };
    expect(bundle.files.map(({ name }) => name).filter((name) => name.startsWith("wg-"))).toEqual([]);
    expect(inputOf(recorded.resources, "install")["settings"]).not.toHaveProperty("tunnel");
    expect(inputOf(recorded.resources, "certify")["addresses"]).toEqual(["127.0.0.1"]);
    expect(inputOf(recorded.resources, "activate")).toMatchObject({ tunnelKey: null, policy: [{ name: "ssh" }, { name: "lightning" }] });
    expect(inputOf(recorded.resources, "deposit")).toMatchObject({ content: { marks: { tunnels: {}, states: { "alice-1": summary.stateMark } } } });
    expect([summary.tunnel, bare.peerConfigurations, bare.lndconnect]).toEqual([undefined, undefined, undefined]);
  });

  it("is told from another state by a mark that says nothing of its roots and is the same with a tunnel", async () => {
    const { stateMark } = await valueOf(node.summary);
    expect(stateMark).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect(leaked(stateMark)).toEqual([]);
    const recorded = await record();
    const { tunnel: _, ...specification } = example.specification;
    const bare = new Node("alice", { specification: { ...specification, services: ["bitcoind", "lnd", "offsite-backup"] }, stack: example.stack }, recorded.watch);
    expect((await valueOf(bare.summary)).stateMark).toBe(stateMark);
  });
});

describe("a node", () => {
  it("opens with the sealed seed for the gate's question, and for the system that was proven", () => {
    expect(inputOf(resources, "open")).toMatchObject({
      place: { environment: "dev", network: "regtest", node: "alice-1", generation: 3 }, identity: { sealed: expect.stringContaining(walletSeed) as string },
      walletIdentityFile: "wallet.age-key", toplevel: `/nix/store/${"a".repeat(32)}-rehearsal-alice`,
    });
  });

  it("has no wallet identity to name where none is configured", async () => {
    const recorded = await record();
    const { walletIdentityFile: _, identityFile: __, ...stack } = example.stack;
    await valueOf(new Node("alice", { ...example, stack }, recorded.watch).summary);
    expect(inputOf(recorded.resources, "open")).not.toHaveProperty("walletIdentityFile");
    expect(inputOf(recorded.resources, "reach")["connection"]).not.toHaveProperty("identityFile");
  });

  it("sums itself up", async () => {
    expect(await valueOf(node.summary)).toMatchObject({ address: "10.231.9.10", gate: "open", decision: "fresh", generation: 3, tunnel: { address: "10.10.0.1", peers: ["phone", "laptop"] } });
  });

  it("has all of its resources below itself", () => {
    for (const { name, options } of resources.filter(({ type }) => type !== "holdfast:index:Node")) expect(options.parent, name).toBeInstanceOf(pulumi.ComponentResource);
  });
});
