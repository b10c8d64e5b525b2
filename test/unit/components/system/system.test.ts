import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it, vi } from "vitest";
import { CommodityHost } from "../../../../components/host/commodity.js";
import { policyOf } from "../../../../components/network/policy.js";
import { placeOf, settingsOf } from "../../../../components/system/settings.js";
import { System, SystemActivation } from "../../../../components/system/system.js";
import { settingsSchema } from "../../../../formats/settings.js";
import { exampleNode, inputOf, isSecret, program, record, steps, valueOf } from "../recorder.js";

vi.mock("../../../../components/system/sources.js", () => ({ sourcesDigest: (flake: string) => `digest of ${flake}` }));

const { specification, stack, remove } = exampleNode();
remove();
const peers = specification.tunnel.peers.map((peer) => ({ ...peer, publicKey: `${peer.name}=` }));
const settings = settingsOf(specification, stack.authorizedKeys, { publicKey: "node=", peers });
const toplevel = `/nix/store/${"a".repeat(32)}-rehearsal-alice`;

describe("a node's settings", () => {
  it("are what the format wants: the place, the keys, the policy with its ruleset, the tunnel's public side, the store without credentials", () => {
    expect(settingsSchema.parse(settings)).toEqual(settings);
    expect(settings).toMatchObject({
      place: { environment: "dev", network: "regtest", node: "alice-1", generation: 3 }, lightning: { nodePublicKey: specification.identity.nodePublicKey },
      tunnel: { publicKey: "node=", peers }, firewall: { policy: policyOf(specification) }, bitcoin: { peers: specification.bitcoinPeers },
    });
    expect(Object.keys(settings.backup).sort()).toEqual(["certificate", "repository", "user"]);
  });

  it("are refused when the policy would open what must stay shut", () => {
    const open = { ...specification, lightning: { ...specification.lightning, p2pPort: 10009 } };
    expect(() => settingsOf(open, stack.authorizedKeys, { publicKey: "node=", peers })).toThrow(/firewall policy of alice is refused: .*10009/);
  });
});

describe("a node's system", () => {
  it("is built from a flake's digest and the settings, and then knows its host's recipient", async () => {
    const { resources, watch } = await record();
    const host = new CommodityHost("h", { specification: specification.host }, watch);
    const system = new System("s", { host, place: placeOf(specification), flake: "./flake", settings: pulumi.output(settings), services: specification.services }, watch);
    expect(await valueOf(system.toplevel)).toBe(toplevel);
    expect(await valueOf(system.recipient)).toBe(`age1${"h".repeat(58)}`);
    for (const output of [system.toplevel, system.recipient]) expect(await isSecret(output)).toBe(false);
    const connection = await valueOf(host.connection);
    expect(inputOf(resources, "install")).toEqual({ connection, node: "alice-1", flake: "./flake", digest: "digest of ./flake", settings });
    expect(inputOf(resources, "contact")).toEqual({ connection, place: placeOf(specification) });
  });

  it("brings the agent before it asks it", async () => {
    const { resources, watch } = await record();
    const host = new CommodityHost("h", { specification: specification.host }, watch);
    await valueOf(new System("s", { host, place: placeOf(specification), flake: "./flake", settings: pulumi.output(settings), services: specification.services }, watch).recipient);
    expect(steps(resources).map(program)).toEqual(["reach", "install", "contact"]);
  });

  it("is activated after its secrets are there, with their version, the policy and the tunnel's key as what must be proven", async () => {
    const { resources, watch } = await record();
    const host = new CommodityHost("h", { specification: specification.host }, watch);
    const after = new pulumi.ComponentResource("holdfast:test:After", "after");
    const bundle = Object.assign(new pulumi.ComponentResource("holdfast:test:Bundle", "bundle"), { delivery: pulumi.output({ version: 7, changed: [], replaces: 6 }) });
    const activation = new SystemActivation("a", { host, toplevel, settings, proofSeconds: 90, bundle, after: [after] }, watch);
    expect(await valueOf(activation.result)).toEqual({ state: "committed", toplevel, previous: "none" });
    expect(inputOf(resources, "activate")).toEqual({ connection: await valueOf(host.connection), toplevel, secretsVersion: 7, replaces: 6, policy: settings.firewall.policy, tunnelKey: "node=", proofSeconds: 90 });
    expect(steps(resources).find((one) => program(one) === "activate")!.options.dependsOn).toEqual([bundle, after]);
  });
});
