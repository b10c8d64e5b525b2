import * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Node } from "../../../../components/node.js";
import { restoredResources, type StateResource } from "../../../../components/recovery/restoredState.js";
import { SENTINEL, type Roots } from "../../../../formats/roots.js";
import { exampleNode, inputOf, record, valueOf, type Recorded } from "../recorder.js";

vi.mock("../../../../components/system/sources.js", () => ({ sourcesDigest: () => "digest" }));

const ROTATED = "2026-11-21T00:00:00.000Z";
let asked: Recorded[];
let restored: StateResource[];
let roots: Roots;
let remove: () => void;
beforeAll(async () => {
  const recorded = await record();
  const example = exampleNode();
  remove = example.remove;
  // As an environment is in the middle of its life: one secret rotated, one peer rotated, and one whose next keys still wait.
  const versions = {
    "lnd-tls-key": { version: 2, rotated: ROTATED }, "wireguard-peer-laptop": { version: 3, rotated: ROTATED }, "wireguard-peer-phone": { version: 1, candidate: 2, rotated: ROTATED },
  };
  const specification = { ...example.specification, versions };
  await valueOf(new Node("alice-1", { specification, stack: example.stack }, recorded.watch).summary);
  asked = recorded.resources.filter(({ type }) => type.startsWith("random:"));
  const content = inputOf(recorded.resources, "deposit")["content"] as Omit<Roots, "format" | "sentinel" | "sealed">;
  roots = { format: "holdfast-roots/1", sentinel: SENTINEL, sealed: ROTATED, ...content };
  restored = restoredResources({ project: "holdfast", stack: "dev", randomVersion: "4.21.2" }, [roots]);
});
afterAll(() => remove());

const nameOf = ({ urn }: StateResource): string => urn.slice(urn.lastIndexOf("::") + 2);
const passwords = (): StateResource[] => restored.filter(({ type }) => type.startsWith("random:"));
type Parent = pulumi.Resource & { readonly __pulumiType: string };

describe("a restored state", () => {
  it("has each root as the program asks for it: name, parent, inputs and protection", () => {
    const named = new Map(asked.map((one) => [one.name, one]));
    expect(passwords().length).toBe(Object.keys(roots.roots).length);
    for (const one of passwords()) {
      const wanted = named.get(nameOf(one));
      expect(wanted, nameOf(one)).toBeDefined();
      expect(one.inputs, nameOf(one)).toEqual(wanted!.inputs);
      expect(one.protect, nameOf(one)).toBe(wanted!.options.protect === true);
      expect(one.urn, nameOf(one)).toBe(`urn:pulumi:dev::holdfast::holdfast:index:Node$${(wanted!.options.parent as Parent).__pulumiType}$${wanted!.type}::${wanted!.name}`);
      expect(one.parent, nameOf(one)).toMatch(new RegExp(`\\$${(wanted!.options.parent as Parent).__pulumiType}::`));
    }
  });

  it("lacks none of the roots that the node has, not even that of keys which still wait to prove themselves", () => {
    expect(passwords().map(nameOf).sort()).toEqual(asked.map(({ name }) => name).sort());
    expect(Object.keys(roots.roots)).toContain("wireguard-peer-phone-next");
  });

  it("has each value, and only as a secret that Pulumi encrypts when it takes it", () => {
    const clear = restored.map(({ outputs, ...rest }) => ({ ...rest, outputs: { ...outputs, result: undefined } }));
    for (const { value } of Object.values(roots.roots)) {
      expect(JSON.stringify(clear)).not.toContain(value);
      expect(passwords().filter(({ outputs }) => JSON.stringify(outputs!["result"]).includes(value)).length).toBeGreaterThan(0);
    }
    for (const { outputs } of passwords()) expect(outputs!["result"]).toMatchObject({ "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" });
  });

  it("has every parent and provider before what refers to it", () => {
    const seen = new Set<string>();
    for (const { urn, parent, provider } of restored) {
      if (parent !== undefined) expect(seen).toContain(parent);
      if (provider !== undefined) expect(seen).toContain(provider.slice(0, provider.lastIndexOf("::")));
      seen.add(urn);
    }
    expect(seen.size).toBe(restored.length);
  });

  it("is refused for a root that nobody knows: a program of another commit would lose it", () => {
    expect(() => restoredResources({ project: "holdfast", stack: "dev", randomVersion: "4.21.2" }, [{ ...roots, roots: { "lnd-tls-kye": { version: 1, value: "x" } } }]))
      .toThrow(/holds a root lnd-tls-kye, which this version of Holdfast does not know/);
  });
});
