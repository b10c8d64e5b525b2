import { symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { activate, activationReport, commit, rollback, watchdog } from "../../../../agent/activation/activation.js";
import { bootSystem, currentSystem } from "../../../../agent/activation/systems.js";
import { withLock } from "../../../../agent/lock.js";
import { dyingAt } from "../secrets/standIn.js";
import { base, fakeHost, first, second, type FakeHost } from "./host.js";

const asked = (toplevel: string, more: object = {}): string => JSON.stringify({ toplevel, deadline: 60, ...more });
const [one, other] = ["6f1b6e0c-2d0c-4b6e-9f0a-5b1f0c1d2e3f", "0d9c8b7a-6f5e-4d3c-8b2a-1f0e9d8c7b6a"];
const named = (toplevel: string): string => JSON.stringify({ toplevel });
const switching = (unit: string, toplevel: string, action: string): string =>
  `systemd-run --unit=${unit} --description=${action} ${toplevel} --wait --collect --quiet --no-ask-password --service-type=exec --property=TimeoutStopSec=10 ${toplevel}/bin/switch-to-configuration ${action}`;
const arming = (toplevel: string, previous: string): string =>
  `systemd-run --unit=holdfast-watchdog.service --description=rolls back unless the activation is committed --collect --quiet --no-ask-password --service-type=exec --property=Restart=on-failure --property=RestartSec=1 --property=OOMScoreAdjust=-900 ` +
  `--setenv=PATH=${toplevel}/sw/bin:${previous}/sw/bin:${process.env["PATH"]} ${toplevel}/sw/bin/holdfast-agent activation-watchdog`;
const systems = async ({ site }: FakeHost): Promise<object> => ({ current: await currentSystem(site), boot: await bootSystem(site) });

describe("activate", () => {
  it("arms the watchdog before it switches, and leaves the boot default alone", async () => {
    const host = await fakeHost({ current: first, boot: first });
    expect(await activate(asked(second), host.site)).toEqual({ state: "pending", toplevel: second, previous: first });
    expect(host.commands).toEqual(["systemctl stop -- holdfast-watchdog.service", arming(second, first), switching("holdfast-activation.service", second, "test")]);
    expect(await systems(host)).toEqual({ current: second, boot: first });
    expect(await activationReport("", host.site)).toEqual({ state: "pending", toplevel: second, previous: first });
  });

  it("goes back to the base when the first system ever fails", async () => {
    const host = await fakeHost();
    await symlink(base, join(host.site.root, first, "base"));
    host.exits.set(`${first} test`, 4);
    host.failed = ["sshd.service"];
    expect(await activate(asked(first), host.site)).toEqual({ state: "rolled-back", toplevel: first, previous: base, reason: `units of ${first} failed: sshd.service` });
    expect(await systems(host)).toEqual({ current: base, boot: undefined });
  });

  it("is reported as pending, without a reason that would mean failure, while it is being taken back", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    const seen: unknown[] = [];
    const site = { ...host.site, run: async (...call: Parameters<typeof host.site.run>) => {
      if (call[0].includes("test")) seen.push(await activationReport("", host.site));
      return host.site.run(...call);
    } };
    await rollback(JSON.stringify({ toplevel: second, reason: "no proof" }), site);
    expect(seen).toEqual([{ state: "pending", toplevel: second, previous: first }]);
    expect(await activationReport("", host.site)).toMatchObject({ state: "rolled-back", reason: "no proof" });
  });

  it("refuses to begin where there is nothing to go back to", async () => {
    const host = await fakeHost();
    await expect(activate(asked(first), host.site)).rejects.toThrow("it brings no base");
    expect(host.commands).toEqual([]);
  });

  it.each([
    [1, `${second} was not activated (exit 1): first words | last words`],
    [2, `the activation script of ${second} failed: first words | last words`],
    [4, `units of ${second} failed: lnd.service, tor.service`],
    [100, `${second} cannot be activated without a reboot`],
  ])("rolls back at once on exit code %i, and says why", async (exitCode, reason) => {
    const host = await fakeHost({ current: first, boot: first });
    host.exits.set(`${second} test`, exitCode);
    host.failed = ["lnd.service", "tor.service"];
    expect(await activate(asked(second), host.site)).toEqual({ state: "rolled-back", toplevel: second, previous: first, reason });
    expect(host.commands.slice(-4)).toEqual([
      "systemctl stop -- holdfast-activation.service",
      "systemctl stop -- holdfast-rollback.service",
      switching("holdfast-rollback.service", first, "test"),
      "systemctl stop -- holdfast-watchdog.service",
    ]);
    expect(await systems(host)).toEqual({ current: first, boot: first });
    expect(await commit(named(second), host.site)).toMatchObject({ state: "rolled-back", reason });
  });

  it("rolls back although the reason cannot be found out", async () => {
    const host = await fakeHost({ current: first, boot: first });
    host.exits.set(`${second} test`, 4);
    host.broken.add("systemctl list-units");
    expect(await activate(asked(second), host.site)).toMatchObject({ state: "rolled-back", reason: expect.stringContaining("cannot be found out") as string });
  });

  it("does nothing for the system that runs and boots", async () => {
    const host = await fakeHost({ current: first, boot: first });
    expect(await activate(asked(first), host.site)).toEqual({ state: "committed", toplevel: first, previous: first });
    expect(host.commands).toEqual([]);
  });

  it("names another activation that is at work, and touches nothing", async () => {
    const host = await fakeHost({ current: first, boot: first });
    const lock = join(dirname(host.site.layout.activation), "activation.lock");
    await withLock(lock, { purpose: `the activation of ${base}`, wait: 0 }, () =>
      expect(activate(asked(second), host.site)).rejects.toThrow(`the activation of ${base} is in progress`));
    expect(host.commands).toEqual([]);
  });

  it("rolls an abandoned activation back before it begins its own", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    host.commands.length = 0;
    expect(await activate(asked(base), host.site)).toEqual({ state: "pending", toplevel: base, previous: first });
    expect(host.commands.filter((command) => command.includes("switch-to-configuration"))).toEqual([switching("holdfast-rollback.service", first, "test"), switching("holdfast-activation.service", base, "test")]);
  });

  it("goes on with a trial of the same system whose deployer died: nothing is taken back, and the watchdog's deadline stays", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second, { id: one }), host.site);
    const begun = host.site.monotonic();
    host.commands.length = 0;
    await host.site.sleep(20_000);
    expect(await activate(asked(second, { id: other }), host.site)).toEqual({ state: "pending", toplevel: second, previous: first });
    expect(host.commands).toEqual(["systemctl is-active --quiet -- holdfast-watchdog.service", "systemctl stop -- holdfast-activation.service", switching("holdfast-activation.service", second, "test")]);
    expect(await watchdog("", host.site)).toMatchObject({ state: "rolled-back" });
    expect(host.site.monotonic() - begun).toBe(60_000);
  });

  it.each([
    ["little of its time is left", (host: FakeHost) => host.site.sleep(40_000)],
    ["its watchdog is gone", async (host: FakeHost) => void host.broken.add("systemctl is-active")],
  ])("begins anew with such a trial when %s", async (_, spoil) => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second, { id: one }), host.site);
    await spoil(host);
    host.commands.length = 0;
    expect(await activate(asked(second, { id: other }), host.site)).toEqual({ state: "pending", toplevel: second, previous: first });
    expect(host.commands).toEqual(expect.arrayContaining([switching("holdfast-rollback.service", first, "test"), arming(second, first), switching("holdfast-activation.service", second, "test")]));
  });

  it("answers what became of an activation when it is asked for it again, and does not try once more what was taken back", async () => {
    const host = await fakeHost({ current: first, boot: first });
    const again = asked(second, { id: one });
    expect(await activate(again, host.site)).toMatchObject({ state: "pending" });
    await host.site.sleep(59_000);
    expect(await activate(again, host.site)).toMatchObject({ state: "pending" });
    await watchdog("", host.site);
    host.commands.length = 0;
    expect(await activate(again, host.site)).toMatchObject({ state: "rolled-back", reason: expect.stringContaining("nobody committed") as string });
    expect(host.commands).toEqual([]);
    expect(await activate(asked(second, { id: other }), host.site)).toMatchObject({ state: "pending" });
  });

  it("switches nothing when no watchdog can be armed", async () => {
    const host = await fakeHost({ current: first, boot: first });
    host.broken.add("systemd-run --unit=holdfast-watchdog");
    await expect(activate(asked(second), host.site)).rejects.toThrow("nothing was activated");
    expect(await systems(host)).toEqual({ current: first, boot: first });
    await expect(activate(asked(second), host.site)).rejects.toThrow("nothing was activated");
  });

  it("refuses a system that is not on the host", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await expect(activate(asked(`/nix/store/${"x".repeat(32)}-none`), host.site)).rejects.toThrow("is not on this host");
    await expect(activate(asked("/tmp/system"), host.site)).rejects.toThrow("wants the path of a system in the Nix store");
  });

  it("tells of both failures when the rollback fails too, commits nothing then, and lets the next good system in", async () => {
    const host = await fakeHost({ current: first, boot: first });
    host.exits.set(`${second} test`, 4).set(`${first} test`, 2);
    host.failed = ["sshd.service"];
    const both = new RegExp(`units of ${second} failed: sshd.service.*rollback to ${first} failed as well: the activation script`);
    await expect(activate(asked(second), host.site)).rejects.toThrow(both);
    expect(await activationReport("", host.site)).toMatchObject({ state: "pending", reason: expect.stringMatching(both) as string });
    await expect(commit(named(second), host.site)).rejects.toThrow(both);
    expect(await bootSystem(host.site)).toBe(first);
    expect(await activate(asked(base), host.site)).toEqual({ state: "pending", toplevel: base, previous: first });
  });

  it("does not believe a rollback that says it succeeded and did not", async () => {
    const host = await fakeHost({ current: first, boot: first });
    host.exits.set(`${second} test`, 4);
    const lying = { ...host.site, run: async (...args: Parameters<typeof host.site.run>) => (args[0].join(" ").includes("rollback.service --desc") ? "" : host.site.run(...args)) };
    await expect(activate(asked(second), lying)).rejects.toThrow(`it said that it succeeded, and ${second} is current`);
  });

  it("leaves a host that the next activation brings in order, killed anywhere", async () => {
    for (let effect = 1; ; effect++) {
      const host = await fakeHost({ current: first, boot: first });
      const { dying, isDead } = dyingAt(host.site, effect);
      await activate(asked(second), dying).catch(() => undefined);
      if (!isDead()) return;
      expect(await bootSystem(host.site)).toBe(first);
      expect(await activate(asked(second), host.site), `killed at effect ${effect}`).toEqual({ state: "pending", toplevel: second, previous: first });
      expect(await commit(named(second), host.site)).toMatchObject({ state: "committed" });
      expect(await systems(host)).toEqual({ current: second, boot: second });
    }
  });
});

