import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freshFolder, tryCloud } from "./harness.js";

const group = { name: "a", type: "spread" };

test("a token is 401 when nobody has it, and only reads when it is a read-only one", async () => {
  const { cloud, call } = await tryCloud();
  const { read } = cloud.tokens["rehearsal"]!;
  expect((await call("GET", "/servers", undefined, "x".repeat(64))).body["error"]).toMatchObject({ code: "unauthorized" });
  expect((await call("GET", "/servers", undefined, "x".repeat(64))).status).toBe(401);
  expect((await call("GET", "/servers", undefined, read)).status).toBe(200);
  const refused = await call("POST", "/placement_groups", group, read);
  expect([refused.status, refused.body["error"]!["code"]]).toEqual([401, "token_readonly"]);
  await cloud.close();
});

test("another project's token sees another world, where nothing of this one is", async () => {
  const { cloud, call } = await tryCloud({ projects: ["one", "other"] });
  const [one, other] = [cloud.tokens["one"]!.write, cloud.tokens["other"]!.write];
  const id = (await call("POST", "/placement_groups", group, one)).body["placement_group"]!["id"];
  expect((await call("GET", `/placement_groups/${id}`, undefined, other)).status).toBe(404);
  expect((await call("DELETE", `/placement_groups/${id}`, undefined, other)).status).toBe(404);
  expect((await call("GET", "/placement_groups", undefined, other)).body["placement_groups"]).toEqual([]);
  expect((await call("POST", "/placement_groups", group, other)).status).toBe(201);
  expect((await call("POST", "/servers", { name: "s", server_type: "cx23", image: "debian-13", placement_group: id }, other)).body["error"]).toMatchObject({ code: "invalid_input" });
  await cloud.close();
});

test("tokens have 64 letters and digits, as the provider wants them, stay the same, and lie in a file of this user alone", async () => {
  const state = freshFolder();
  const first = await tryCloud({ state });
  await first.cloud.close();
  const second = await tryCloud({ state });
  expect(second.cloud.tokens).toEqual(first.cloud.tokens);
  expect(Object.values(second.cloud.tokens["rehearsal"]!).every((token) => /^[A-Za-z0-9]{64}$/.test(token))).toBe(true);
  expect(statSync(join(state, "cloud", "tokens.json")).mode & 0o777).toBe(0o600);
  expect(statSync(join(state, "cloud")).mode & 0o777).toBe(0o700);
  await second.cloud.close();
});

test("a body that is no JSON is refused", async () => {
  const { cloud, call } = await tryCloud();
  const { status, body } = await call("POST", "/placement_groups", "{");
  expect([status, body["error"]!["code"]]).toEqual([400, "json_error"]);
  await cloud.close();
});
