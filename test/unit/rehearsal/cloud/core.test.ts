import { expect, test } from "vitest";
import { answer, type ApiRequest } from "../../../../rehearsal/cloud/api/core.js";
import { selects } from "../../../../rehearsal/cloud/api/labels.js";
import { settle } from "../../../../rehearsal/cloud/api/settle.js";
import { emptyState, type CloudState } from "../../../../rehearsal/cloud/api/world.js";
import { numberAt, publicKey, type Tree } from "./harness.js";

const NOW = Date.parse("2026-08-01T12:00:00Z");
const ask = (state: CloudState, method: string, path: string, body?: unknown, more: Partial<ApiRequest> = {}) => {
  const [plain, query] = path.split("?");
  const result = answer(state, { project: "p", method, path: plain!, query: new URLSearchParams(query), body, now: NOW, ...more });
  return { state: result.state, status: result.answer.status, body: result.answer.body as Tree };
};
/** State after requests that must succeed, and after all their actions did. */
const after = (state: CloudState, ...requests: readonly [string, string, unknown?][]): CloudState => requests.reduce((now, [method, path, body]) => {
  const { state: next, status, body: said } = ask(now, method, path, body);
  expect(status, JSON.stringify(said)).toBeLessThan(300);
  return next.actions.filter((one) => one.status === "running").reduce((all, { id }) => settle(all, id, { ok: true }, NOW), next);
}, state);
const empty = emptyState(0);
const key = (name: string): readonly [string, string, unknown] => ["POST", "/ssh_keys", { name, public_key: publicKey(name) }];
const keys = (count: number): [string, string, unknown][] => Array.from({ length: count }, (_, index) => [...key(`key-${String(index).padStart(2, "0")}`)] as [string, string, unknown]);

test("a refused request leaves the state as it was, to the object", () => {
  const { state, status } = ask(empty, "POST", "/servers", { name: "not a host name" });
  expect(status).toBe(422);
  expect(state).toBe(empty);
});

test("no request changes the state that it was given", () => {
  const frozen = JSON.stringify(empty);
  ask(empty, "POST", ...(key("a").slice(1) as [string, unknown]));
  ask(empty, "GET", "/servers");
  expect(JSON.stringify(empty)).toBe(frozen);
});

test.each([
  ["GET", "/nothing", undefined, 404, "not_found"],
  ["GET", "/servers/42", undefined, 404, "not_found"],
  ["GET", "/toString", undefined, 404, "not_found"],
  ["POST", "/servers/42/actions/poweron", undefined, 404, "not_found"],
  ["PATCH", "/servers", undefined, 405, "method_not_allowed"],
  ["POST", "/locations", {}, 405, "method_not_allowed"],
  ["GET", "/datacenters", undefined, 410, "deprecated_api_endpoint"],
  ["GET", "/actions", undefined, 410, "deprecated_api_endpoint"],
  ["POST", "/servers", { name: "a", server_type: "cx23", image: "debian-13", datacenter: "fsn1-dc14" }, 410, "deprecated_api_endpoint"],
  ["POST", "/servers", { name: "a_b", server_type: "cx23", image: "debian-13" }, 422, "invalid_input"],
  ["POST", "/servers", { name: "a", server_type: "cx23", image: "debian-13", user_data: "x".repeat(33_000) }, 422, "invalid_input"],
  ["POST", "/servers", { name: "a", server_type: "cax11", image: 310557660 }, 422, "invalid_input"],
  ["POST", "/servers", { name: "a", server_type: "cx23", image: "debian-13", labels: { "hetzner.cloud/a": "b" } }, 422, "invalid_input"],
  ["POST", "/ssh_keys", { name: "a", public_key: "ssh-ed25519 AAAA" }, 422, "invalid_input"],
  ["POST", "/volumes", { name: "a", size: 9, location: "fsn1" }, 422, "invalid_input"],
  ["POST", "/volumes", { name: "a", size: 10 }, 422, "invalid_input"],
  ["POST", "/primary_ips", { name: "a", type: "ipv4", assignee_type: "server" }, 422, "invalid_input"],
  ["POST", "/firewalls", { name: "a", rules: [{ direction: "in", protocol: "tcp", source_ips: ["0.0.0.0/0"] }] }, 422, "invalid_input"],
  ["POST", "/firewalls", { name: "a", rules: [{ direction: "in", protocol: "tcp", port: "22", source_ips: ["1.2.3.4"] }] }, 422, "invalid_input"],
  ["POST", "/firewalls", { name: "a", apply_to: [{ type: "server", server: { id: 42 } }] }, 404, "firewall_resource_not_found"],
  ["GET", "/servers?label_selector=a=b=c", undefined, 422, "invalid_input"],
  ["GET", "/servers?sort=colour", undefined, 422, "invalid_input"],
  ["GET", "/servers?page=0", undefined, 422, "invalid_input"],
])("%s %s is refused in the API's own form (%#)", (method, path, body, status, code) => {
  const reply = ask(empty, method, path, body);
  expect([reply.status, reply.body["error"]!["code"]]).toEqual([status, code]);
  expect(Object.keys(reply.body["error"]!).sort()).toEqual(["code", "details", "message"]);
});

