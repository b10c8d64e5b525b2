import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cloudRows, faultsFrom } from "../../../cli/cloud.js";
import { tryCloud } from "../rehearsal/cloud/harness.js";

test("the status names everything that a cloud has, and what belongs to what", async () => {
  const { cloud, call } = await tryCloud();
  await call("POST", "/servers", { name: "node-a", server_type: "cx23", image: "debian-13", public_net: { enable_ipv6: false } });
  await cloud.idle();
  const [server] = cloud.state().projects["rehearsal"]!.servers;
  await call("POST", "/volumes", { name: "data", size: 10, server: server!.id });
  await call("POST", "/primary_ips", { name: "spare", type: "ipv6", location: "fsn1", assignee_type: "server" });
  await call("POST", "/firewalls", { name: "wall", rules: [], apply_to: [{ type: "server", server: { id: server!.id } }, { type: "label_selector", label_selector: { selector: "a=b" } }] });
  await cloud.idle();
  const [address] = cloud.state().projects["rehearsal"]!.primary_ips;
  expect(cloudRows(cloud.state()).map(([kind, , ...rest]) => [kind, ...rest])).toEqual([
    ["server", "node-a", "running", address!.ip],
    ["volume", "data", "available", "10 GB, at node-a"],
    ["ipv4", address!.name, "assigned", `${address!.ip}, at node-a, goes with it`],
    ["ipv6", "spare", "free", expect.stringMatching(/\/64, at -$/)],
    ["firewall", "wall", "0 rules", "at node-a a=b"],
  ]);
  await cloud.close();
});

test("faults come from JSON or from a file, and what is neither is named", () => {
  const file = join(mkdtempSync(join(tmpdir(), "holdfast-faults-")), "faults.json");
  writeFileSync(file, '[{"do":"neverBoots"}]');
  expect(faultsFrom(file)).toEqual([{ do: "neverBoots" }]);
  expect(faultsFrom('[{"do":"reset","times":1}]')).toEqual([{ do: "reset", when: "after", times: 1 }]);
  expect(() => faultsFrom("nowhere.json")).toThrow(/no file nowhere.json/);
});
