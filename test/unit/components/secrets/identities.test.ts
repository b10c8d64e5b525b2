import { describe, expect, it } from "vitest";
import { HeldIdentity, holdIdentities, holdName } from "../../../../components/secrets/identities.js";
import type { FileIdentity } from "../../../../formats/identity.js";
import { exampleNode, inputOf, isSecret, program, record, steps, valueOf } from "../recorder.js";

function example() {
  const { specification, remove } = exampleNode();
  remove();
  const { nodePublicKey: _, ...rest } = specification.identity;
  const file = (kind: FileIdentity["kind"], name: string): FileIdentity => ({ ...rest, kind, name, publicIdentity: `${kind} ${name}` });
  return { specification, file };
}

describe("a held identity", () => {
  it("is the identity file, kept by a protected step that no host generation touches", async () => {
    const { resources, watch } = await record();
    const { specification } = example();
    const held = new HeldIdentity("seed", specification.identity, watch);
    expect(await valueOf(held.identity)).toEqual(specification.identity);
    expect(inputOf(resources, "hold")).toEqual(specification.identity);
    expect(steps(resources)[0]).toMatchObject({ name: "seed-hold", options: { protect: true } });
    expect(steps(resources)[0]!.inputs["triggers"]).toBeUndefined();
    expect(await isSecret(held.identity)).toBe(false);
  });
});

describe("a node's held identities", () => {
  it("are resources of their own, each protected, named by the node's id, the kind and the name", async () => {
    const { resources, watch } = await record();
    const { specification, file } = example();
    const files = [file("nsec", "main"), file("onion-key", "rest"), file("cln-hsm-secret", "main")];
    const held = holdIdentities("alice-1", { ...specification, identities: files }, watch);
    expect(await valueOf(held.seed)).toEqual(specification.identity);
    expect(await valueOf(held.files)).toEqual(files);
    const holds = steps(resources).filter((one) => program(one) === "hold");
    expect(holds.map(({ name }) => name).sort()).toEqual(["alice-1-cln-hsm-secret-main-hold", "alice-1-lnd-seed-hold", "alice-1-nsec-main-hold", "alice-1-onion-key-rest-hold"]);
    expect(holds.map(({ options }) => options.protect)).toEqual([true, true, true, true]);
    expect(holds.map(({ inputs }) => inputs["addPreviousOutputInEnv"])).toEqual([true, true, true, true]);
  });

  it("are called by the same names when one is to be forgotten", () => {
    expect(holdName("alice-1", { kind: "lnd-seed" })).toBe("alice-1-lnd-seed-hold");
    expect(holdName("alice-1", { kind: "nsec" })).toBe("alice-1-nsec-main-hold");
    expect(holdName("alice-1", { kind: "onion-key", name: "rest" })).toBe("alice-1-onion-key-rest-hold");
  });

  it("are refused when two have one name", async () => {
    const { watch } = await record();
    const { specification, file } = example();
    expect(() => holdIdentities("alice-1", { ...specification, identities: [file("nsec", "main"), file("nsec", "main")] }, watch)).toThrow("two identity files of alice-1 are nsec main");
  });
});
