import { describe, expect, it } from "vitest";
import { findByLabels, foundNode, hetznerFaults, labelsOf, type Listed, type Owner } from "../../../../components/host/hetznerFound.js";
import { hetznerSchema } from "../../../../config/schema.js";

const owner: Owner = { environment: "prod", owner: "0123456789abcdef" };
const volume = (id: number, labels: Record<string, string>) => ({ id, name: `v${id}`, labels, size: 20, server: null, location: { name: "fsn1" }, protection: { delete: true } });
const nothing: Listed = { servers: [], primary_ips: [], volumes: [], firewalls: [], placement_groups: [], ssh_keys: [] };

describe("finding by labels", () => {
  it("wants every label, of this environment, owner, node and role", () => {
    const mine = labelsOf(owner, "volume", "alice");
    const others = [{ ...mine, "holdfast-owner": "ffff" }, { ...mine, "holdfast-node": "bob" }, { ...mine, "holdfast-environment": "dev" }, { ...mine, "holdfast-role": "server" }];
    expect(findByLabels(others.map((labels, index) => volume(index + 1, labels)), mine)).toBeUndefined();
    expect(foundNode({ ...nothing, volumes: [...others, { ...mine, "somebody's": "own" }].map((labels, index) => volume(index + 1, labels)) }, owner, "alice").volume?.id).toBe(5);
  });

  it("never chooses between two", () => {
    const labels = labelsOf(owner, "volume", "alice");
    expect(() => findByLabels([volume(1, labels), volume(2, labels)], labels)).toThrow(/has 2 resources with the labels .*holdfast-node=alice: ids 1, 2.*Take the label holdfast-role off/);
  });
});

describe("a node's settings beside what the project has", () => {
  const settings = (changes: Record<string, unknown> = {}) => hetznerSchema.parse({ location: "fsn1", serverType: "cx33", volume: { size: 20 }, ...changes });
  const found = { volume: volume(7, {}) };
  const lines = (changes: Record<string, unknown>): string[] => hetznerFaults("alice", settings(changes), found).map(({ path, found: what, wanted }) => `${path}: ${what} ${wanted}`);

  it("may let a volume grow, and may name one that is not there", () => {
    expect(lines({ volume: { size: 30 } })).toEqual([]);
    expect(lines({ volume: { size: 20, discard: 1 } })).toEqual([]);
    expect(hetznerFaults("alice", settings({ location: "hel1" }), {})).toEqual([]);
  });

  it("let none shrink without the word that names it", () => {
    expect(lines({ volume: { size: 10 } })).toEqual([expect.stringMatching(/^holdfast:nodes\.alice\.host\.hetzner\.volume\.size: 10 is less than volume 7 has \(20 GB\).*volume\.discard: 7/)]);
    expect(lines({ volume: { size: 10, discard: 8 } })).toHaveLength(1);
    expect(lines({ volume: { size: 10, discard: 7 } })).toEqual([]);
  });

  it("move nothing", () => {
    expect(lines({ location: "hel1" })).toEqual([expect.stringMatching(/hetzner\.location: "hel1" is another place than the node's own: its volume 7 lies in fsn1/)]);
  });
});
