import { describe, expect, it } from "vitest";
import { diskKeysOf, type KnownResource } from "../../../cli/unlock.js";
import { derive } from "../../../components/secrets/derive.js";
import { exampleNode } from "../components/recorder.js";

const { specification: example, remove } = exampleNode();
remove();
const node = { ...example, services: [...example.services, "encrypted-root" as const] };
const secret = (value: string): unknown => ({ "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", plaintext: JSON.stringify(value) });
const urn = (name: string): string => `urn:pulumi:dev::holdfast::holdfast:index:Node$x::${name}`;
const root: KnownResource = { urn: urn("alice-1-secrets-root-disk-key-root"), outputs: { result: secret("r".repeat(64)) } };
const provision = (generation: number, answer: object): KnownResource => ({ urn: urn(`alice-1-installation-provision-${generation}`), outputs: { stdout: secret(JSON.stringify(answer)) } });
const installed = { state: "installed", generation: 3, unlockKey: "ssh-ed25519 AAAAinitrd" };

describe("what opens a node's disk", () => {
  it("is the registry's secret, derived from the root in the state, and goes to the host key of this generation's installation", () => {
    expect(diskKeysOf(node, [provision(2, { ...installed, unlockKey: "ssh-ed25519 AAAAold" }), root, provision(3, installed)]))
      .toEqual({ unlockKey: installed.unlockKey, diskKey: derive("r".repeat(64), "alice-1/root-disk-key/1", 32).toString("hex") });
  });

  it("goes to the key that the operator names, where the state knows none", () => {
    expect(diskKeysOf(node, [root], "ssh-ed25519 AAAAseen").unlockKey).toBe("ssh-ed25519 AAAAseen");
  });

  it.each<[string, () => unknown, RegExp]>([
    ["whose root is not encrypted", () => diskKeysOf(example, [root, provision(3, installed)]), /root of alice is not encrypted.*nixos\.disks\.encrypted/],
    ["whose root is not in the state", () => diskKeysOf(node, [provision(3, installed)]), /no root of root-disk-key for alice.*deposit/],
    ["whose installation nobody saw end", () => diskKeysOf(node, [root, provision(2, installed)]), /does not know the key of alice while it waits \(generation 3\).*--host-key/],
    ["whose waiting key is none", () => diskKeysOf(node, [root], "-oProxyCommand=x"), /"-oProxyCommand=x" is no host key/],
  ])("is refused for a node %s", (_, ask, words) => {
    expect(ask).toThrow(words);
  });
});