test("invalid input names every field that is wrong", () => {
  const { body } = ask(empty, "POST", "/servers", { name: "-", image: "debian-13" });
  expect(body["error"]!["details"]!["fields"]!.map((one) => one["name"])).toEqual(["name", "server_type"]);
  expect(body["error"]!["message"]).toContain("'server_type'");
});

test("a name is used once in a project, and by another kind and another project again", () => {
  const state = after(empty, ["POST", "/placement_groups", { name: "a", type: "spread" }]);
  expect(ask(state, "POST", "/placement_groups", { name: "a", type: "spread" })).toMatchObject({ status: 409, body: { error: { code: "uniqueness_error", details: { fields: [{ name: "name" }] } } } });
  expect(ask(state, "POST", "/firewalls", { name: "a" }).status).toBe(201);
  expect(ask(state, "POST", "/placement_groups", { name: "a", type: "spread" }, { project: "q" }).status).toBe(201);
});

test("ids are numbers that never come again", () => {
  const first = ask(empty, "POST", "/placement_groups", { name: "a", type: "spread" });
  const id = numberAt(first.body["placement_group"]!["id"]);
  const gone = after(first.state, ["DELETE", `/placement_groups/${id}`]);
  expect(numberAt(ask(gone, "POST", "/placement_groups", { name: "a", type: "spread" }).body["placement_group"]!["id"])).toBeGreaterThan(id);
});

test("a list comes in pages of 25 unless asked otherwise, of 50 at most", () => {
  const state = after(empty, ...keys(60));
  const pages = (query: string): [number, Tree] => {
    const { body } = ask(state, "GET", `/ssh_keys${query}`);
    return [body["ssh_keys"]!.length, body["meta"]!["pagination"]!];
  };
  expect(pages("")).toEqual([25, { page: 1, per_page: 25, previous_page: null, next_page: 2, last_page: 3, total_entries: 60 }]);
  expect(pages("?page=3")).toEqual([10, { page: 3, per_page: 25, previous_page: 2, next_page: null, last_page: 3, total_entries: 60 }]);
  expect(pages("?per_page=500")[1]).toMatchObject({ per_page: 50, last_page: 2 });
  expect(pages("?page=9")).toEqual([0, expect.objectContaining({ previous_page: 3, next_page: null })]);
});

test("a list is sorted by what is asked for, the first most", () => {
  const state = after(empty, ...keys(3));
  const names = (query: string): string[] => ask(state, "GET", `/ssh_keys?${query}`).body["ssh_keys"]!.map((one) => String(one["name"]));
  expect(names("sort=name:desc")).toEqual(["key-02", "key-01", "key-00"]);
  expect(names("sort=created&sort=name:desc")).toEqual(["key-02", "key-01", "key-00"]);
  expect(names("name=key-01")).toEqual(["key-01"]);
});

