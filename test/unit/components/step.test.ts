import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { step } from "../../../components/step.js";
import { inputOf, isSecret, record, steps, valueOf } from "./recorder.js";

const reached = z.strictObject({ machineId: z.string(), architecture: z.string() });

describe("a step", () => {
  it("gives its program JSON as a secret, and its answer is secret until someone says otherwise", async () => {
    const { resources } = await record();
    const parent = new pulumi.ComponentResource("holdfast:test:Parent", "parent");
    const answer = step("s", { program: "reach", input: { password: pulumi.secret("p"), list: [pulumi.output(1)] }, output: reached }, { parent });
    expect(await valueOf(answer)).toEqual({ machineId: "m".repeat(32), architecture: "x86_64" });
    expect(await isSecret(answer)).toBe(true);
    expect(inputOf(resources, "reach")).toEqual({ password: "p", list: [1] });
    expect(steps(resources)[0]!.inputs["stdin"]).toEqual({ secret: '{"password":"p","list":[1]}' });
  });
});
