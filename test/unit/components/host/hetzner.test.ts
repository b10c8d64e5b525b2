import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { HetznerHost, HetznerServer } from "../../../../components/host/hetzner.js";
import type { FoundNode } from "../../../../components/host/hetznerFound.js";
import { HetznerProject, ownerOf, type HetznerSight } from "../../../../components/host/hetznerProject.js";
import { opensshKeys } from "../../../../components/secrets/openssh.js";
import { Secrets } from "../../../../components/secrets/secrets.js";
import { hetznerSchema, type HetznerSpecification } from "../../../../config/schema.js";
import { exampleNode, inputOf, isSecret, program, record, rootOf, steps, valueOf, type Recorded } from "../recorder.js";

const policy = [{ name: "ssh", protocol: "tcp", port: 22, from: "internet" }, { name: "lnd-rest", protocol: "tcp", port: 8080, from: "tunnel" }] as const;
const base = { location: "fsn1", serverType: "cx33", generation: 3, volume: { size: 20 } };

interface Made { readonly resources: readonly Recorded[]; readonly server: HetznerServer; readonly host: HetznerHost }
async function made(changes: Record<string, unknown> = {}, found: FoundNode = {}, keys: HetznerSight["listed"]["ssh_keys"] = [], last: HetznerSight["last"] = {}): Promise<Made> {
  const { specification, stack, remove } = exampleNode();
  const { resources, watch } = await record();
  const host: HetznerSpecification = hetznerSchema.parse({ ...base, ...changes });
  const listed = { servers: [], primary_ips: [], volumes: [], firewalls: [], placement_groups: [], ssh_keys: keys };
  const node = { ...specification, host };
  const project = new HetznerProject("hetzner", { ...stack, nodes: [node] }, { access: { token: "t0ken", endpoint: "http://e/v1" }, owner: ownerOf(stack), listed, nodes: { "alice-1": found }, last, orphans: {} }, watch);
  const secrets = new Secrets("alice-secrets", specification, watch);
  const server = new HetznerServer("h", { specification: host, node: "alice-1", project, policy, secrets, identityFile: "key" }, watch);
  const reached = new HetznerHost("host", { server }, watch);
  await Promise.all([valueOf(reached.connection), valueOf(server.seen), valueOf(secrets.files), valueOf(project.sshKeys)]);
  remove();
  return { resources, server, host: reached };
}
const cloud = ({ resources }: Made): Recorded[] => resources.filter(({ type }) => type.startsWith("hcloud:"));
const of = (one: Made, name: string): Recorded => {
  const resource = one.resources.find((each) => each.name === name);
  if (resource === undefined) throw new Error(`no ${name} among ${one.resources.map((each) => each.name).join(", ")}`);
  return resource;
};
const own = { "holdfast-environment": "dev", "holdfast-owner": ownerOf({ environment: "dev", recipients: { environment: "", wallet: "", recovery: `age1${"r".repeat(58)}` } }).owner };
const root = rootOf("alice-secrets-backup-password-root");

