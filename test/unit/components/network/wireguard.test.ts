import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { candidateName, peerKeysId, Tunnels } from "../../../../components/network/wireguard.js";
import type { SecretVersion } from "../../../../formats/records.js";
import { Secrets } from "../../../../components/secrets/secrets.js";
import { exampleNode, isSecret, record, valueOf, type Recorded } from "../recorder.js";

let example: ReturnType<typeof exampleNode>;
let resources: Recorded[];
let watch: Awaited<ReturnType<typeof record>>["watch"];
let tunnels: Tunnels;
let secrets: Secrets;
beforeAll(async () => {
  ({ resources, watch } = await record());
  example = exampleNode();
  secrets = new Secrets("alice-secrets", example.specification, watch);
  tunnels = new Tunnels("alice-tunnels", { specification: example.specification, tunnel: example.specification.tunnel, secrets }, watch);
  await Promise.all([valueOf(tunnels.configurations), valueOf(secrets.files)]);
});
afterAll(() => example.remove());

const setting = (configuration: string, key: string): string => new RegExp(`^${key} = (.*)$`, "m").exec(configuration)![1]!;
const publicOf = (privateKey: string): string => execFileSync("wg", ["pubkey"], { input: privateKey }).toString().trim();
const delivered = async (file: string): Promise<string> => Buffer.from((await valueOf(secrets.files)).find(({ name }) => name === file)!.content, "base64").toString();

describe("a node's tunnels", () => {
  it("fit together: each end has the other's public key, and both one preshared key", async () => {
    const configurations = await valueOf(tunnels.configurations);
    expect(Object.keys(configurations)).toEqual(["phone", "laptop"]);
    for (const peer of await valueOf(tunnels.peers)) {
      const configuration = configurations[peer.name]!;
      expect(publicOf(setting(configuration, "PrivateKey"))).toBe(peer.publicKey);
      expect(setting(configuration, "PublicKey")).toBe(publicOf(await delivered("wg-node-private-key")));
      expect(setting(configuration, "PresharedKey")).toBe(await delivered(`wg-psk-${peer.name}`));
      expect(setting(configuration, "Address")).toBe(`${peer.address}/32`);
      expect(setting(configuration, "AllowedIPs")).toBe("10.10.0.1/32");
    }
    expect(await valueOf(tunnels.publicKey)).toBe(publicOf(await delivered("wg-node-private-key")));
  });

  it("share no key between peers", async () => {
    const all = Object.values(await valueOf(tunnels.configurations));
    for (const key of ["PrivateKey", "PresharedKey"]) expect(new Set(all.map((one) => setting(one, key))).size).toBe(2);
  });

  it("keep configurations secret, and public keys public", async () => {
    expect(await isSecret(tunnels.configurations)).toBe(true);
    expect(await isSecret(tunnels.publicKey)).toBe(false);
    expect(await isSecret(tunnels.peers)).toBe(false);
    expect(Object.keys((await valueOf(tunnels.peers))[0]!).sort()).toEqual(["address", "name", "publicKey"]);
  });

  it("have a root for each peer, which may go when the peer goes", () => {
    const roots = resources.filter(({ name }) => name.startsWith("alice-tunnels-") && name.endsWith("-root"));
    expect(roots.slice(0, 2).map(({ name, options }) => [name, options.protect ?? false])).toEqual([["alice-tunnels-phone-root", false], ["alice-tunnels-laptop-root", false]]);
  });
});

