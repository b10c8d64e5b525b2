import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../rehearsal/run.js";
import { newProject, type Ended, type Project } from "../project.js";
import { pullThePlug, runningSteps, trialOn } from "../machines/deployer.js";

/** Every step, and how far into it the deployer dies, in milliseconds: in the middle of its work where that takes long enough to have one; of `activate`, into the trial. */
const moments: ReadonlyMap<string, number> = new Map([
  ["hold", 40], ["deposit", 60], ["certify", 120], ["reach", 150], ["install", 700], ["contact", 120], ["seal", 80], ["deliver", 150], ["activate", 100], ["open", 1500],
]);

let project: Project;
const killedAt = new Set<string>();
/** What each killed update had said. */
const said: string[] = [];
let last: Ended;

/** Runs the command until a step that no deployer has died at yet is at its moment, and kills it there. */
async function killedUpdate(): Promise<void> {
  const before = project.startedSteps().length;
  const update = project.start("up", "--yes");
  let ended = false;
  void update.then(() => { ended = true; });
  const begun = new Map<string, number>();
  const atItsMoment = (): boolean => {
    for (const step of project.startedSteps().slice(before)) {
      const counts = !killedAt.has(step) && !begun.has(step) && (step !== "activate" || trialOn(project)?.state === "pending");
      if (counts) begun.set(step, Date.now());
    }
    return [...begun].some(([step, since]) => Date.now() - since >= moments.get(step)!);
  };
  await until(() => ended || atItsMoment(), 90_000, 10);
  expect(ended, `of all but ${[...killedAt].join(", ")} no step was seen: ${ended ? (await update).all : ""}`).toBe(false);
  const alive = runningSteps(project);
  await pullThePlug(project, update.pid!);
  said.push((await update).all);
  // A step that was quicker than its moment, or than another's, had its kill right after it.
  for (const step of begun.keys()) killedAt.add(step);
  console.log(`killed at ${[...begun.keys()].join(", ")}, while ${alive.join(", ") || "nothing"} ran`);
}

const onAlice = async (command: string): Promise<string> => {
  const { exitCode, stdout, output } = await project.ssh("alice", command);
  expect(exitCode, `${command}: ${output}`).toBe(0);
  return stdout.trim();
};

beforeAll(async () => {
  project = await newProject();
  while (killedAt.size < moments.size) await killedUpdate();
  const begin = Date.now();
  last = await project.holdfast("up", "--yes");
  console.log(`after ${said.length} kills, the same command took ${((Date.now() - begin) / 1000).toFixed(1)} s`);
});

afterAll(async () => {
  if (process.env["HOLDFAST_KEEP"] === undefined) expect(await project.remove()).toEqual([]);
});

describe("a deployer that was killed at each step", () => {
  it("is followed by the same command, which finishes: the gate is open, as the node of the seed", async () => {
    expect([...killedAt].sort()).toEqual([...moments.keys()].sort());
    const { nodePublicKey } = JSON.parse(readFileSync(join(project.state, "alice.lnd-seed.json"), "utf8")) as { nodePublicKey: string };
    expect(last.exitCode, last.output).toBe(0);
    expect(last.output).toMatch(new RegExp(`node id +${nodePublicKey}\\n`));
    expect(last.output).toMatch(/gate +open \((fresh|adopt)\)\n/);
  });

  it("leaves a lock, which the next one clears and says so", () => {
    for (const output of [...said.slice(1), last.output]) expect(output).toMatch(/cleared the lock of process \d+, which is dead/);
  });

  it("leaves no operation pending in the stack, and nothing more to do", async () => {
    expect(last.output).toMatch(/a killed update left \d+ steps? half-way; each is begun again/);
    const exported = await project.pulumi("stack", "export", "-s", "dev");
    expect((JSON.parse(exported.stdout) as { deployment: object }).deployment).not.toHaveProperty("pending_operations");
    const preview = await project.pulumi("preview", "-s", "dev", "--expect-no-changes");
    expect(preview.exitCode, preview.output).toBe(0);
    expect(preview.output).not.toContain("pending operations");
  });

  it("has a state of whole files alone: none beside them that are not written in one go", () => {
    const files = readdirSync(join(project.folder, ".holdfast", "state", ".pulumi"), { recursive: true, encoding: "utf8" });
    expect(files).toContain("stacks/holdfast/dev.json");
    expect(files.filter((file) => file.endsWith(".attrs"))).toEqual([]);
  });

  it("has the wallet made once, and the system was not taken back meanwhile: its trial was gone on with", async () => {
    const journal = async (units: string, words: string): Promise<number> => Number(await onAlice(`journalctl --sync; journalctl --quiet --output=cat ${units} | grep --count --extended-regexp '${words}' || true`));
    expect(await journal("--unit=holdfast-gate.service", "^making the wallet$")).toBe(1);
    expect(await journal("--unit=holdfast-activation.service", "^Started .* - test /nix")).toBe(2);
    expect(await journal("--unit=holdfast-rollback.service", ".")).toBe(0);
    expect(await onAlice("nix-env --profile /nix/var/nix/profiles/system --list-generations | wc --lines")).toBe("1");
  });

  it("leaves nothing half-done on the host", async () => {
    expect(await onAlice("ls /run/holdfast")).toBe(["activation.json", "backup-repository", "backup-store.pem", "gate.json"].join("\n"));
    expect(await onAlice("cat /run/holdfast/activation.json")).toContain('"state":"committed"');
    expect(await onAlice("ls --almost-all /etc/nix-bitcoin-secrets.d | wc --lines; ls --almost-all /var/lib/holdfast/sources | wc --lines; systemctl is-active holdfast-watchdog holdfast-activation || true")).toBe("1\n1\ninactive\ninactive");
    expect(await onAlice("find /var/lib/holdfast /etc/nix-bitcoin-secrets.d \\( -name '*.part' -o -name '*.new' -o -name '*admission*' \\)")).toBe("");
    expect(await onAlice("systemctl list-units --failed --plain --no-legend")).toBe("");
  });
});
