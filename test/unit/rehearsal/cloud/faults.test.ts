import { afterEach, expect, test } from "vitest";
import { faultList, parseFaults } from "../../../../rehearsal/cloud/api/faults.js";
import { rateLimit } from "../../../../rehearsal/cloud/api/rateLimit.js";
import { numberAt, tryCloud, type Try } from "./harness.js";

let it: Try | undefined;
afterEach(() => it?.cloud.close());

const plain = { name: "node-a", server_type: "cx23", image: "debian-13", location: "fsn1" };

test("a storm of 429 lasts as many requests as it was told, and says when the limit is back", async () => {
  it = await tryCloud({ faults: [{ do: "rateLimit", times: 2 }] });
  const replies = [await it.call("GET", "/servers"), await it.call("GET", "/servers"), await it.call("GET", "/servers")];
  expect(replies.map(({ status }) => status)).toEqual([429, 429, 200]);
  expect(replies[0]!.body["error"]).toMatchObject({ code: "rate_limit_exceeded" });
  expect(replies[0]!.headers.get("ratelimit-remaining")).toBe("0");
  expect(Number(replies[0]!.headers.get("ratelimit-reset"))).toBeGreaterThan(Date.now() / 1000 - 1);
});

test("a storm of 429 lasts as many seconds as it was told", () => {
  let now = 0;
  const faults = faultList(parseFaults([{ do: "rateLimit", seconds: 3 }]), () => now);
  const strikes = (): boolean => faults.strikeRequest("rateLimit", { method: "GET", path: "/servers" }) !== undefined;
  expect(strikes()).toBe(true);
  now = 2_999;
  expect(strikes()).toBe(true);
  now = 3_000;
  expect(strikes()).toBe(false);
});

test("an answer on demand strikes the method and path that it names, and is counted", async () => {
  it = await tryCloud({ faults: [{ do: "answer", code: "unavailable", method: "POST", path: "/servers/*/actions/poweroff", times: 1 }, { do: "answer", status: 502, path: "/volumes", times: 1 }] });
  expect((await it.call("POST", "/servers", plain)).status).toBe(201);
  await it.cloud.idle();
  const { id } = it.cloud.state().projects["rehearsal"]!.servers[0]!;
  const refused = await it.call("POST", `/servers/${id}/actions/poweroff`);
  expect([refused.status, refused.body["error"]!["code"]]).toEqual([503, "unavailable"]);
  const proxy = await it.call("GET", "/volumes");
  expect([proxy.status, proxy.headers.get("content-type")]).toEqual([502, "text/html"]);
  expect((await it.call("POST", `/servers/${id}/actions/poweroff`)).status).toBe(201);
  expect((await it.control("GET", "/faults")).body["faults"]!.map((one) => one["hits"])).toEqual([1, 1]);
});

test("a connection that ends in the middle of the answer leaves done what was asked", async () => {
  it = await tryCloud({ faults: [{ do: "reset", method: "POST", path: "/placement_groups", times: 1 }] });
  await expect(it.call("POST", "/placement_groups", { name: "a", type: "spread" })).rejects.toThrow();
  expect((await it.call("GET", "/placement_groups")).body["placement_groups"]!.map((one) => one["name"])).toEqual(["a"]);
  expect(it.cloud.requests().map(({ status, fault }) => [status, fault])).toEqual([[0, "reset"], [200, undefined]]);
});

test("a connection that ends before the answer leaves nothing done", async () => {
  it = await tryCloud({ faults: [{ do: "reset", when: "before", times: 1 }] });
  await expect(it.call("POST", "/placement_groups", { name: "a", type: "spread" })).rejects.toThrow();
  expect((await it.call("GET", "/placement_groups")).body["placement_groups"]).toEqual([]);
});

test("an action fails by its command, has done nothing, and what depended on it fails too", async () => {
  it = await tryCloud({ faults: [{ do: "failAction", command: "create_server", times: 1, code: "resource_unavailable", message: "no space left" }] });
  const { body } = await it.call("POST", "/servers", plain);
  await it.cloud.idle();
  const action = (id: number) => it!.call("GET", `/actions/${id}`).then((reply) => reply.body["action"]);
  expect(await action(numberAt(body["action"]!["id"]))).toMatchObject({ status: "error", error: { code: "resource_unavailable", message: "no space left" } });
  expect(await action(numberAt(body["next_actions"]![0]!["id"]))).toMatchObject({ status: "error", error: { message: expect.stringContaining("never made") } });
  expect(it.backend.calls).toEqual([]);
  const id = numberAt(body["server"]!["id"]);
  expect((await it.call("GET", `/servers/${id}`)).body["server"]).toMatchObject({ status: "off", locked: false });
  await it.call("DELETE", `/servers/${id}`);
  await it.cloud.idle();
  expect(Object.values(it.cloud.state().projects["rehearsal"]!).flat()).toEqual([]);
});

test("what the backend cannot do fails its action, in the backend's words", async () => {
  it = await tryCloud();
  it.backend.before = (call) => {
    if (call.startsWith("createServer")) throw new Error("no bridge");
  };
  const { body } = await it.call("POST", "/servers", plain);
  await it.cloud.idle();
  expect((await it.call("GET", `/actions/${body["action"]!["id"]}`)).body["action"]).toMatchObject({ status: "error", error: { code: "action_failed", message: "no bridge" } });
});