describe("commit", () => {
  it("sets profile and boot loader, stands the watchdog down and asks the gate", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    host.commands.length = 0;
    expect(await commit(named(second), host.site)).toEqual({ state: "committed", toplevel: second, previous: first });
    expect(host.commands).toEqual([
      `nix-env --profile ${host.site.layout.systemProfile} --set ${second}`,
      switching("holdfast-activation.service", second, "boot"),
      "systemctl is-active --quiet -- holdfast-gate.service",
      "systemctl start --no-block -- holdfast-gate.service",
      "systemctl stop -- holdfast-watchdog.service",
    ]);
    expect(await systems(host)).toEqual({ current: second, boot: second });
    host.commands.length = 0;
    expect(await activate(asked(second), host.site)).toEqual({ state: "committed", toplevel: second, previous: first });
    expect(host.commands).toEqual([]);
  });

  it("answers the same when asked again", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    expect(await commit(named(second), host.site)).toEqual(await commit(named(second), host.site));
  });

  it("never says committed once the watchdog has rolled back", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    await watchdog("", host.site);
    host.commands.length = 0;
    expect(await commit(named(second), host.site)).toMatchObject({ state: "rolled-back", reason: expect.stringContaining("nobody committed") as string });
    expect(host.commands).toEqual([]);
    expect(await systems(host)).toEqual({ current: first, boot: first });
  });

  it("and the watchdog never both win", async () => {
    for (let round = 0; round < 20; round++) {
      const host = await fakeHost({ current: first, boot: first });
      await activate(asked(second), host.site);
      await host.site.sleep(60_000);
      const site = { ...host.site, sleep: () => new Promise((done) => setTimeout(done, 1)) };
      const [committed, watched] = await Promise.all([commit(named(second), site), watchdog("", site)]);
      expect(committed.state).toBe((await activationReport("", site)).state);
      if (committed.state === "committed") expect([watched?.state, await systems(host)]).toEqual(["committed", { current: second, boot: second }]);
      else expect([watched?.state, await systems(host)]).toEqual(["rolled-back", { current: first, boot: first }]);
    }
  });

  it("leaves the trial to the watchdog when the boot loader fails, with the old boot default", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    host.exits.set(`${second} boot`, 1);
    await expect(commit(named(second), host.site)).rejects.toThrow(/could not be made the system that boots/);
    expect(await systems(host)).toEqual({ current: second, boot: first });
    expect(await watchdog("", host.site)).toMatchObject({ state: "rolled-back" });
    expect(await systems(host)).toEqual({ current: first, boot: first });
  });

  it("refuses when another system became current", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    await host.setCurrent(base);
    await expect(commit(named(second), host.site)).rejects.toThrow(`${base} is current: it is not committed`);
  });

  it("refuses what was never on trial", async () => {
    const host = await fakeHost();
    await expect(commit(named(second), host.site)).rejects.toThrow("Activate it first");
  });

  it("tells of a rollback when the host restarted before", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    await host.reboot();
    await host.setCurrent(first);
    expect(await commit(named(second), host.site)).toMatchObject({ state: "rolled-back", previous: first, reason: expect.stringContaining("restarted") as string });
    expect(await activationReport("", host.site)).toEqual({ state: "committed", toplevel: first, previous: first });
  });

  it("is finished by the watchdog when it was killed after its decision", async () => {
    const outcomes = new Set<string | undefined>();
    for (let effect = 1; ; effect++) {
      const host = await fakeHost({ current: first, boot: first });
      await activate(asked(second), host.site);
      const { dying, isDead } = dyingAt(host.site, effect);
      await commit(named(second), dying).catch(() => undefined);
      if (!isDead()) break;
      await watchdog("", host.site);
      const { state } = await activationReport("", host.site);
      outcomes.add(state);
      expect(await systems(host), `killed at effect ${effect}`).toEqual(state === "committed" ? { current: second, boot: second } : { current: first, boot: first });
    }
    expect(outcomes).toEqual(new Set(["rolled-back", "committed"]));
  });
});

