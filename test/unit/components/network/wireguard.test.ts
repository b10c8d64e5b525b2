import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Tunnels } from "../../../../components/network/wireguard.js";
import { Secrets } from "../../../../components/secrets/secrets.js";
import { exampleNode, isSecret, record, valueOf, type Recorded } from "../recorder.js";

let example: ReturnType<typeof exampleNode>;
let resources: Recorded[];
let tunnels: Tunnels;
let secrets: Secrets;
beforeAll(async () => {
  const recorded = await record();
  resources = recorded.resources;
  example = exampleNode();
  secrets = new Secrets("alice-secrets", example.specification, recorded.watch);
  tunnels = new Tunnels("alice-tunnels", { specification: example.specification, secrets }, recorded.watch);
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
    expect(roots.map(({ name, options }) => [name, options.protect ?? false])).toEqual([["alice-tunnels-phone-root", false], ["alice-tunnels-laptop-root", false]]);
  });
});
