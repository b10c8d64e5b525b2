import { afterEach, beforeEach, expect, test } from "vitest";
import { numberAt, publicKey, tryCloud, type Try } from "./harness.js";

let it: Try;
beforeEach(async () => void (it = await tryCloud()));
afterEach(() => it.cloud.close());

const plain = { name: "node-a", server_type: "cx23", image: "debian-13", location: "fsn1" };
const made = async (kind: string, body: object): Promise<number> => {
  const reply = await it.call("POST", `/${kind}`, body);
  expect(reply.body).not.toHaveProperty("error");
  expect(reply.status).toBe(201);
  await it.cloud.idle();
  return numberAt(reply.body[kind.slice(0, -1)]!["id"]);
};
const create = (more: object = {}): Promise<number> => made("servers", { ...plain, ...more });
const act = async (id: number, action: string, body: object = {}) => {
  const reply = await it.call("POST", `/servers/${id}/actions/${action}`, body);
  await it.cloud.idle();
  return reply;
};
const server = async (id: number) => (await it.call("GET", `/servers/${id}`)).body["server"]!;
const codeOf = (reply: { readonly body: { readonly [key: string]: { readonly [key: string]: unknown } } }): unknown => reply.body["error"]?.["code"];

test("a server is made with everything that the request names, and boots", async () => {
  const key = await made("ssh_keys", { name: "operator", public_key: publicKey("operator") });
  const volume = await made("volumes", { name: "data", size: 10, location: "fsn1" });
  const ip = await made("primary_ips", { name: "address", type: "ipv4", location: "fsn1", assignee_type: "server", auto_delete: false });
  const firewall = await made("firewalls", { name: "wall", rules: [{ direction: "in", protocol: "tcp", port: "22", source_ips: ["0.0.0.0/0", "::/0"] }] });
  const answer = await it.call("POST", "/servers", {
    ...plain, user_data: "#cloud-config\n", ssh_keys: [key], volumes: [volume], public_net: { enable_ipv4: true, enable_ipv6: true, ipv4: ip }, firewalls: [{ firewall }], labels: { node: "a" },
  });
  expect(answer.body["server"]).toMatchObject({ status: "initializing", locked: true });
  expect(answer.body["root_password"]).toBeNull();
  expect(answer.body["action"]).toMatchObject({ command: "create_server", status: "running", resources: [{ type: "server" }] });
  expect(answer.body["next_actions"]!.map((one) => one["command"])).toEqual(["attach_volume", "start_server"]);
  await it.cloud.idle();
  const id = numberAt(answer.body["server"]!["id"]);
  const address = it.cloud.state().projects["rehearsal"]!.primary_ips[0]!.ip;
  expect(await server(id)).toMatchObject({ status: "running", locked: false, volumes: [volume], public_net: { ipv4: { ip: address }, firewalls: [{ id: firewall, status: "applied" }] } });
  expect(it.backend.servers.get(id)).toMatchObject({
    running: true, boots: 1, addresses: { ipv4: address, ipv6: expect.stringMatching(/^fd23:1:.*::1$/) },
    plan: { name: "node-a", image: "debian-13", userData: "#cloud-config\n", sshKeys: [publicKey("operator")], volumes: [volume], filter: [{ protocol: "tcp", port: "22", sources: ["0.0.0.0/0", "::/0"] }] },
  });
});

test("a server that is not to be started waits, switched off", async () => {
  const id = await create({ start_after_create: false });
  expect(await server(id)).toMatchObject({ status: "off" });
  expect(it.backend.servers.get(id)!.running).toBe(false);
});

test("while a server is being changed, all but its firewalls and labels is locked", async () => {
  const id = await create();
  let free = (): void => undefined;
  it.backend.before = (call) => (call.startsWith("power") ? new Promise((done) => void (free = done)) : undefined);
  const firewall = await made("firewalls", { name: "wall" });
  await it.call("POST", `/servers/${id}/actions/reboot`);
  expect(await server(id)).toMatchObject({ locked: true });
  for (const action of ["poweroff", "rebuild", "change_protection"]) {
    expect([action, codeOf(await it.call("POST", `/servers/${id}/actions/${action}`, { image: "debian-13", delete: true, rebuild: true }))]).toEqual([action, "locked"]);
  }
  expect(codeOf(await it.call("DELETE", `/servers/${id}`))).toBe("locked");
  expect((await it.call("PUT", `/servers/${id}`, { labels: { a: "b" } })).status).toBe(200);
  expect((await it.call("POST", `/firewalls/${firewall}/actions/apply_to_resources`, { apply_to: [{ type: "server", server: { id } }] })).status).toBe(201);
  free();
  await it.cloud.idle();
  expect(await server(id)).toMatchObject({ locked: false });
  expect(it.backend.servers.get(id)!.filter).toEqual([]);
});

test("a protected server is neither deleted nor rebuilt", async () => {
  const id = await create();
  expect(codeOf(await act(id, "change_protection", { delete: true, rebuild: false }))).toBe("invalid_input");
  await act(id, "change_protection", { delete: true, rebuild: true });
  const refused = await it.call("DELETE", `/servers/${id}`);
  expect([refused.status, codeOf(refused)]).toEqual([423, "protected"]);
  expect(codeOf(await act(id, "rebuild", { image: "debian-13" }))).toBe("protected");
  await act(id, "change_protection", { delete: false, rebuild: false });
  expect((await it.call("DELETE", `/servers/${id}`)).status).toBe(200);
});