describe("rollback", () => {
  it("ends a trial with the reason it was given", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    const outcome = { state: "rolled-back", toplevel: second, previous: first, reason: "SSH does not answer" };
    expect(await rollback(JSON.stringify({ toplevel: second, reason: "SSH does not answer" }), host.site)).toEqual(outcome);
    expect(await activationReport("", host.site)).toEqual(outcome);
    expect(host.commands.at(-1)).toBe("systemctl stop -- holdfast-watchdog.service");
  });

  it("refuses what is committed, and names the way back", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    await commit(named(second), host.site);
    await expect(rollback(JSON.stringify({ toplevel: second, reason: "x" }), host.site)).rejects.toThrow(`push the previous system: ${first}`);
  });

  it("can be tried again after it failed", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    host.exits.set(`${first} test`, 2);
    const again = JSON.stringify({ toplevel: second, reason: "probe failed" });
    await expect(rollback(again, host.site)).rejects.toThrow("failed as well");
    host.exits.clear();
    expect(await rollback(again, host.site)).toMatchObject({ state: "rolled-back", reason: "probe failed" });
  });

  it("says which units of the previous system failed", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    host.exits.set(`${first} test`, 4);
    host.failed = ["tor.service"];
    expect(await rollback(JSON.stringify({ toplevel: second, reason: "probe failed" }), host.site)).toMatchObject({ state: "rolled-back", reason: "probe failed. Of the previous system, too, units failed: tor.service" });
  });
});

