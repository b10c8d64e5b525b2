import { mkdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterEach, beforeAll, expect, test } from "vitest";
import { ask, findCloud, portOf, startCloudProcess, stateOf, stopCloudProcess } from "../../../../rehearsal/cloud/process.js";
import { startedWith } from "../../../../rehearsal/machines/processes.js";
import { freshFolder, request } from "./harness.js";

const project = resolve(dirname(fileURLToPath(import.meta.url)), "../../../..");
const program = join(project, "dist", "test-cloud.mjs");
const command = [process.execPath, program];
const states: string[] = [];
const start = (state: string, more: { readonly faults?: { readonly do: "addressTaken" }[] } = {}) => {
  states.push(state);
  return startCloudProcess({ command, state, cache: freshFolder(), pace: 0, ...more });
};

beforeAll(async () => {
  mkdirSync(dirname(program), { recursive: true });
  await build({ entryPoints: [join(project, "test", "cloud", "program.ts")], outfile: program, bundle: true, platform: "node", format: "esm", packages: "external", logLevel: "error" });
});
afterEach(async () => {
  for (const state of states.splice(0)) await stopCloudProcess(state);
});

test("the cloud outlives who started it, is found again, and goes on where it was", async () => {
  const state = freshFolder();
  expect(await findCloud(state)).toBeUndefined();
  const first = await start(state);
  expect(first.endpoint).toBe(`http://127.0.0.1:${portOf(state)}/v1`);
  expect(await start(state)).toEqual(first);
  expect(startedWith(join(state, "cloud", "state.json"))).toHaveLength(1);
  await request(`${first.endpoint}/placement_groups`, "POST", { name: "a", type: "spread" }, first.tokens["rehearsal"]!.write);
  process.kill(first.pid, "SIGKILL");
  await expect.poll(() => findCloud(state)).toBeUndefined();
  const second = await start(state);
  expect(second).toEqual({ ...first, pid: second.pid });
  expect((await stateOf(second)).projects["rehearsal"]!.placement_groups).toMatchObject([{ name: "a" }]);
  await stopCloudProcess(state);
  expect(await findCloud(state)).toBeUndefined();
});

test("faults given to a cloud that runs take the place of those that it had", async () => {
  const state = freshFolder();
  const cloud = await start(state, { faults: [{ do: "addressTaken" }] });
  expect(await ask(cloud, "GET", "faults")).toMatchObject({ faults: [{ do: "addressTaken", hits: 0 }] });
  await start(state);
  expect(await ask(cloud, "GET", "faults")).toMatchObject({ faults: [{ do: "addressTaken" }] });
  await start(state, { faults: [] });
  expect(await ask(cloud, "GET", "faults")).toEqual({ faults: [] });
});

test("a stranger at the port makes it take another one, which it keeps", async () => {
  const state = freshFolder();
  const stranger = createServer().listen(portOf(state), "127.0.0.1");
  await new Promise((done) => stranger.once("listening", done));
  const first = await start(state);
  expect(first.endpoint).not.toContain(`:${portOf(state)}/`);
  await stopCloudProcess(state);
  stranger.close();
  expect((await start(state)).endpoint).toBe(first.endpoint);
});

test("no token is among its arguments or in its log", async () => {
  const state = freshFolder();
  const cloud = await start(state);
  await request(`${cloud.endpoint}/servers`, "GET", undefined, cloud.tokens["rehearsal"]!.write);
  const [running] = startedWith(join(state, "cloud", "state.json"));
  for (const said of [running!.argv.join(" "), readFileSync(join(state, "cloud", "log"), "utf8"), readFileSync(`/proc/${running!.pid}/environ`, "utf8")]) {
    for (const token of [cloud.tokens["rehearsal"]!.write, cloud.tokens["rehearsal"]!.read, cloud.controlToken]) expect(said).not.toContain(token);
  }
  expect(statSync(cloud.tokensFile).mode & 0o777).toBe(0o600);
});
