import { describe, expect, it } from "vitest";
import { HeldIdentity, nodePublicKeyOf } from "../../../../components/secrets/identities.js";
import { exampleNode, inputOf, isSecret, record, steps, valueOf } from "../recorder.js";

const words = ("absorb title mountain squirrel noodle exclude bamboo purpose wish clerk mango pretty "
  + "harbor guilt pluck rather buffalo blind hobby minimum shiver solution wave actual").split(" ");

describe("a held identity", () => {
  it("is the identity file, kept by a protected step that no host generation touches", async () => {
    const { resources, watch } = await record();
    const { specification, remove } = exampleNode();
    remove();
    const held = new HeldIdentity("seed", specification.identity, watch);
    expect(await valueOf(held.identity)).toEqual(specification.identity);
    expect(inputOf(resources, "hold")).toEqual(specification.identity);
    expect(steps(resources)[0]).toMatchObject({ name: "seed-hold", options: { protect: true } });
    expect(steps(resources)[0]!.inputs["triggers"]).toBeUndefined();
    expect(await isSecret(held.identity)).toBe(false);
  });

  it("refuses words that are no seed", () => {
    expect(() => nodePublicKeyOf(words.with(0, "zoo"), "regtest")).toThrow();
  });
});