describe("watchdog", () => {
  it("waits for the deadline, then brings the previous system back", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    const begin = host.site.monotonic();
    expect(await watchdog("", host.site)).toMatchObject({ state: "rolled-back", reason: `nobody committed ${second} before 2026-01-01T00:01:01.000Z` });
    expect(host.site.monotonic() - begin).toBe(60_000);
  });

  it("does nothing after a commit", async () => {
    const host = await fakeHost({ current: first, boot: first });
    await activate(asked(second), host.site);
    await commit(named(second), host.site);
    host.commands.length = 0;
    expect(await watchdog("", host.site)).toBeUndefined();
    expect(host.commands).toEqual([]);
  });

  it("stops a switch that hangs past the deadline, and the activation tells so", async () => {
    const host = await fakeHost({ current: first, boot: first });
    host.meanwhile.set("systemd-run --unit=holdfast-activation", () => watchdog("", host.site));
    host.exits.set(`${second} test`, 1);
    expect(await activate(asked(second), host.site)).toMatchObject({ state: "rolled-back", reason: expect.stringContaining("nobody committed") as string });
    expect(host.commands).toContain("systemctl stop -- holdfast-activation.service");
    expect(await systems(host)).toEqual({ current: first, boot: first });
  });

  it("finishes a rollback that was killed anywhere", async () => {
    for (let effect = 1; ; effect++) {
      const host = await fakeHost({ current: first, boot: first });
      await activate(asked(second), host.site);
      await host.site.sleep(60_000);
      const { dying, isDead } = dyingAt(host.site, effect);
      await watchdog("", dying).catch(() => undefined);
      if (!isDead()) return;
      await pretendDead(host);
      await watchdog("", host.site);
      expect(await activationReport("", host.site), `killed at effect ${effect}`).toMatchObject({ state: "rolled-back" });
      expect(await systems(host)).toEqual({ current: first, boot: first });
    }
  });
});

/** The killed process of a test is the test itself, and lives: its mark is made that of a dead one. */
async function pretendDead({ site }: FakeHost): Promise<void> {
  const path = `${site.layout.activation}.rolling-back`;
  const text = await site.disk.readText(path);
  if (text !== undefined) await writeFile(path, text.replace(/"started":"\d+"/, '"started":"1"'));
}
