import { describe, expect, it } from "vitest";
import { combinationFindings } from "../../../config/combinations.js";
import { ConfigurationRefused } from "../../../config/refusal.js";
import { nodeSchema } from "../../../config/schema.js";
import { isHetzner } from "../../../config/specification.js";
import { specify } from "../../../config/specify.js";

const recipient = (letter: string): string => `age1${letter.repeat(58)}`;
const files: Record<string, string> = {
  "seed.json": JSON.stringify({
    format: "holdfast-identity/1", kind: "lnd-seed", environment: "dev", network: "regtest", node: "alice", nodePublicKey: `02${"ab".repeat(32)}`,
    recipient: recipient("w"), made: "2026-11-21T00:00:00.000Z", sealed: "-----BEGIN AGE ENCRYPTED FILE-----\n",
  }),
  "store-password": "secret",
};
const least = { location: "fsn1", serverType: "cx33", volume: { size: 20 } };
const specified = (host: unknown, node: Record<string, unknown> = {}) => specify("dev", {
  network: "regtest", access: { authorizedKeys: [`ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"k".repeat(43)}`] }, deposit: { folder: "/mnt/deposit" },
  recipients: { environment: recipient("e"), recovery: recipient("r"), wallet: recipient("w") },
  nodes: { alice: { host, identity: "seed.json", tunnel: { peers: { phone: { address: "10.10.0.2" } } }, backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: "store-password" }, ...node } },
}, (path) => files[path], []).nodes[0]!;
function refusal(host: unknown, node: Record<string, unknown> = {}): string {
  try {
    specified(host, node);
  } catch (error) {
    if (error instanceof ConfigurationRefused) return error.message;
    throw error;
  }
  return "accepted";
}

describe("a host at Hetzner", () => {
  it("wants a place, a type and a volume, and has the rest by itself", () => {
    const node = specified({ hetzner: least });
    expect(node.host).toEqual({ ...least, image: "debian-13", generation: 1, protection: "on" });
    expect(isHetzner(node.host)).toBe(true);
  });

  it("brings its data volume's key, and leaves the tunnel's endpoint to the address that it will have", () => {
    const node = specified({ hetzner: least });
    expect(node.services).toContain("data-volume");
    expect(node.tunnel).not.toHaveProperty("endpoint");
    expect(specified({ hetzner: least }, { tunnel: { endpoint: "node.example:51820" } }).tunnel?.endpoint).toBe("node.example:51820");
  });

  it("may say off as YAML 1.1 reads it", () => {
    expect(specified({ hetzner: { ...least, protection: false } }).host).toMatchObject({ protection: "off" });
    expect(specified({ hetzner: { ...least, protection: "off" } }).host).toMatchObject({ protection: "off" });
  });

  it.each<[string, unknown, readonly string[]]>([
    ["no host", {}, ["nodes.alice.host: found {}", "either commodity (a machine that you have) or hetzner (a server that the stack makes)"]],
    ["two hosts", { hetzner: least, commodity: { file: "x" } }, ["nodes.alice.host"]],
    ["a token of its own", { hetzner: { ...least, token: "x" } }, ["host.hetzner.token", "no setting of ours"]],
    ["a datacenter in place of a location", { hetzner: { ...least, location: "fsn1-dc14" } }, ['host.hetzner.location: found "fsn1-dc14"', "wants a location of Hetzner's, such as fsn1"]],
    ["a missing volume", { hetzner: { location: "fsn1", serverType: "cx33" } }, ["host.hetzner.volume", "is missing and has no default"]],
    ["a volume that is too small", { hetzner: { ...least, volume: { size: 5 } } }, ["host.hetzner.volume.size: found 5", "wants 10 to 10240 GB"]],
    ["protection that is neither", { hetzner: { ...least, protection: "maybe" } }, ["host.hetzner.protection", "wants on or off"]],
    ["generation nought", { hetzner: { ...least, generation: 0 } }, ["host.hetzner.generation", "wants 1 or more"]],
    ["a discard that is no id", { hetzner: { ...least, volume: { size: 20, discard: "all" } } }, ['host.hetzner.volume.discard: found "all"', "wants the id that Hetzner gave it"]],
  ])("is refused with %s", (_, host, words) => {
    const message = refusal(host);
    for (const word of words) expect(message).toContain(word);
  });

  it("comes with its data volume, and is refused another one", () => {
    const node = nodeSchema.parse({ host: { hetzner: least }, identity: "seed.json", nixos: { dataVolume: "/dev/disk/by-id/x" }, backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: "p" } });
    expect(combinationFindings("alice", node, "mainnet").map(({ path, wanted }) => `${path} ${wanted}`)).toEqual(["holdfast:nodes.alice.nixos.dataVolume comes with the server (host.hetzner.volume); wants to be left out"]);
  });
});
