import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import { fuzz } from "../unit/fuzz/property.js";
import { makeSamples } from "../unit/fuzz/samples.js";
import { targetsOf } from "../unit/fuzz/targets.js";

/** Some minutes on one processor. More for a night: HOLDFAST_FUZZ_RUNS=1000000. */
const RUNS = Number(process.env["HOLDFAST_FUZZ_RUNS"] ?? 10_000);

const folder = mkdtempSync(join(tmpdir(), "holdfast-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const targets = await targetsOf(await makeSamples(), folder);

describe("whatever it is given for minutes, the parser of", () => {
  it.each(targets)("$name gives a value or an error of its own, which quotes no secret", async (target) => fuzz(target, RUNS), 24 * 3_600_000);
});