describe("a server at Hetzner", () => {
  let all: Made;
  beforeAll(async () => { all = await made(); });

  it("comes with what outlives it, and with nothing else", () => {
    expect(cloud(all).map(({ type, name }) => `${type.split(":")[2]} ${name}`).sort()).toEqual([
      "Firewall h-firewall", "Firewall hetzner-closed", "PrimaryIp h-ipv4", "PrimaryIp h-ipv6", "Server h-server",
      expect.stringMatching(/^SshKey hetzner-key-[0-9a-f]{12}$/), "Volume h-volume", "VolumeAttachment h-volume-attachment",
    ]);
  });

  it("has labels on everything that can have them, by which it is found when the state is lost", () => {
    for (const { name, inputs, type } of cloud(all).filter((one) => !one.type.includes("Attachment"))) expect(inputs["labels"], `${type} ${name}`).toMatchObject(own);
    for (const [name, role] of [["h-server", "server"], ["h-ipv4", "ipv4"], ["h-ipv6", "ipv6"], ["h-volume", "volume"], ["h-firewall", "firewall"]] as const) {
      expect(of(all, name).inputs["labels"], name).toMatchObject({ "holdfast-node": "alice-1", "holdfast-role": role });
    }
    expect(of(all, "h-server").inputs["labels"]).toMatchObject({ "holdfast-generation": "3" });
  });

  it("is not replaced by what changes beside its generation, and is replaced by that before there is a second one", () => {
    const { options, inputs } = of(all, "h-server");
    expect(options).toMatchObject({ ignoreChanges: ["image", "location", "sshKeys", "userData", "publicNets"], replaceOnChanges: ['labels["holdfast-generation"]'], deleteBeforeReplace: true, protect: true });
    expect(inputs).toMatchObject({ name: "dev-alice-1", serverType: "cx33", image: "debian-13", location: "fsn1" });
    // It would not delete a server that does not answer to it.
    expect(inputs).not.toHaveProperty("shutdownBeforeDeletion");
    for (const { name, inputs: each } of cloud(all)) expect(each, name).not.toHaveProperty("datacenter");
  });

  it("takes ids as numbers, which Pulumi has as text", () => {
    const { inputs } = of(all, "h-server");
    for (const id of [inputs["firewallIds"], (inputs["publicNets"] as Record<string, unknown>[]).flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])].flat()) expect(id).toBeTypeOf("number");
    expect(of(all, "h-volume-attachment").inputs).toMatchObject({ serverId: expect.any(Number) as number, volumeId: expect.any(Number) as number });
  });

  it("has addresses that outlive it", () => {
    for (const type of ["ipv4", "ipv6"]) expect(of(all, `h-${type}`).inputs).toMatchObject({ type, location: "fsn1", autoDelete: false, assigneeType: "server", deleteProtection: true });
  });

  it("is protected in both ways at once, and so is what outlives it, at Hetzner and in Pulumi", () => {
    expect(of(all, "h-server").inputs).toMatchObject({ deleteProtection: true, rebuildProtection: true });
    expect(cloud(all).filter(({ options }) => options.protect === true).map(({ name }) => name).sort()).toEqual(["h-firewall", "h-ipv4", "h-ipv6", "h-server", "h-volume"]);
  });

  it("stands behind a firewall that lets nothing in until the policy's is applied: to whichever server has the node's labels, so that none of another generation is without it", () => {
    expect(of(all, "hetzner-closed").inputs["rules"]).toEqual([]);
    expect(of(all, "h-server").inputs).toMatchObject({ ignoreRemoteFirewallIds: true, firewallIds: [expect.any(Number)] });
    expect((of(all, "h-firewall").inputs["rules"] as readonly { readonly description: string }[]).map(({ description }) => description)).toEqual(["ssh", "icmp-errors"]);
    const [{ labelSelector }] = of(all, "h-firewall").inputs["applyTos"] as [{ readonly labelSelector: string }];
    const wanted = Object.fromEntries(labelSelector.split(",").map((one) => one.split("=")));
    expect(wanted).toEqual({ ...own, "holdfast-node": "alice-1", "holdfast-role": "server" });
    expect(of(all, "h-server").inputs["labels"]).toMatchObject(wanted);
  });

  it("leaves its volume's attachment to itself: nothing is detached from a server that goes", () => {
    expect(of(all, "h-volume-attachment").options.deletedWith).toBe(all.server.resource);
  });

  it("has its volume's attachment deleted before the next one is made: both have the volume's id", () => {
    expect(of(all, "h-volume-attachment").options.deleteBeforeReplace).toBe(true);
  });

  it("gets the key of first contact as a secret, and a key of its own before anything else is sent", async () => {
    const userData = Object(of(all, "h-server").inputs["userData"]).secret as string;
    const first = opensshKeys(root, "alice-1/ssh-first-contact/3");
    expect(userData.startsWith("#cloud-config\n")).toBe(true);
    expect(parse(userData)).toMatchObject({ ssh_deletekeys: true, ssh_pwauth: false, ssh_keys: { ed25519_private: first.privateKey, ed25519_public: first.publicKey } });
    const mine = opensshKeys(root, "alice-1/ssh-host-key/3");
    expect(inputOf(all.resources, "welcome")).toEqual({ firstContact: { user: "root", address: "10.231.192.7", port: 22, hostKey: first.publicKey, identityFile: "key" }, own: mine });
    expect(await valueOf(all.host.connection)).toEqual({ user: "root", address: "10.231.192.7", port: 22, hostKey: mine.publicKey, identityFile: "key" });
    for (const output of [all.host.connection, all.server.address, all.server.device, all.server.seen]) expect(await isSecret(output as pulumi.Output<unknown>)).toBe(false);
    for (const { name, inputs } of cloud(all)) expect(JSON.stringify({ ...inputs, userData: undefined }), name).not.toContain("PRIVATE KEY");
  });

  it("names its volume's device by the volume's id", async () => {
    const { volume } = await valueOf(all.server.seen);
    expect(await valueOf(all.server.device)).toBe(`/dev/disk/by-id/scsi-0HC_Volume_${volume}`);
  });

  it("runs a host's steps anew when another server has its generation", async () => {
    const { server } = await valueOf(all.server.seen);
    for (const name of ["welcome", "reach"]) expect(steps(all.resources).find((one) => program(one) === name)!.inputs["triggers"], name).toEqual([3, String(server)]);
    expect(steps(all.resources).find((one) => program(one) === "release")!.inputs["triggers"]).toEqual([3]);
  });

  it("has its protection lifted by a step that has the token as a secret, and nothing else has it", () => {
    expect(inputOf(all.resources, "release")).toEqual({ access: { token: "t0ken", endpoint: "http://e/v1" }, labels: { ...own, "holdfast-role": "server", "holdfast-node": "alice-1" }, generation: 3, discard: null, off: null, orphan: null });
    for (const { name, inputs } of all.resources.filter((one) => one.name !== "h-release")) expect(JSON.stringify(inputs), name).not.toContain("t0ken");
  });
});

