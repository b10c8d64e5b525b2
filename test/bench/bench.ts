import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { table } from "../../cli/table.js";
import { openFleet, type Fleet } from "./fleet.js";
import { interruption, lastAt, median, timed, type Timed } from "./timed.js";

const ROUNDS = 3;
const SIZES = [1, 4, 8];
const { values: options } = parseArgs({ options: { json: { type: "boolean", default: false } } });
const note = (line: string): void => void process.stderr.write(`${line}\n`);

/** A line of the report: something of ours, what it is measured against, and SSH connections asked for and made. Times in seconds. */
interface Row {
  readonly what: string;
  readonly seconds: number;
  readonly against?: { readonly what: string; readonly seconds: number };
  readonly calls?: number;
  readonly sessions?: number;
}

const rows: Row[] = [];
const keep = (row: Row): void => {
  rows.push(row);
  note(`  ${row.what}: ${row.seconds.toFixed(1)} s`);
};

const UPDATE = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"];
const NOOP = ["pulumi", "up", "--yes", "--non-interactive"];
const times = async (count: number, once: () => Promise<number>): Promise<number> => {
  const all: number[] = [];
  for (let round = 0; round < count; round += 1) all.push(await once());
  return median(all);
};

/** An update's time without the wait for its gates, which no script has. Gates are opened last, each after its node's activation. */
const withoutGate = (update: Timed): number => update.seconds - (lastAt(update, /-gate-open\b.*\b(created|replaced|updated)/) - lastAt(update, /-activation-activate\b.*\b(created|replaced|updated)/));

/** A no-op update of an empty program, on the engine and backend of the fleet. */
async function emptyProgram(fleet: Fleet): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-empty-"));
  try {
    writeFileSync(join(folder, "Pulumi.yaml"), "name: empty\nruntime: nodejs\nmain: main.mjs\n");
    writeFileSync(join(folder, "main.mjs"), "export const nothing = 0;\n");
    symlinkSync(join(fleet.folder, "node_modules"), join(folder, "node_modules"));
    const run = (argv: readonly string[]): Promise<Timed> => timed(argv, { cwd: folder, environment: fleet.environment });
    await run(["pulumi", "stack", "init", "dev"]);
    await run(NOOP);
    return await times(ROUNDS, async () => (await run(NOOP)).seconds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the bare script sends: what an update sends, its secrets already sealed for the host. */
async function parcel(fleet: Fleet, node: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-bare-"));
  cpSync(join(fleet.folder, "rehearsal", "system"), join(folder, "flake"), { recursive: true });
  for (const name of ["handover", "secrets"]) mkdirSync(join(folder, name));
  cpSync(join(fleet.folder, "dist", "agent.mjs"), join(folder, "handover", "agent.mjs"));
  writeFileSync(join(folder, "handover", "settings.json"), await fleet.fileOf(node, "/etc/holdfast/settings.json"));
  for (const name of ["identity.age-key", "place.json", "bundle.age"]) writeFileSync(join(folder, "secrets", name), await fleet.fileOf(node, `/var/lib/holdfast/${name}`), { mode: 0o600 });
  return folder;
}

/** One node: the no-op, and its machine lost and made anew, by us and by a script. */
async function one(fleet: Fleet): Promise<void> {
  const noop = await times(ROUNDS, async () => (await fleet.run(NOOP)).seconds);
  keep({ what: "no-op `pulumi up` of our program", seconds: noop, against: { what: "the same of an empty program", seconds: await emptyProgram(fleet) } });

  const bare = join(dirname(fileURLToPath(import.meta.url)), "bare.sh");
  const ours: { readonly whole: number; readonly system: number; readonly calls: number; readonly sessions: number }[] = [];
  const theirs: number[] = [];
  let sessions = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    await fleet.anew();
    const { result, calls, sessions: made } = await fleet.counted(() => fleet.run(UPDATE));
    ours.push({ whole: result.seconds, system: withoutGate(result), calls, sessions: made });
    const folder = await parcel(fleet, "n1");
    await fleet.anew();
    const script = await fleet.counted(() => fleet.run(["sh", bare, folder, "n1", ...fleet.sshArguments("n1")]));
    theirs.push(script.result.seconds);
    sessions = script.sessions;
    rmSync(folder, { recursive: true, force: true });
  }
  const against = { what: "the bare script, one connection", seconds: median(theirs) };
  const of = (key: "whole" | "system" | "calls" | "sessions"): number => median(ours.map((all) => all[key]));
  keep({ what: "new machine, `pulumi up` without the gate's wait", seconds: of("system"), against, calls: of("calls"), sessions: of("sessions") });
  keep({ what: "new machine, `pulumi up` to the open gate (restore)", seconds: of("whole"), against });
  keep({ what: "the bare script itself", seconds: against.seconds, calls: 1, sessions });

  await fleet.lose();
  const rescue = await fleet.counted(() => fleet.run(["node", "cli/holdfast.mjs", "up", "--yes"]), "the machine is new");
  keep({ what: "machine deleted, `holdfast up`: machine, update, restore", seconds: rescue.result.seconds, calls: rescue.calls });
}

const first = new Map<string, number>();
/** The first update of a fleet and its no-op, held against those of a single node. */
async function grow(fleet: Fleet): Promise<void> {
  const size = fleet.nodes.length;
  const machines = size === 1 ? "1 new machine" : `${size} new machines`;
  const row = (key: string, what: string, seconds: number, counts: { readonly calls?: number; readonly sessions?: number }): void => {
    if (!first.has(key)) first.set(key, seconds);
    keep({ what, seconds, against: { what: "1 node", seconds: first.get(key)! }, ...counts });
  };
  const { result, calls, sessions } = await fleet.counted(() => fleet.run(UPDATE));
  row("system", `first \`pulumi up\`, ${machines}, without the gates' wait`, withoutGate(result), {});
  row("whole", `first \`pulumi up\`, ${machines}, to open gates`, result.seconds, { calls, sessions });
  const still = await fleet.counted(() => times(ROUNDS, async () => (await fleet.run(NOOP)).seconds));
  row("noop", `no-op \`pulumi up\`, ${machines.replace("new machine", "node")}`, still.result, { calls: still.calls, sessions: still.sessions });
}

// Others' work on this machine is in every number: low is right.
const load = loadavg()[0]!;
note(`load before: ${load.toFixed(1)} on ${availableParallelism()} processors`);
// What runs at that moment is ended and fails; the fleet is removed on the way out.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    note(`${signal}: removing what was made`);
    interruption.abort();
  });
}
for (const size of SIZES) {
  note(`${size} node${size === 1 ? "" : "s"}`);
  const fleet = await openFleet(size);
  try {
    await grow(fleet);
    if (size === 1) await one(fleet);
  } finally {
    const left = await fleet.remove();
    if (left.length > 0) note(`left behind: ${left.join(", ")}`);
  }
}

if (options.json) process.stdout.write(`${JSON.stringify({ date: new Date().toISOString(), processors: availableParallelism(), load, node: process.version, rounds: ROUNDS, rows })}\n`);
else {
  process.stdout.write(`${table([["WHAT", "SECONDS", "AGAINST", "SECONDS", "RATIO", "SSH CALLS", "SSH SESSIONS"], ...rows.map((row) => [
    row.what, row.seconds.toFixed(1), row.against?.what ?? "-", row.against?.seconds.toFixed(1) ?? "-", row.against ? (row.seconds / row.against.seconds).toFixed(1) : "-",
    row.calls === undefined ? "-" : String(row.calls), row.sessions === undefined ? "-" : String(row.sessions),
  ])])}\n`);
}