test.each([
  ["a=1", true], ["a==1", true], ["a=2", false], ["a!=1", false], ["a!=2", true], ["c!=1", true], ["a", true], ["c", false], ["!a", false], ["!c", true], ["a in (1,2)", true], ["a in (2,3)", false],
  ["a notin (2,3)", true], ["a notin (1)", false], ["c notin (1)", true], ["a=1,b", true], ["a=1,!b", false], ["a in (1,2),b=x", true], ["b=", false], ["x.org/k=v", true],
])("the label selector %s", (selector, matches) => {
  expect(selects(selector)({ a: "1", b: "x", "x.org/k": "v" })).toBe(matches);
});

test.each(["a=b=c", "a in 1,2", "=1", "a b", "!", "a in ("])("%s is no label selector", (selector) => {
  expect(() => selects(selector)).toThrow(/label selector/);
});

test("actions are found by id, by resource, and not by another project", () => {
  const state = after(empty, ["POST", "/volumes", { name: "a", size: 10, location: "fsn1" }], ["POST", "/volumes", { name: "b", size: 10, location: "fsn1" }]);
  const [a, b] = state.projects["p"]!.volumes.map(({ id }) => id);
  const ids = state.actions.map(({ id }) => id);
  const found = (path: string, project = "p"): number[] => ask(state, "GET", path, undefined, { project }).body["actions"]!.map((one) => numberAt(one["id"]));
  expect(found(`/actions?id=${ids[0]}&id=${ids[1]}&sort=status&sort=id`)).toEqual(ids);
  expect(found(`/volumes/${b}/actions`)).toEqual([ids[1]]);
  expect(found("/volumes/actions?status=success")).toEqual(ids);
  expect(found("/volumes/actions?status=running")).toEqual([]);
  expect(found(`/actions?id=${ids[0]}`, "q")).toEqual([]);
  expect(ask(state, "GET", `/volumes/${a}/actions/${ids[0]}`).body["action"]).toMatchObject({ status: "success", progress: 100, command: "create_volume", error: null });
  expect(ask(state, "GET", `/volumes/${a}/actions/${ids[1]}`).status).toBe(404);
});

test("an image is found by name and architecture", () => {
  const { body } = ask(empty, "GET", "/images?name=debian-13&architecture=arm&include_deprecated=true&type=system");
  expect(body["images"]!.map((one) => [one["name"], one["architecture"]])).toEqual([["debian-13", "arm"]]);
});

test("a subnet gets the first /24 that is free, and a server the first address in it", () => {
  const state = after(empty, ["POST", "/networks", { name: "n", ip_range: "10.0.0.0/16", subnets: [{ type: "cloud", network_zone: "eu-central", ip_range: "10.0.0.0/24" }] }]);
  const network = state.projects["p"]!.networks[0]!.id;
  const more = after(state, ["POST", `/networks/${network}/actions/add_subnet`, { type: "cloud", network_zone: "eu-central" }], ["POST", "/servers", { name: "a", server_type: "cx23", image: "debian-13", networks: [network] }]);
  expect(more.projects["p"]!.networks[0]!.subnets.map((one) => one.ip_range)).toEqual(["10.0.0.0/24", "10.0.1.0/24"]);
  expect(more.projects["p"]!.servers[0]!.privateNets).toMatchObject([{ network, ip: "10.0.0.2", mac: expect.stringMatching(/^86:00(:[0-9a-f]{2}){4}$/) }]);
  const running = ask(more, "POST", `/networks/${network}/actions/change_protection`, { delete: true });
  expect(ask(running.state, "POST", `/networks/${network}/actions/add_route`, { destination: "10.1.0.0/16", gateway: "10.0.0.2" }).body["error"]!["code"]).toBe("conflict");
});

test("a project may have so much and no more", () => {
  const state = after(empty, ...Array.from({ length: 50 }, (_, index) => ["POST", "/firewalls", { name: `f${index}` }] as [string, string, unknown]));
  expect(ask(state, "POST", "/firewalls", { name: "one-more" })).toMatchObject({ status: 403, body: { error: { code: "resource_limit_exceeded", details: { limits: [{ name: "firewall_limit" }] } } } });
});
