import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { numberAt, publicKey, tryCloud, type Reply } from "./harness.js";
import { faultsOf, schemaOf, type Description } from "./openapi.js";

// The published description, or MaximilianKoestler/hcloud-openapi's copy of it on GitHub (openapi/hcloud.json): whoever has it puts it here.
const file = join(process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast"), "hcloud-openapi.json");
const description = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Description) : undefined;
const why = description ? "" : ` (skipped: ${file} is not there)`;

test.skipIf(!description)(`every answer is as the published description has it${why}`, async () => {
  const { cloud, call } = await tryCloud();
  const faults: string[] = [];
  const described = new Set<string>();
  const ask = async (method: string, path: string, body?: unknown): Promise<Reply> => {
    const reply = await call(method, path, body);
    await cloud.idle();
    const found = schemaOf(description!, method, path, reply.status);
    if (found) {
      described.add(`${found.name} ${reply.status}`);
      faults.push(...faultsOf(description!, found.schema, reply.body, `${found.name} ${reply.status}`));
    } else if (reply.status !== 204) faults.push(`${method} ${path} ${reply.status}: is not described`);
    return reply;
  };
  const made = async (kind: string, body: object): Promise<number> => numberAt((await ask("POST", `/${kind}`, body)).body[kind.slice(0, -1)]!["id"]);

  const key = await made("ssh_keys", { name: "k", public_key: publicKey("k"), labels: { a: "b" } });
  const group = await made("placement_groups", { name: "g", type: "spread" });
  const network = await made("networks", { name: "n", ip_range: "10.0.0.0/16", subnets: [{ type: "cloud", network_zone: "eu-central", ip_range: "10.0.1.0/24" }] });
  const [volume, ip] = [await made("volumes", { name: "v", size: 10, location: "fsn1" }), await made("primary_ips", { name: "i", type: "ipv4", location: "fsn1", assignee_type: "server" })];
  const firewall = await made("firewalls", { name: "f", rules: [{ direction: "in", protocol: "tcp", port: "22", source_ips: ["0.0.0.0/0"], description: "ssh" }], apply_to: [{ type: "label_selector", label_selector: { selector: "x" } }] });
  const server = await made("servers", {
    name: "s", server_type: "cx23", image: "debian-13", location: "fsn1", ssh_keys: [key], volumes: [volume], networks: [network], placement_group: group, firewalls: [{ firewall }], public_net: { enable_ipv4: true, enable_ipv6: true, ipv4: ip },
  });
  await ask("POST", "/servers", { name: "s" });
  await ask("POST", "/servers", { name: "s", server_type: "cx23", image: "debian-13" });
  for (const list of ["servers", "volumes", "primary_ips", "firewalls", "networks", "placement_groups", "ssh_keys", "locations", "server_types", "images", "isos"]) await ask("GET", `/${list}`);
  for (const list of ["servers", "volumes", "primary_ips", "firewalls", "networks"]) await ask("GET", `/${list}/actions`);
  for (const one of [`servers/${server}`, `volumes/${volume}`, `primary_ips/${ip}`, `firewalls/${firewall}`, `networks/${network}`, `placement_groups/${group}`, `ssh_keys/${key}`, "locations/1", "server_types/114", "images/310557660", "servers/9"]) await ask("GET", `/${one}`);
  for (const one of [`servers/${server}`, `volumes/${volume}`, `primary_ips/${ip}`, `firewalls/${firewall}`, `networks/${network}`, `placement_groups/${group}`, `ssh_keys/${key}`]) await ask("PUT", `/${one}`, { labels: { c: "d" } });
  const act = (on: string, action: string, body: object = {}) => ask("POST", `/${on}/actions/${action}`, body);
  for (const action of ["enable_rescue", "disable_rescue", "reboot", "reset", "enable_backup", "disable_backup", "shutdown", "poweron", "poweroff", "detach_iso", "remove_from_placement_group"]) await act(`servers/${server}`, action);
  await act(`servers/${server}`, "add_to_placement_group", { placement_group: group });
  await act(`servers/${server}`, "change_type", { server_type: "cx33", upgrade_disk: false });
  await act(`servers/${server}`, "change_alias_ips", { network, alias_ips: ["10.0.1.9"] });
  await act(`servers/${server}`, "detach_from_network", { network });
  await act(`servers/${server}`, "attach_to_network", { network });
  await act(`servers/${server}`, "rebuild", { image: "debian-12" });
  for (const protectedOne of [true, false]) {
    await act(`servers/${server}`, "change_protection", { delete: protectedOne, rebuild: protectedOne });
    for (const one of [`volumes/${volume}`, `primary_ips/${ip}`, `networks/${network}`]) await act(one, "change_protection", { delete: protectedOne });
    if (protectedOne) await ask("DELETE", `/servers/${server}`);
  }
  await act(`firewalls/${firewall}`, "set_rules", { rules: [] });
  await act(`firewalls/${firewall}`, "remove_from_resources", { remove_from: [{ type: "server", server: { id: server } }] });
  await act(`firewalls/${firewall}`, "apply_to_resources", { apply_to: [{ type: "server", server: { id: server } }] });
  await act(`volumes/${volume}`, "detach");
  await act(`volumes/${volume}`, "resize", { size: 11 });
  await act(`volumes/${volume}`, "attach", { server });
  await act(`servers/${server}`, "poweroff");
  await act(`primary_ips/${ip}`, "unassign");
  await act(`primary_ips/${ip}`, "assign", { assignee_id: server, assignee_type: "server" });
  await act(`primary_ips/${ip}`, "change_dns_ptr", { ip: cloud.state().projects["rehearsal"]!.primary_ips[0]!.ip, dns_ptr: "a.example.com" });
  for (const [action, body] of [["add_subnet", { type: "cloud", network_zone: "eu-central" }], ["delete_subnet", { ip_range: "10.0.0.0/24" }], ["add_route", { destination: "10.9.0.0/16", gateway: "10.0.1.2" }], ["delete_route", { destination: "10.9.0.0/16", gateway: "10.0.1.2" }]] as const) await act(`networks/${network}`, action, body);
  await ask("GET", `/actions?id=${cloud.state().actions[0]!.id}`);
  await ask("GET", `/actions/${cloud.state().actions[0]!.id}`);
  await ask("DELETE", `/servers/${server}`);
  await cloud.close();

  expect(faults).toEqual([]);
  expect(described.size).toBeGreaterThan(70);
});