const labels = (role: string, more: Record<string, string> = {}): Record<string, string> => ({ ...own, "holdfast-node": "alice-1", "holdfast-role": role, ...more });
const there: FoundNode = {
  server: { id: 42, name: "dev-alice-1", status: "running", labels: labels("server", { "holdfast-generation": "3" }), protection: { delete: true, rebuild: true } },
  ipv4: { id: 43, name: "a", labels: labels("ipv4"), type: "ipv4", location: { name: "fsn1" }, protection: { delete: true } },
  volume: { id: 44, name: "v", labels: labels("volume"), size: 20, server: 42, location: { name: "fsn1" }, protection: { delete: true } },
  firewall: { id: 45, name: "f", labels: labels("firewall") },
};
const imports = (one: Made): Record<string, unknown> => Object.fromEntries(cloud(one).flatMap(({ name, options }) => (options.import === undefined ? [] : [[name, options.import]])));

describe("what the project has already", () => {
  it("is taken over under its id, its volume's attachment too", async () => {
    expect(imports(await made({}, there))).toEqual({ "h-server": "42", "h-ipv4": "43", "h-volume": "44", "h-firewall": "45", "h-volume-attachment": "44" });
  });

  it("is replaced, and so neither taken over nor protected, when it is a server of an earlier generation", async () => {
    const next = await made({ generation: 4 }, there);
    expect(imports(next)).toEqual({ "h-ipv4": "43", "h-volume": "44", "h-firewall": "45" });
    expect(of(next, "h-server").options.protect).toBe(false);
    expect(of(next, "h-server").inputs).toMatchObject({ deleteProtection: true, rebuildProtection: true });
    expect(of(next, "h-volume").options.protect).toBe(true);
  });

  it("stays replaceable when the old server is gone, and the new one could not be made", async () => {
    const { server: _, ...rest } = there;
    const last = { "alice-1": { ipv4: 43, volume: 44, generation: 3 } };
    expect(of(await made({ generation: 4 }, rest, [], last), "h-server").options.protect).toBe(false);
    expect(of(await made({ generation: 3 }, rest, [], last), "h-server").options.protect).toBe(true);
  });

  it("is switched on when it is off, but for one that is replaced", async () => {
    const off = { ...there, server: { ...there.server!, status: "off" } };
    expect(inputOf((await made({}, off)).resources, "release")).toMatchObject({ off: 42 });
    expect(inputOf((await made({ generation: 4 }, off)).resources, "release")).toMatchObject({ off: null });
  });

  it("keeps a volume's protection whatever the rest's is, until the stack file names this very volume", async () => {
    const off = await made({ protection: "off" }, there);
    expect(["h-server", "h-ipv4", "h-volume", "h-firewall"].map((name) => of(off, name).options.protect)).toEqual([false, false, true, false]);
    expect(of(off, "h-volume").inputs["deleteProtection"]).toBe(true);
    const another = await made({ volume: { size: 20, discard: 99 } }, there);
    expect(of(another, "h-volume").options.protect).toBe(true);
    const named = await made({ volume: { size: 20, discard: 44 } }, there);
    expect(of(named, "h-volume")).toMatchObject({ options: { protect: false }, inputs: { deleteProtection: false } });
    expect(of(named, "h-volume").options).not.toHaveProperty("replaceOnChanges");
  });

  it("is a smaller volume only once it was named, which replaces it and protects the next one", async () => {
    const smaller = await made({ volume: { size: 10, discard: 44 } }, there);
    expect(of(smaller, "h-volume")).toMatchObject({ options: { protect: false, replaceOnChanges: ["size"], deleteBeforeReplace: true }, inputs: { deleteProtection: true } });
    expect(imports(smaller)).not.toHaveProperty("h-volume");
    expect(imports(smaller)).not.toHaveProperty("h-volume-attachment");
  });

  it("may be an SSH key that somebody else has put there: it is used and left alone, for a project has each key once", async () => {
    const { stack, remove } = exampleNode();
    remove();
    const foreign = await made({}, {}, [{ id: 77, name: "mine", labels: {}, public_key: `${stack.authorizedKeys[0]!} me@laptop` }]);
    expect(of(foreign, "h-server").inputs["sshKeys"]).toEqual(["77"]);
    expect(cloud(foreign).filter(({ type }) => type.includes("SshKey"))).toEqual([]);
    const ours = await made({}, {}, [{ id: 78, name: "k", labels: { ...own, "holdfast-role": "ssh-key" }, public_key: stack.authorizedKeys[0]! }]);
    expect(Object.values(imports(ours))).toEqual(["78"]);
  });
});

describe("a server's options", () => {
  it("are a placement group that the environment's servers share, and a private network", async () => {
    const all = await made({ placementGroup: "spread", network: { id: 9, ip: "10.0.0.5" } });
    expect(of(all, "hetzner-group-spread").inputs).toMatchObject({ name: "dev-spread", type: "spread" });
    expect(of(all, "h-server").inputs["placementGroupId"]).toBeTypeOf("number");
    expect(of(all, "h-network").inputs).toMatchObject({ networkId: 9, ip: "10.0.0.5", serverId: expect.any(Number) as number });
  });
});
