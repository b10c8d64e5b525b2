import { afterEach, beforeEach, expect, test } from "vitest";
import { numberAt, tryCloud, type Try } from "./harness.js";

let it: Try;
beforeEach(async () => void (it = await tryCloud()));
afterEach(() => it.cloud.close());

const made = async (kind: string, body: object): Promise<number> => {
  const reply = await it.call("POST", `/${kind}`, body);
  expect(reply.body).not.toHaveProperty("error");
  await it.cloud.idle();
  return numberAt(reply.body[kind.slice(0, -1)]!["id"]);
};
const server = (name: string, more: object = {}): Promise<number> => made("servers", { name, server_type: "cx23", image: "debian-13", location: "fsn1", ...more });
const act = async (path: string, body: object = {}) => {
  const reply = await it.call("POST", path.replace(/(\d+)\//, "$1/actions/"), body);
  await it.cloud.idle();
  return reply.body["error"]?.["code"] as string | undefined;
};
const ssh = { direction: "in", protocol: "tcp", port: "22", source_ips: ["0.0.0.0/0"] };

test("a volume is attached to one server at a time, where it is, and keeps its data at another", async () => {
  const [a, b, far] = [await server("a"), await server("b"), await server("c", { location: "hel1" })];
  const volume = await made("volumes", { name: "data", size: 10, server: a });
  expect(it.backend.volumes.get(volume)).toEqual({ size: 10, server: a });
  expect(await act(`/volumes/${volume}/attach`, { server: b })).toBe("volume_already_attached");
  expect((await it.call("DELETE", `/volumes/${volume}`)).status).toBe(422);
  expect(await act(`/volumes/${volume}/detach`)).toBeUndefined();
  expect(await act(`/volumes/${volume}/detach`)).toBe("volume_not_attached");
  expect(await act(`/volumes/${volume}/attach`, { server: far })).toBe("invalid_input");
  expect(await act(`/volumes/${volume}/attach`, { server: b })).toBeUndefined();
  expect((await it.call("GET", `/volumes/${volume}`)).body["volume"]).toMatchObject({ server: b, linux_device: `/dev/disk/by-id/scsi-0HC_Volume_${volume}` });
});

test("a volume grows and never shrinks, and a protected one is not deleted", async () => {
  const volume = await made("volumes", { name: "data", size: 20, location: "fsn1" });
  expect(await act(`/volumes/${volume}/resize`, { size: 20 })).toBe("invalid_input");
  expect(await act(`/volumes/${volume}/resize`, { size: 30 })).toBeUndefined();
  expect(it.backend.volumes.get(volume)!.size).toBe(30);
  await act(`/volumes/${volume}/change_protection`, { delete: true });
  expect((await it.call("DELETE", `/volumes/${volume}`)).body["error"]).toMatchObject({ code: "protected" });
  await act(`/volumes/${volume}/change_protection`, { delete: false });
  expect((await it.call("DELETE", `/volumes/${volume}`)).status).toBe(204);
  await it.cloud.idle();
  expect(await it.backend.leftovers()).toEqual([]);
});

test("an address moves from a server that is off to another one that is off", async () => {
  const ip = await made("primary_ips", { name: "address", type: "ipv4", location: "fsn1", assignee_type: "server" });
  const [a, b] = [await server("a", { public_net: { enable_ipv4: true, ipv4: ip } }), await server("b", { public_net: { enable_ipv4: false, enable_ipv6: true } })];
  const address = it.backend.servers.get(a)!.addresses.ipv4;
  expect(await act(`/primary_ips/${ip}/unassign`)).toBe("server_not_stopped");
  await act(`/servers/${a}/poweroff`);
  expect(await act(`/primary_ips/${ip}/assign`, { assignee_id: b, assignee_type: "server" })).toBe("primary_ip_already_assigned");
  expect(await act(`/primary_ips/${ip}/unassign`)).toBeUndefined();
  expect(it.backend.servers.get(a)!.addresses.ipv4).toBeUndefined();
  expect(await act(`/primary_ips/${ip}/assign`, { assignee_id: b, assignee_type: "server" })).toBe("server_not_stopped");
  await act(`/servers/${b}/poweroff`);
  expect(await act(`/primary_ips/${ip}/assign`, { assignee_id: b, assignee_type: "server" })).toBeUndefined();
  expect(it.backend.servers.get(b)!.addresses.ipv4).toBe(address);
  const second = await made("primary_ips", { name: "second", type: "ipv4", location: "fsn1", assignee_type: "server" });
  expect(await act(`/primary_ips/${second}/assign`, { assignee_id: b, assignee_type: "server" })).toBe("server_has_ipv4");
});

test("an address that goes with its server cannot be protected, nor a protected one made to go", async () => {
  const ip = await made("primary_ips", { name: "address", type: "ipv6", location: "fsn1", assignee_type: "server", auto_delete: true });
  expect(await act(`/primary_ips/${ip}/change_protection`, { delete: true })).toBe("invalid_input");
  await it.call("PUT", `/primary_ips/${ip}`, { auto_delete: false });
  expect(await act(`/primary_ips/${ip}/change_protection`, { delete: true })).toBeUndefined();
  expect((await it.call("PUT", `/primary_ips/${ip}`, { auto_delete: true })).body["error"]).toMatchObject({ code: "invalid_input" });
  expect((await it.call("DELETE", `/primary_ips/${ip}`)).body["error"]).toMatchObject({ code: "protected" });
});

test("addresses are of the rehearsal's own ranges, and one that was given back comes again last", async () => {
  const first = await made("primary_ips", { name: "a", type: "ipv4", location: "fsn1", assignee_type: "server" });
  const address = it.cloud.state().projects["rehearsal"]!.primary_ips[0]!.ip;
  expect(address).toMatch(/^10\.231\.(19[2-9]|20[0-7])\.\d+$/);
  await it.call("DELETE", `/primary_ips/${first}`);
  await made("primary_ips", { name: "a", type: "ipv4", location: "fsn1", assignee_type: "server" });
  expect(it.cloud.state().projects["rehearsal"]!.primary_ips[0]!.ip).not.toBe(address);
});

test("a server without a firewall lets everything through, with an empty one nothing, with two what either lets", async () => {
  const id = await server("a");
  expect(it.backend.servers.get(id)!.plan).not.toHaveProperty("filter");
  const resources = { apply_to: [{ type: "server", server: { id } }] };
  const [none, some] = [await made("firewalls", { name: "none" }), await made("firewalls", { name: "some", rules: [ssh, { direction: "out", protocol: "icmp", destination_ips: ["::/0"] }] })];
  await act(`/firewalls/${none}/apply_to_resources`, resources);
  expect(it.backend.servers.get(id)!.filter).toEqual([]);
  await act(`/firewalls/${some}/apply_to_resources`, resources);
  expect(it.backend.servers.get(id)!.filter).toEqual([{ protocol: "tcp", port: "22", sources: ["0.0.0.0/0"] }]);
  expect(await act(`/firewalls/${some}/apply_to_resources`, resources)).toBe("firewall_already_applied");
  await act(`/firewalls/${some}/set_rules`, { rules: [{ direction: "in", protocol: "icmp", source_ips: ["::/0"] }] });
  expect(it.backend.servers.get(id)!.filter).toEqual([{ protocol: "icmp", sources: ["::/0"] }]);
  expect((await it.call("DELETE", `/firewalls/${some}`)).body["error"]).toMatchObject({ code: "resource_in_use" });
  for (const firewall of [some, none]) await act(`/firewalls/${firewall}/remove_from_resources`, { remove_from: resources.apply_to });
  expect(it.backend.servers.get(id)!.filter).toBeUndefined();
  expect((await it.call("DELETE", `/firewalls/${some}`)).status).toBe(204);
});

test("a firewall for a label is there as soon as a server has it, and gone with it", async () => {
  const firewall = await made("firewalls", { name: "wall", rules: [ssh], apply_to: [{ type: "label_selector", label_selector: { selector: "role=node" } }] });
  const id = await server("a", { labels: { role: "node" } });
  expect(it.backend.servers.get(id)!.plan.filter).toHaveLength(1);
  expect((await it.call("GET", `/firewalls/${firewall}`)).body["firewall"]!["applied_to"]).toEqual([
    { type: "label_selector", label_selector: { selector: "role=node" }, applied_to_resources: [{ type: "server", server: { id } }] },
  ]);
  expect(await act(`/firewalls/${firewall}/remove_from_resources`, { remove_from: [{ type: "server", server: { id } }] })).toBe("firewall_managed_by_label_selector");
  await it.call("PUT", `/servers/${id}`, { labels: {} });
  await it.cloud.idle();
  expect(it.backend.servers.get(id)!.filter).toBeUndefined();
});

test("a firewall's actions do not lock the server", async () => {
  const id = await server("a");
  const firewall = await made("firewalls", { name: "wall" });
  let free = (): void => undefined;
  it.backend.before = (call) => (call.startsWith("setFilter") ? new Promise((done) => void (free = done)) : undefined);
  await it.call("POST", `/firewalls/${firewall}/actions/apply_to_resources`, { apply_to: [{ type: "server", server: { id } }] });
  expect((await it.call("GET", `/servers/${id}`)).body["server"]).toMatchObject({ locked: false, public_net: { firewalls: [{ id: firewall, status: "pending" }] } });
  free();
  await it.cloud.idle();
  expect((await it.call("GET", `/servers/${id}`)).body["server"]).toMatchObject({ public_net: { firewalls: [{ id: firewall, status: "applied" }] } });
});

test("a server takes five firewalls", async () => {
  const id = await server("a");
  const apply = async (name: string) => act(`/firewalls/${await made("firewalls", { name })}/apply_to_resources`, { apply_to: [{ type: "server", server: { id } }] });
  for (const name of ["1", "2", "3", "4", "5"]) expect(await apply(name)).toBeUndefined();
  expect(await apply("6")).toBe("resource_limit_exceeded");
});
