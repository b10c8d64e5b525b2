import { beforeAll, describe, expect, it, vi } from "vitest";
import { HetznerProject, ownerOf } from "../../../components/host/hetznerProject.js";
import { Node } from "../../../components/node.js";
import { hetznerSchema } from "../../../config/schema.js";
import type { Settings } from "../../../formats/settings.js";
import { exampleNode, inputOf, isSecret, record, steps, valueOf, type Recorded } from "./recorder.js";

vi.mock("../../../components/system/sources.js", () => ({ AGENT: "dist/agent.mjs", sourcesDigest: (flake: string) => `digest of ${flake}` }));

let resources: readonly Recorded[];
let node: Node;
beforeAll(async () => {
  const recorded = await record();
  resources = recorded.resources;
  const { specification: { tunnel: { endpoint: _, ...tunnel }, ...rest }, stack, remove } = exampleNode();
  const specification = { ...rest, tunnel, host: hetznerSchema.parse({ location: "fsn1", serverType: "cx33", generation: 3, volume: { size: 20 } }), services: [...rest.services, "data-volume" as const] };
  const project = new HetznerProject("hetzner", { ...stack, nodes: [specification] }, {
    access: { token: "t0ken", endpoint: "http://e/v1" }, owner: ownerOf(stack), nodes: {}, last: {}, orphans: {}, listed: { servers: [], primary_ips: [], volumes: [], firewalls: [], placement_groups: [], ssh_keys: [] },
  }, recorded.watch);
  expect(() => new Node("bob", { specification, stack }, recorded.watch)).toThrow("did not look at the Hetzner project first");
  node = new Node("alice", { specification, stack, hetzner: project }, recorded.watch);
  await Promise.all([valueOf(node.summary), valueOf(node.peerConfigurations!)]);
  remove();
});

describe("a node at Hetzner", () => {
  it("is told to Nix with the device of the volume that it got, and to peers at the address that it got", async () => {
    const { hetzner } = await valueOf(node.summary);
    expect((inputOf(resources, "install")["settings"] as Settings).nixos.dataVolume).toBe(`/dev/disk/by-id/scsi-0HC_Volume_${hetzner!.volume}`);
    expect((await valueOf(node.peerConfigurations!))["phone"]).toContain("Endpoint = 10.231.192.7:51820\n");
  });

  it("sums itself up with its address, its pinned key and Hetzner's ids, by which the next update knows the project", async () => {
    expect(await valueOf(node.summary)).toMatchObject({
      address: "10.231.192.7", hostKey: expect.stringMatching(/^ssh-ed25519 /) as string, generation: 3, tunnel: { endpoint: "10.231.192.7:51820" },
      hetzner: { server: expect.any(Number) as number, ipv4: expect.any(Number) as number, volume: expect.any(Number) as number },
    });
    expect(await isSecret(node.summary)).toBe(false);
  });

  it("runs every step of its host anew on another machine, and lets each go with the server", () => {
    const server = resources.find(({ type }) => type === "hcloud:index/server:Server")!;
    for (const { name, inputs, options } of steps(resources).filter(({ inputs: { triggers }, name: one }) => triggers !== undefined && !one.endsWith("-release"))) {
      expect(inputs["triggers"], name).toEqual([3, expect.stringMatching(/^\d+$/)]);
      expect(options.deletedWith, `${name} goes with ${server.name}`).toBeDefined();
    }
  });
});
