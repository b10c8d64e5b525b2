import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import { fuzz } from "./property.js";
import { makeSamples } from "./samples.js";
import { targetsOf } from "./targets.js";

/** Texts for each parser, fewer for slow ones. test/long/fuzz.test.ts has more. */
const RUNS = Number(process.env["HOLDFAST_FUZZ_RUNS"] ?? 250);

const folder = mkdtempSync(join(tmpdir(), "holdfast-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const targets = await targetsOf(await makeSamples(), folder);

describe("whatever it is given, the parser of", () => {
  it.each(targets)("$name gives a value or an error of its own, which quotes no secret", async (target) => fuzz(target, RUNS));
});
