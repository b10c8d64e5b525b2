import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { activate, activationReport, commit, rollback, watchdog } from "../../../../agent/activation/activation.js";
import { currentSystem } from "../../../../agent/activation/systems.js";
import { kept } from "../../../../agent/secrets/kept.js";
import { receive } from "../../../../agent/secrets/receive.js";
import { installSecrets } from "../../../../agent/secrets/trial.js";
import { readVersions } from "../../../../agent/secrets/versions.js";
import { bundleOf, contacted, deliverable, dyingAt, file, installedFiles, texts } from "../secrets/standIn.js";
import { base, fakeHost, first, second, type FakeHost } from "./host.js";

const old = [file("password", "old"), file("gone", "gone", { consumers: ["gone.service"] })];
const fresh = [file("password", "new"), file("added", "added", { consumers: ["added.service"] })];
const [withOld, withNew] = [{ password: "old", gone: "gone" }, { password: "new", added: "added" }];
const asked = (toplevel: string, secretsVersion: number): string => JSON.stringify({ toplevel, secretsVersion, deadline: 60 });
const meant = (toplevel: string, secretsVersion: number): string => JSON.stringify({ toplevel, secretsVersion });
const installed = async ({ site }: FakeHost): Promise<object> => ((await site.disk.look(site.layout.secrets)) ? texts(await installedFiles(site)) : {});
const restarts = (host: FakeHost): string[] => host.commands.filter((command) => command.includes("try-restart"));

/** A host that runs and boots the first system with secrets of version 5, and to which version 6 was delivered. */
async function provenHost(): Promise<FakeHost> {
  const host = await fakeHost({ current: base, boot: base });
  const { site } = host;
  await mkdir(dirname(site.layout.settings), { recursive: true });
  await writeFile(site.layout.settings, "{}");
  await receive(await deliverable(site, bundleOf(5, old)), site);
  await activate(asked(first, 5), site);
  await commit(meant(first, 5), site);
  await receive(await deliverable(site, bundleOf(6, fresh)), site);
  host.commands.length = 0;
  return host;
}