test("with a server goes the address that was made with it; the operator's own, and the volume, stay", async () => {
  const ip = await made("primary_ips", { name: "address", type: "ipv4", location: "fsn1", assignee_type: "server", auto_delete: false });
  const volume = await made("volumes", { name: "data", size: 10, location: "fsn1" });
  const id = await create({ volumes: [volume], public_net: { enable_ipv4: true, enable_ipv6: true, ipv4: ip } });
  expect((await it.call("DELETE", `/primary_ips/${ip}`)).body["error"]).toMatchObject({ code: "must_be_unassigned" });
  const deleted = await it.call("DELETE", `/servers/${id}`);
  expect(deleted.body["action"]).toMatchObject({ command: "delete_server" });
  await it.cloud.idle();
  expect((await it.call("GET", `/servers/${id}`)).status).toBe(404);
  expect((await it.call("GET", `/actions/${deleted.body["action"]!["id"]}`)).body["action"]).toMatchObject({ status: "success" });
  expect((await it.call("GET", "/primary_ips")).body["primary_ips"]!.map((one) => [one["id"], one["assignee_id"]])).toEqual([[ip, null]]);
  expect((await it.call("GET", `/volumes/${volume}`)).body["volume"]).toMatchObject({ server: null, status: "available" });
  expect(await it.backend.leftovers()).toEqual([`volume ${volume}`]);
  const again = await create({ volumes: [volume], public_net: { enable_ipv4: true, enable_ipv6: false, ipv4: ip } });
  expect(again).not.toBe(id);
  expect(it.backend.volumes.get(volume)!.server).toBe(again);
});

test("power actions reach the machine, and what it does by itself is seen", async () => {
  const id = await create();
  await act(id, "poweroff");
  expect(await server(id)).toMatchObject({ status: "off" });
  await act(id, "poweron");
  await act(id, "reboot");
  await act(id, "reset");
  expect(it.backend.servers.get(id)).toMatchObject({ running: true, boots: 4 });
  await act(id, "shutdown");
  await expect.poll(async () => (await server(id))["status"], { timeout: 3_000 }).toBe("off");
});

test("a machine that is gone behind the cloud's back makes its server unknown", async () => {
  const id = await create();
  await it.backend.deleteServer(id);
  await expect.poll(async () => (await server(id))["status"], { timeout: 3_000 }).toBe("unknown");
});

test("rescue is for the next boot alone", async () => {
  const key = await made("ssh_keys", { name: "operator", public_key: publicKey("operator") });
  const id = await create({ ssh_keys: [key] });
  expect((await act(id, "enable_rescue", { type: "linux64", ssh_keys: [key] })).body["root_password"]).toEqual(expect.any(String));
  expect(await server(id)).toMatchObject({ rescue_enabled: true });
  expect(it.backend.servers.get(id)!.rescue).toEqual([publicKey("operator")]);
  await act(id, "reset");
  expect(await server(id)).toMatchObject({ rescue_enabled: false });
});

test("a rebuild takes another image, and the user data of before unless there are others", async () => {
  const id = await create({ user_data: "#one" });
  await act(id, "rebuild", { image: "debian-12" });
  expect(it.backend.servers.get(id)!.plan).toMatchObject({ id, image: "debian-12", userData: "#one" });
  expect(await server(id)).toMatchObject({ status: "running", image: { name: "debian-12" } });
  await act(id, "rebuild", { image: "debian-13", user_data: "#two" });
  expect(it.backend.servers.get(id)!.plan).toMatchObject({ image: "debian-13", userData: "#two" });
});

test("a server type is changed on a server that is off, and never to a smaller disk", async () => {
  const id = await create();
  expect(codeOf(await act(id, "change_type", { server_type: "cx33", upgrade_disk: true }))).toBe("server_not_stopped");
  await act(id, "poweroff");
  expect(codeOf(await act(id, "change_type", { server_type: "cax11", upgrade_disk: true }))).toBe("invalid_server_type");
  await act(id, "change_type", { server_type: "cx33", upgrade_disk: true });
  expect(await server(id)).toMatchObject({ server_type: { name: "cx33" }, primary_disk_size: 80, status: "off" });
  expect(codeOf(await act(id, "change_type", { server_type: "cx23", upgrade_disk: false }))).toBe("invalid_server_type");
});

test("a placement group takes ten", async () => {
  const group = await made("placement_groups", { name: "spread", type: "spread" });
  for (let number = 0; number < 10; number++) await create({ name: `node-${number}`, placement_group: group });
  expect(codeOf(await it.call("POST", "/servers", { ...plain, placement_group: group }))).toBe("placement_error");
  expect((await it.call("GET", `/placement_groups/${group}`)).body["placement_group"]!["servers"]).toHaveLength(10);
});

test.each([["primary_ip_assigned", "fsn1", "ipv4", true], ["primary_ip_version_mismatch", "fsn1", "ipv6", false], ["primary_ip_datacenter_mismatch", "nbg1", "ipv4", false]])("an address that does not fit is refused: %s", async (code, location, type, taken) => {
  const ip = await made("primary_ips", { name: "address", type, location, assignee_type: "server" });
  if (taken) await create({ name: "other", public_net: { enable_ipv4: true, ipv4: ip } });
  expect(codeOf(await it.call("POST", "/servers", { ...plain, public_net: { enable_ipv4: true, ipv4: ip } }))).toBe(code);
  expect((await it.call("GET", "/servers")).body["servers"]).toHaveLength(taken ? 1 : 0);
});
