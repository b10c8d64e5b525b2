import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { cacheFolder } from "../../cli/places.js";
import { cloudBackend } from "../../rehearsal/cloud/backend/backend.js";
import { startCloud } from "../../rehearsal/cloud/cloud.js";
import { run } from "../../rehearsal/run.js";
import { ensureWalk } from "../interop/hcloud.js";
import { publicKey } from "../unit/rehearsal/cloud/harness.js";

const state = mkdtempSync(join(tmpdir(), "holdfast-cloud-client-"));
const said: string[] = [];
const report = (line: string): void => void said.push(line);
const backend = cloudBackend({ cache: cacheFolder(), state, report });

afterAll(async () => {
  await backend.raze();
  rmSync(state, { recursive: true, force: true });
});

test("Hetzner's own client leads a real machine through its whole life, and nothing of it is left", async () => {
  const cloud = await startCloud({ state, backend, report });
  const seen = JSON.parse(await run([await ensureWalk(), cloud.endpoint, publicKey("operator")], { input: `${cloud.tokens["rehearsal"]!.write}\n`, deadline: 150_000 })) as string[];
  expect(seen).toEqual(expect.arrayContaining(["it runs", "rescue is for one boot", "it shuts down", "its volume stays", "all pages are read"]));
  await cloud.idle();
  await cloud.close();
  expect(said.filter((line) => line.includes("failed"))).toEqual([]);
  expect(await backend.leftovers()).toEqual([]);
});