describe("a peer whose keys rotate", () => {
  const rotated = "2026-11-21T00:00:00.000Z";

  /** The tunnels of the example's node, as they are when its peer has these versions. */
  async function tunnelsAt(phone: Omit<SecretVersion, "rotated">) {
    const known = resources.length;
    const specification = { ...example.specification, versions: { [peerKeysId("phone")]: { ...phone, rotated } } };
    const made = new Tunnels("alice-tunnels", { specification, tunnel: specification.tunnel, secrets }, watch);
    const [configurations, peers, files, roots] = await Promise.all([valueOf(made.configurations), valueOf(made.peers), valueOf(made.files), valueOf(made.roots)]);
    const names = resources.slice(known).filter(({ type, name }) => type.startsWith("random:") && name.startsWith("alice-tunnels-phone")).map(({ name }) => name);
    return { configurations, peers, files, roots, names, made };
  }
  const contentOf = (files: readonly { readonly name: string; readonly content: string }[], name: string): string => Buffer.from(files.find((file) => file.name === name)!.content, "base64").toString();

  it("has what it always had at version 1", async () => {
    const { configurations, files, names } = await tunnelsAt({ version: 1 });
    expect(configurations).toEqual(await valueOf(tunnels.configurations));
    expect(files).toEqual([]);
    expect(names).toEqual(["alice-tunnels-phone-root"]);
  });

  it("has the next keys beside the old, without an address and under a name of their own", async () => {
    const { peers, configurations, files, names } = await tunnelsAt({ version: 1, candidate: 2 });
    const [phone, next, laptop] = peers;
    expect([phone!.name, next!.name, laptop!.name]).toEqual(["phone", candidateName("phone"), "laptop"]);
    expect(phone).toEqual((await valueOf(tunnels.peers))[0]);
    expect(next).toEqual({ name: "phone-next", publicKey: publicOf(setting(configurations["phone-next"]!, "PrivateKey")), presharedKey: "wg-psk-phone.2" });
    expect(configurations["phone"]).toBe((await valueOf(tunnels.configurations))["phone"]);
    for (const key of ["PrivateKey", "PresharedKey"]) expect(setting(configurations["phone-next"]!, key)).not.toBe(setting(configurations["phone"]!, key));
    expect(setting(configurations["phone-next"]!, "Address")).toBe("10.10.0.2/32");
    expect(contentOf(files, "wg-psk-phone.2")).toBe(setting(configurations["phone-next"]!, "PresharedKey"));
    expect(names).toEqual(["alice-tunnels-phone-root", "alice-tunnels-phone-root-2"]);
  });

  it("keeps the very keys that proved themselves, and takes the address", async () => {
    const before = await tunnelsAt({ version: 1, candidate: 2 });
    const after = await tunnelsAt({ version: 2 });
    expect(after.configurations["phone"]).toBe(before.configurations["phone-next"]);
    expect(after.peers[0]).toEqual({ ...before.peers[1], name: "phone", address: "10.10.0.2" });
    expect(Object.keys(after.configurations)).toEqual(["phone", "laptop"]);
    expect(after.files).toEqual(before.files);
    expect(after.names).toEqual(["alice-tunnels-phone-root-2"]);
  });

  it("brings its preshared key in a file that no other version has, and that restarts nothing", async () => {
    expect((await tunnelsAt({ version: 2, candidate: 3 })).files.map(({ name }) => name)).toEqual(["wg-psk-phone.2", "wg-psk-phone.3"]);
    const { files, names } = await tunnelsAt({ version: 3 });
    expect(files.map(({ name }) => name)).toEqual(["wg-psk-phone.3"]);
    expect(files.every(({ consumers }) => consumers.length === 0)).toBe(true);
    expect(names).toEqual(["alice-tunnels-phone-root-3"]);
  });

  it("has its root in the deposit, in the version that is in force, as a secret", async () => {
    const { roots, made } = await tunnelsAt({ version: 2 });
    expect(Object.fromEntries(Object.entries(roots).map(([id, { version }]) => [id, version]))).toEqual({ "wireguard-peer-phone": 2, "wireguard-peer-laptop": 1 });
    for (const output of [made.roots, made.files, made.configurations]) expect(await isSecret(output)).toBe(true);
  });

  it("is refused while a real peer has the name of its next keys", () => {
    const specification = {
      ...example.specification, versions: { [peerKeysId("phone")]: { version: 1, candidate: 2, rotated } },
      tunnel: { ...example.specification.tunnel, peers: [...example.specification.tunnel.peers, { name: "phone-next", address: "10.10.0.9" }] },
    };
    expect(() => new Tunnels("alice-tunnels", { specification, tunnel: specification.tunnel, secrets }, watch)).toThrow("has a peer phone-next, which is what the next keys of its peer phone are called");
  });
});