describe("secrets on trial", () => {
  it("come with their system, and stay when it is committed", async () => {
    const host = await provenHost();
    expect(await installed(host)).toEqual(withOld);
    expect(await activate(asked(second, 6), host.site)).toEqual({ state: "pending", toplevel: second, previous: first, secretsVersion: 6, restarted: ["added.service", "gone.service", "lnd.service"] });
    expect(await installed(host)).toEqual(withNew);
    expect((await kept(host.site, "committed"))?.bundle.version).toBe(5);
    expect(await commit(meant(second, 6), host.site)).toEqual({ state: "committed", toplevel: second, previous: first, secretsVersion: 6 });
    expect(await host.site.disk.list(host.site.layout.state)).toEqual(["bundle.age", "identity.age-key", "installed.json", "place.json", "secrets-versions.json"]);
    expect([(await kept(host.site, "committed"))?.bundle.version, (await readVersions(host.site)).highest]).toEqual([6, 6]);
  });

  it.each<[string, (host: FakeHost) => Promise<unknown>]>([
    ["the deployer, for a proof that failed", (host) => rollback(JSON.stringify({ toplevel: second, reason: "no proof" }), host.site)],
    ["the watchdog", (host) => watchdog("", host.site)],
    ["a reboot", async (host) => {
      await host.reboot();
      await host.setCurrent(first);
      await installSecrets("", host.site);
    }],
  ])("are taken back with it by %s; and come again with the next activation", async (_, takeBack) => {
    const host = await provenHost();
    await activate(asked(second, 6), host.site);
    host.commands.length = 0;
    await takeBack(host);
    expect([await currentSystem(host.site), await installed(host)]).toEqual([first, withOld]);
    if (host.commands.some((command) => command.includes("holdfast-rollback"))) expect(restarts(host)).toEqual(["systemctl try-restart -- added.service gone.service lnd.service"]);
    expect((await kept(host.site, "delivered"))?.bundle.version).toBe(6);
    expect(await activate(asked(second, 6), host.site)).toMatchObject({ state: "pending", secretsVersion: 6 });
    expect(await commit(meant(second, 6), host.site)).toMatchObject({ state: "committed" });
    expect(await installed(host)).toEqual(withNew);
  });

  it("alone are an activation too: of the system that runs, and taken back to it", async () => {
    const host = await provenHost();
    expect(await activate(asked(first, 6), host.site)).toMatchObject({ state: "pending", toplevel: first, previous: first, secretsVersion: 6 });
    expect(await installed(host)).toEqual(withNew);
    expect(await rollback(JSON.stringify({ toplevel: first, reason: "no proof" }), host.site)).toEqual({ state: "rolled-back", toplevel: first, previous: first, secretsVersion: 6, reason: "no proof" });
    expect(await installed(host)).toEqual(withOld);
    expect(await activate(asked(first, 6), host.site)).toMatchObject({ state: "pending" });
    expect(await commit(meant(first, 6), host.site)).toMatchObject({ state: "committed", secretsVersion: 6 });
    expect(host.commands.join()).not.toContain("holdfast-gate");
    host.commands.length = 0;
    expect(await activate(asked(first, 6), host.site)).toMatchObject({ state: "committed", secretsVersion: 6 });
    expect(host.commands).toEqual([]);
  });

  it("that were sealed anew with the same files are no activation", async () => {
    const host = await provenHost();
    await receive(await deliverable(host.site, bundleOf(7, old)), host.site);
    expect(await activate(asked(first, 7), host.site)).toEqual({ state: "committed", toplevel: first, previous: first, secretsVersion: 7 });
    expect(host.commands).toEqual([]);
    expect((await readVersions(host.site)).highest).toBe(7);
  });

  it("end the trial when a unit does not come up with them", async () => {
    const host = await provenHost();
    host.broken.add("systemctl try-restart");
    host.meanwhile.set("systemd-run --unit=holdfast-rollback", async () => void host.broken.clear());
    expect(await activate(asked(second, 6), host.site)).toMatchObject({ state: "rolled-back", reason: expect.stringContaining("secrets were changed, and their consumers did not all restart") as string });
    expect([await currentSystem(host.site), await installed(host)]).toEqual([first, withOld]);
  });

  it("end the trial when a user is missing that one belongs to", async () => {
    const host = await provenHost();
    await receive(await deliverable(host.site, bundleOf(7, [file("password", "new", { owner: "rtl" })])), host.site);
    await expect(activate(asked(second, 7), host.site)).rejects.toThrow("password belongs to user rtl");
    await watchdog("", host.site);
    expect([await currentSystem(host.site), await installed(host)]).toEqual([first, withOld]);
  });

  it("leave a host bare again whose first system is taken back", async () => {
    const host = await fakeHost();
    const { site } = host;
    await symlink(base, join(site.root, first, "base"));
    await receive(await deliverable(site, bundleOf(5, old)), site);
    await activate(asked(first, 5), site);
    expect(await installed(host)).toEqual(withOld);
    await rollback(JSON.stringify({ toplevel: first, reason: "no proof" }), site);
    expect([await currentSystem(site), await installed(host)]).toEqual([base, {}]);
    expect(await activate(asked(first, 5), site)).toMatchObject({ state: "pending" });
    expect(await commit(meant(first, 5), site)).toMatchObject({ state: "committed" });
    expect(await installed(host)).toEqual(withOld);
  });

  it("are refused when the host does not have them, and nothing is tried", async () => {
    const host = await provenHost();
    await expect(activate(asked(second, 9), host.site)).rejects.toThrow(/does not have the secrets of 1970-01-01T00:00:00\.009Z.*newest it has are those of 1970-01-01T00:00:00\.006Z/);
    expect(host.commands).toEqual([]);
    const bare = await fakeHost({ current: first, boot: first });
    await contacted(bare.site);
    await expect(activate(asked(second, 9), bare.site)).rejects.toThrow("it has none");
  });

  it("are not those of a bundle that came meanwhile", async () => {
    const host = await provenHost();
    await activate(asked(second, 6), host.site);
    await receive(await deliverable(host.site, bundleOf(8, [file("password", "eight")])), host.site);
    await commit(meant(second, 6), host.site);
    expect([await installed(host), (await kept(host.site, "delivered"))?.bundle.version]).toEqual([withNew, 8]);
    await activate(asked(second, 8), host.site);
    expect(await installed(host)).toEqual({ password: "eight" });
  });

  it("are committed with the boot default: a power cut between the two is made good when the host starts", async () => {
    const host = await provenHost();
    await activate(asked(second, 6), host.site);
    await host.setBoot(second);
    await host.reboot();
    await host.setCurrent(second);
    await installSecrets("", host.site);
    expect([await installed(host), (await kept(host.site, "committed"))?.bundle.version]).toEqual([withNew, 6]);
    expect(await activationReport("", host.site)).toEqual({ state: "committed", toplevel: second, previous: second, secretsVersion: 6 });
  });

  it("alone, and lost in a restart, are not called committed", async () => {
    const host = await provenHost();
    await activate(asked(first, 6), host.site);
    await host.reboot();
    await host.setCurrent(first);
    await installSecrets("", host.site);
    expect(await activationReport("", host.site)).toMatchObject({ state: "committed", secretsVersion: 5 });
    expect(await commit(meant(first, 6), host.site)).toMatchObject({ state: "rolled-back", secretsVersion: 5 });
  });
});

describe("an activation with secrets that is killed anywhere", { timeout: 120_000 }, () => {
  it("leaves a host that the next one brings in order", async () => {
    for (let effect = 1; ; effect++) {
      const host = await provenHost();
      const { dying, isDead } = dyingAt(host.site, effect);
      await activate(asked(second, 6), dying).then(() => commit(meant(second, 6), dying)).catch(() => undefined);
      if (!isDead()) break;
      expect([withOld, withNew], `killed at effect ${effect}`).toContainEqual(await installed(host));
      expect(await activate(asked(second, 6), host.site).then(() => commit(meant(second, 6), host.site)), `killed at effect ${effect}`).toMatchObject({ state: "committed", secretsVersion: 6 });
      expect([await installed(host), (await kept(host.site, "committed"))?.bundle.version]).toEqual([withNew, 6]);
      expect(await host.site.disk.list(host.site.layout.state)).toEqual(["bundle.age", "identity.age-key", "installed.json", "place.json", "secrets-versions.json"]);
    }
  });

  it("and whose machine restarts, boots with the secrets of the system that boots", async () => {
    for (let effect = 1; ; effect++) {
      const host = await provenHost();
      const { dying, isDead } = dyingAt(host.site, effect);
      await activate(asked(second, 6), dying).then(() => commit(meant(second, 6), dying)).catch(() => undefined);
      if (!isDead()) break;
      const boot = (await activationReport("", { ...host.site, layout: { ...host.site.layout, activation: "/nowhere" } })).toplevel;
      await host.reboot();
      await host.setCurrent(boot);
      await installSecrets("", host.site);
      expect(await installed(host), `killed at effect ${effect}`).toEqual(boot === second ? withNew : withOld);
    }
  });
});
