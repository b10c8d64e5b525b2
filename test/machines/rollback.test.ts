import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostLayout } from "../../formats/hostLayout.js";
import { namesOf } from "../../rehearsal/machines/names.js";
import { signal } from "../../rehearsal/machines/processes.js";
import { until } from "../../rehearsal/run.js";
import { newProject, type Ended, type Project } from "../project.js";
import { sharedConnections, trialOn } from "./deployer.js";
import { sleep } from "./lightningWorld.js";

/** The least that the configuration takes. */
const PROOF_SECONDS = 20;
const PROFILE = "/nix/var/nix/profiles/system";

/** One edit each of the copied rehearsal system, in Nix. */
const faults = {
  sshd: ["modules/ssh.nix", "Port 22", "Port 2222"],
  "firewall that drops SSH": ["modules/firewall.nix", "settings.firewall.ruleset", '(builtins.replaceStrings [ "dport 22 accept" ] [ "dport 22 drop" ] settings.firewall.ruleset)'],
  "open firewall": ["modules/firewall.nix", "settings.firewall.ruleset", '(builtins.replaceStrings [ "input priority filter; policy drop" ] [ "input priority filter; policy accept" ] settings.firewall.ruleset)'],
  unit: ["systems.nix", "overrides ? units: units,", `overrides ? units: units // {
    "holdfast-broken.service" = { Service = { Type = "oneshot"; ExecStart = "/usr/bin/false"; }; wantedBy = [ "multi-user.target" ]; };
  },`],
} as const;

let project: Project;
let pushes = 0;

const onAlice = async (command: string): Promise<string> => {
  const { exitCode, stdout, output } = await project.ssh("alice", command);
  expect(exitCode, `${command}: ${output}`).toBe(0);
  return stdout.trim();
};

/** A sound system, other than all before. */
const changeSystem = (): void => project.edit("rehearsal/system/modules/ssh.nix", (text) => text.replace(/(Description = ")[^"]*/, `$1Push ${++pushes}`));

/** Runs work with the copied rehearsal system broken, and mends it. */
async function withBroken<T>(what: keyof typeof faults, work: () => Promise<T>): Promise<T> {
  const [path, from, to] = faults[what];
  const file = `rehearsal/system/${path}`;
  const sound = readFileSync(join(project.folder, file), "utf8");
  expect(sound).toContain(from);
  project.edit(file, (text) => text.replace(from, to));
  try {
    return await work();
  } finally {
    project.edit(file, () => sound);
  }
}

/** What must be as it was after a system was taken back. */
const running = async (): Promise<Record<string, string>> => ({
  system: await onAlice("readlink /run/current-system"),
  boot: await onAlice(`readlink -f ${PROFILE}`),
  generations: await onAlice(`nix-env --profile ${PROFILE} --list-generations`),
  lnd: await onAlice("systemctl show --property=InvocationID,ActiveState lnd.service"),
  firewall: await onAlice("nft list table inet holdfast"),
});

async function succeeds(run: Promise<Ended>): Promise<Ended> {
  const ended = await run;
  expect(ended.exitCode, ended.output).toBe(0);
  return ended;
}

/** Runs an update that must fail because its system was taken back. */
async function takenBack(update: () => Promise<Ended>): Promise<{ readonly said: string; readonly activationSeconds: number; readonly previous: string | undefined }> {
  const { exitCode, output } = await update();
  expect(exitCode, output).not.toBe(0);
  const [, said, previous] = /The new system was taken back: ([^\n]*?)\. The host runs (\/nix\/store\/\S+), as before\./.exec(output) ?? [];
  expect(said, output).toBeDefined();
  const activationSeconds = Number(/alice-activation-activate\s+([\d.]+) s +\w+ failed/.exec(output)?.[1]);
  console.log(`taken back after ${activationSeconds} s: ${said}`);
  return { said: said!, activationSeconds, previous };
}

const up = (): Promise<Ended> => project.holdfast("up", "--yes");
/** Begins an update with another system, and gives it back as soon as that one is on trial. */
async function untilPending(): Promise<{ readonly ended: Promise<Ended>; readonly toplevel: string }> {
  changeSystem();
  expect(trialOn(project)?.state).not.toBe("pending");
  const ended = up();
  expect(await until(() => trialOn(project)?.state === "pending", 60_000, 10)).toBe(true);
  return { ended, toplevel: trialOn(project)!.toplevel };
}

const setLink = (state: "up" | "down"): Promise<unknown> => execa("ip", ["link", "set", namesOf(project.state, "alice").link, state], { timeout: 10_000 });