test("a deletion that fails leaves the server, to be deleted again", async () => {
  it = await tryCloud({ faults: [{ do: "failAction", command: "delete_server", times: 1 }] });
  const { body } = await it.call("POST", "/servers", plain);
  await it.cloud.idle();
  const id = numberAt(body["server"]!["id"]);
  await it.call("DELETE", `/servers/${id}`);
  await it.cloud.idle();
  expect((await it.call("GET", `/servers/${id}`)).body["server"]).toMatchObject({ locked: false });
  await it.call("DELETE", `/servers/${id}`);
  await it.cloud.idle();
  expect((await it.call("GET", `/servers/${id}`)).status).toBe(404);
});

test("a slow action runs on and shows how far it is", async () => {
  it = await tryCloud({ faults: [{ do: "slowAction", command: "create_volume", milliseconds: 300, times: 1 }] });
  const { body } = await it.call("POST", "/volumes", { name: "data", size: 10, location: "fsn1" });
  await new Promise((done) => setTimeout(done, 150));
  const action = (await it.call("GET", `/actions/${body["action"]!["id"]}`)).body["action"]!;
  expect(action["status"]).toBe("running");
  expect(action["progress"]).toBeGreaterThan(0);
  expect(action["progress"]).toBeLessThan(100);
  await it.cloud.idle();
  expect((await it.call("GET", `/actions/${body["action"]!["id"]}`)).body["action"]).toMatchObject({ status: "success", progress: 100 });
});

test("a server that never boots calls itself running until it is given a new start", async () => {
  it = await tryCloud({ faults: [{ do: "neverBoots", server: "node-a", times: 1 }] });
  const { body } = await it.call("POST", "/servers", plain);
  await it.cloud.idle();
  const id = numberAt(body["server"]!["id"]);
  expect((await it.call("GET", `/servers/${id}`)).body["server"]).toMatchObject({ status: "running" });
  expect(it.backend.servers.get(id)!.running).toBe(false);
  await it.call("POST", `/servers/${id}/actions/reset`);
  await it.cloud.idle();
  expect(it.backend.servers.get(id)!.running).toBe(true);
});

test("an address that is taken is refused to who wants it", async () => {
  it = await tryCloud({ faults: [{ do: "addressTaken", times: 1 }] });
  const ip = (await it.call("POST", "/primary_ips", { name: "a", type: "ipv4", location: "fsn1", assignee_type: "server" })).body["primary_ip"]!["id"];
  const wanted = { ...plain, public_net: { enable_ipv4: true, ipv4: ip } };
  expect((await it.call("POST", "/servers", wanted)).body["error"]).toMatchObject({ code: "primary_ip_assigned" });
  expect((await it.call("POST", "/servers", wanted)).status).toBe(201);
});

test("revoked tokens are unknown until they are given back", async () => {
  it = await tryCloud();
  expect((await it.control("PUT", "/faults", [{ do: "revokeTokens", project: "rehearsal" }])).status).toBe(200);
  expect((await it.call("GET", "/servers")).body["error"]).toMatchObject({ code: "unauthorized" });
  await it.control("DELETE", "/faults");
  expect((await it.call("GET", "/servers")).status).toBe(200);
});

test("a fault that is none is refused with the place of the mistake", async () => {
  it = await tryCloud();
  const { status, body } = await it.control("POST", "/faults", [{ do: "rateLimit", times: 0 }]);
  expect(status).toBe(400);
  expect(body["error"]).toContain("0.times");
  expect(() => parseFaults([{ do: "explode" }])).toThrow(/README/);
});

test("the control endpoint wants its own token, and the log of requests never has one", async () => {
  it = await tryCloud();
  await it.call("GET", "/servers?name=a");
  await it.call("GET", "/servers", undefined, "x".repeat(64));
  const { write } = it.cloud.tokens["rehearsal"]!;
  expect((await fetch(`http://127.0.0.1:${it.cloud.port}/_holdfast/requests`, { headers: { Authorization: `Bearer ${write}` } })).status).toBe(401);
  const { body } = await it.control("GET", "/requests");
  expect(body["requests"]).toEqual([
    { number: 1, at: expect.any(String), project: "rehearsal", method: "GET", path: "/servers?name=a", status: 200 },
    { number: 2, at: expect.any(String), method: "GET", path: "/servers", status: 401 },
  ]);
  expect(JSON.stringify(body)).not.toContain(write);
  expect((await it.control("GET", "/requests?after=1")).body["requests"]).toHaveLength(1);
});

test("nobody is shown a server's user data, which may hold keys", async () => {
  it = await tryCloud();
  await it.call("POST", "/servers", { ...plain, user_data: "#poison" });
  await it.cloud.idle();
  expect((await it.control("GET", "/state")).body["projects"]!["rehearsal"]!["servers"]![0]).toMatchObject({ name: "node-a", userData: "hidden" });
  expect(JSON.stringify([(await it.control("GET", "/state")).body, (await it.call("GET", "/servers")).body, it.cloud.requests()])).not.toContain("#poison");
  expect([...it.backend.servers.values()][0]!.plan.userData).toBe("#poison");
});

test("3600 requests an hour are allowed, and come back one a second", () => {
  let now = 1_000_000;
  const limit = rateLimit(3_600, () => now);
  for (let number = 0; number < 3_600; number++) expect(limit.count("a").allowed).toBe(true);
  expect(limit.count("a")).toEqual({ allowed: false, headers: { "RateLimit-Limit": "3600", "RateLimit-Remaining": "0", "RateLimit-Reset": "4600" } });
  expect(limit.count("b").allowed).toBe(true);
  now += 1_000;
  expect(limit.count("a").allowed).toBe(true);
  expect(limit.count("a").allowed).toBe(false);
});
