import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { CloudState } from "../../../../rehearsal/cloud/api/world.js";
import { fakeBackend } from "../../../cloud/fakeBackend.js";
import { freshFolder, tryCloud } from "./harness.js";

const plain = { name: "node-a", server_type: "cx23", image: "debian-13", location: "fsn1" };

test("what an end interrupted is taken up at the next start, in order", async () => {
  const [state, backend] = [freshFolder(), fakeBackend()];
  backend.before = (call) => (call.startsWith("createServer") ? new Promise(() => undefined) : undefined);
  const first = await tryCloud({ state, backend });
  const { body } = await first.call("POST", "/servers", plain);
  await first.cloud.crash();
  expect(backend.servers.size).toBe(0);

  backend.before = () => undefined;
  const second = await tryCloud({ state, backend });
  await second.cloud.idle();
  for (const id of [body["action"]!["id"], body["next_actions"]![0]!["id"]]) {
    expect((await second.call("GET", `/actions/${id}`)).body["action"]).toMatchObject({ status: "success" });
  }
  expect((await second.call("GET", `/servers/${body["server"]!["id"]}`)).body["server"]).toMatchObject({ status: "running" });
  expect(backend.calls).toEqual([`createServer ${body["server"]!["id"]}`, `power ${body["server"]!["id"]} on`]);
  await second.cloud.close();
});

test("what was done, but not yet noted, is found done", async () => {
  const [state, backend] = [freshFolder(), fakeBackend()];
  const first = await tryCloud({ state, backend });
  const { body } = await first.call("POST", "/servers", plain);
  await first.cloud.idle();
  let did = (): void => undefined;
  const rebooted = new Promise<void>((done) => void (did = done));
  backend.before = (call) => {
    if (call.startsWith("deleteServer")) did();
  };
  await first.call("DELETE", `/servers/${body["server"]!["id"]}`);
  await rebooted;
  await first.cloud.crash();
  const second = await tryCloud({ state, backend });
  await second.cloud.idle();
  expect((await second.call("GET", "/servers")).body["servers"]).toEqual([]);
  expect(await backend.leftovers()).toEqual([]);
  await second.cloud.close();
});

test("a volume whose deletion was answered is deleted, whatever comes between", async () => {
  const [state, backend] = [freshFolder(), fakeBackend()];
  const first = await tryCloud({ state, backend });
  const id = (await first.call("POST", "/volumes", { name: "data", size: 10, location: "fsn1" })).body["volume"]!["id"];
  await first.cloud.idle();
  backend.before = (call) => (call.startsWith("deleteVolume") ? new Promise(() => undefined) : undefined);
  expect((await first.call("DELETE", `/volumes/${id}`)).status).toBe(204);
  await first.cloud.crash();
  expect(backend.volumes.size).toBe(1);
  backend.before = () => undefined;
  const second = await tryCloud({ state, backend });
  await second.cloud.idle();
  expect(backend.volumes.size).toBe(0);
  await second.cloud.close();
});

test("the state is a file of this user alone, written before anybody hears of it", async () => {
  const state = freshFolder();
  const { cloud, call } = await tryCloud({ state });
  const file = join(state, "cloud", "state.json");
  const { body } = await call("POST", "/placement_groups", { name: "a", type: "spread" });
  expect((JSON.parse(readFileSync(file, "utf8")) as CloudState).projects["rehearsal"]!.placement_groups).toMatchObject([{ id: body["placement_group"]!["id"] }]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await cloud.close();
});

test("closing waits for the actions that run", async () => {
  const { cloud, call, backend } = await tryCloud({ pace: 100 });
  await call("POST", "/volumes", { name: "data", size: 10, location: "fsn1" });
  await cloud.close();
  expect(backend.volumes.size).toBe(1);
  expect(cloud.state().actions.map(({ status }) => status)).toEqual(["success"]);
});
