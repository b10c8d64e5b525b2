import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { activate, commit, rollback, watchdog } from "../../../../agent/activation/activation.js";
import { changedDaemons } from "../../../../agent/activation/daemons.js";
import { receive } from "../../../../agent/secrets/receive.js";
import { bundleOf, contacted, deliverable, dyingAt, file } from "../secrets/standIn.js";
import { base, fakeHost, first, second, type FakeHost } from "./host.js";

const asked = (toplevel: string, secretsVersion?: number): string => JSON.stringify({ toplevel, secretsVersion, deadline: 60 });
const meant = (toplevel: string): string => JSON.stringify({ toplevel });
const restarts = (host: FakeHost): string[] => host.commands.filter((command) => command.includes("restart --") || command.endsWith("holdfast-gate.service") && command.includes(" start "));

/** A system's units, all of which the gate's target wants. */
async function lays({ site }: FakeHost, system: string, units: Readonly<Record<string, string>>): Promise<void> {
  const folder = join(site.root, system, "etc/systemd/system");
  await mkdir(join(folder, "holdfast-identity.target.wants"), { recursive: true });
  for (const [unit, text] of Object.entries(units)) {
    await writeFile(join(folder, unit), text);
    await symlink(`../${unit}`, join(folder, "holdfast-identity.target.wants", unit));
  }
}

/** A host whose second system has another LND, the same backup watch, and a service more. */
async function upgraded(): Promise<FakeHost> {
  const host = await fakeHost({ current: first, boot: first });
  await lays(host, first, { "lnd.service": "ExecStart=/lnd-1", "holdfast-backup.service": "ExecStart=/agent" });
  await lays(host, second, { "lnd.service": "ExecStart=/lnd-2", "holdfast-backup.service": "ExecStart=/agent", "rtl.service": "ExecStart=/rtl" });
  return host;
}

describe("daemons that hold an identity", () => {
  it("are those to renew whose unit both systems have and which reads otherwise", async () => {
    const { site } = await upgraded();
    expect(await changedDaemons(site, { toplevel: second, previous: first })).toEqual(["lnd.service"]);
    expect(await changedDaemons(site, { toplevel: first, previous: base })).toEqual([]);
    expect(await changedDaemons(site, { toplevel: second, previous: second })).toEqual([]);
  });

  it("are renewed by the commit, before the gate is asked, and by nothing earlier", async () => {
    const host = await upgraded();
    await activate(asked(second), host.site);
    expect(restarts(host)).toEqual([]);
    await commit(meant(second), host.site);
    expect(restarts(host)).toEqual(["systemctl try-restart -- lnd.service", "systemctl start --no-block -- holdfast-gate.service"]);
    host.commands.length = 0;
    await commit(meant(second), host.site);
    expect(restarts(host)).toEqual([]);
  });

  it.each<[string, (host: FakeHost) => Promise<unknown>]>([
    ["the deployer", ({ site }) => rollback(JSON.stringify({ toplevel: second, reason: "no proof" }), site)], ["the watchdog", ({ site }) => watchdog("", site)],
  ])("run on untouched where the trial is ended by %s", async (_, end) => {
    const host = await upgraded();
    await activate(asked(second), host.site);
    await end(host);
    expect(restarts(host)).toEqual([]);
  });

  it("that do not come up again leave the commit what it is, and the gate is asked", async () => {
    const host = await upgraded();
    await activate(asked(second), host.site);
    host.broken.add("systemctl try-restart");
    expect(await commit(meant(second), host.site)).toMatchObject({ state: "committed" });
    expect(restarts(host)).toContain("systemctl start --no-block -- holdfast-gate.service");
  });

  it("are renewed by whoever finishes a commit that was killed at any point after its decision", async () => {
    for (let effect = 1; ; effect++) {
      const host = await upgraded();
      await activate(asked(second), host.site);
      const { dying, isDead } = dyingAt(host.site, effect);
      await commit(meant(second), dying).catch(() => undefined);
      if (!isDead()) return;
      expect(await commit(meant(second), host.site), `killed at effect ${effect}`).toMatchObject({ state: "committed" });
      expect(restarts(host)).toContain("systemctl try-restart -- lnd.service");
    }
  });

  it("start with new secrets and their new version at once, when they are committed: a newer one must not touch the database while it can still be taken back", async () => {
    const host = await upgraded();
    const { site } = host;
    await mkdir(dirname(site.layout.settings), { recursive: true });
    await writeFile(site.layout.settings, "{}");
    await contacted(site);
    await receive(await deliverable(site, bundleOf(5, [file("password", "old"), file("other", "old", { consumers: ["other.service"] })])), site);
    await activate(asked(first, 5), site);
    await commit(meant(first), site);
    await receive(await deliverable(site, bundleOf(6, [file("password", "new"), file("other", "new", { consumers: ["other.service"] })])), site);
    host.commands.length = 0;
    expect(await activate(asked(second, 6), site)).toMatchObject({ state: "pending", restarted: ["other.service"] });
    expect(restarts(host)).toEqual(["systemctl try-restart -- other.service"]);
    host.commands.length = 0;
    await commit(meant(second), site);
    expect(restarts(host)).toEqual(["systemctl try-restart -- lnd.service", "systemctl start --no-block -- holdfast-gate.service"]);
    expect(await site.disk.look(site.layout.pendingRestarts)).toBeUndefined();
  });
});
