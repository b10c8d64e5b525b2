import { expect, test } from "vitest";
import { run } from "../../rehearsal/run.js";
import { ensureWalk } from "../interop/hcloud.js";
import { publicKey, tryCloud } from "../unit/rehearsal/cloud/harness.js";

test("Hetzner's own client leads a server through its whole life on the local cloud, and leaves nothing", async () => {
  const walk = await ensureWalk();
  const { cloud, backend } = await tryCloud({ pace: 20 });
  const seen = JSON.parse(await run([walk, cloud.endpoint, publicKey("operator")], { input: `${cloud.tokens["rehearsal"]!.write}\n`, deadline: 120_000 })) as string[];
  expect(seen).toContain("all pages are read");
  await cloud.idle();
  expect(await backend.leftovers()).toEqual([]);
  expect(Object.values(cloud.state().projects["rehearsal"]!).flat()).toEqual([]);
  await cloud.close();
});