beforeAll(async () => {
  project = await newProject();
  project.edit("Pulumi.dev.yaml", (text) => text.replace("    flake: ./rehearsal/system\n", `$&    proofSeconds: ${PROOF_SECONDS}\n`));
});

afterAll(async () => {
  await setLink("up").catch(() => undefined);
  if (process.env["HOLDFAST_KEEP"] === undefined) expect(await project.remove()).toEqual([]);
});

describe("a first deployment", () => {
  it("whose sshd lets nobody in is taken back by the host itself, to bare Debian", async () => {
    const { said, activationSeconds, previous } = await withBroken("sshd", () => takenBack(up));
    expect(said).toMatch(/^a fresh connection did not get through: .*Connection refused; so nobody committed /);
    expect(activationSeconds).toBeLessThan(PROOF_SECONDS + 15);
    expect(previous).toMatch(/-rehearsal-base$/);
    expect(await onAlice("readlink /run/current-system")).toBe(previous);
    expect(await onAlice("systemctl show --property=FragmentPath --value ssh.service")).toBe("/usr/lib/systemd/system/ssh.service");
    expect(await onAlice("systemctl list-units --all --plain --no-legend 'holdfast-*' 'wireguard-*' 'btcd*' 'lnd*' 'bitcoind*' | grep --invert-match not-found || true")).toBe("");
    expect(await onAlice("find /run/systemd/system -lname '/nix/store/*'")).toBe("");
    expect(await onAlice("nft list tables; ip -brief link show wg-node 2>/dev/null || true")).toBe("");
    expect(await onAlice(`test ! -e ${PROFILE} && test ! -e ${hostLayout.secrets} && echo none`)).toBe("none");
  });

  it("works the next time, when the system is sound", async () => {
    const { output } = await succeeds(up());
    expect(output).toContain("open (fresh)");
  });
});

describe("a later push", () => {
  it("whose firewall drops SSH is taken back by the host itself; the boot default was never another, and lnd ran on", async () => {
    const before = await running();
    const { said, activationSeconds, previous } = await withBroken("firewall that drops SSH", () => takenBack(up));
    expect(said).toMatch(/^a fresh connection did not get through: .*timed out; so nobody committed /);
    expect(previous).toBe(before["system"]);
    expect(activationSeconds).toBeLessThan(PROOF_SECONDS + 25);
    expect(await running()).toEqual(before);
  });

  it("whose firewall filters nothing is found out from outside and taken back at once, by the port", async () => {
    const before = await running();
    const { said, activationSeconds } = await withBroken("open firewall", () => takenBack(up));
    expect(said).toMatch(/the firewall does not filter: port 10009, .*8080 answered from outside/);
    expect(activationSeconds).toBeLessThan(PROOF_SECONDS / 2);
    expect(await running()).toEqual(before);
  });

  it("with a unit that fails is taken back at once, by the unit's name", async () => {
    const before = await running();
    const { said, activationSeconds } = await withBroken("unit", () => takenBack(up));
    expect(said).toMatch(/^units of \S+ failed: holdfast-broken\.service$/);
    expect(activationSeconds).toBeLessThan(PROOF_SECONDS / 2);
    expect(await running()).toEqual(before);
  });

});

describe("a connection lost in the middle of an activation", () => {
  it("for longer than the proof may take: the host takes the system back by itself, and the update says so", async () => {
    const before = await running();
    const { ended, toplevel } = await untilPending();
    await setLink("down");
    await sleep((PROOF_SECONDS + 4) * 1000);
    expect(trialOn(project)).toMatchObject({ state: "rolled-back", toplevel });
    await setLink("up");
    const { said, previous } = await takenBack(() => ended);
    expect(said).toContain(`nobody committed ${toplevel}`);
    expect(previous).toBe(before["system"]);
    expect(await running()).toEqual(before);
  });

  it("for a moment: the update goes on over a new one, and commits, after all that went wrong before", async () => {
    const before = await running();
    const { ended, toplevel } = await untilPending();
    const shared = sharedConnections(project);
    expect(shared).not.toEqual([]);
    signal(shared, "SIGKILL");
    await setLink("down");
    await sleep(3000);
    await setLink("up");
    await succeeds(ended);
    const { stdout } = await succeeds(project.pulumi("stack", "export", "--show-secrets", "-s", "dev"));
    expect(stdout).toContain("the connection broke during activation");
    expect(await running()).toMatchObject({ system: toplevel, boot: toplevel, lnd: before["lnd"], firewall: before["firewall"] });
  });
});
