import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

// Runs on the machine by itself, under node 22, which strips the types: it imports nothing but node.

/** What a switch does to units, by name. */
export interface Plan {
  readonly stop: readonly string[];
  readonly restart: readonly string[];
  readonly reload: readonly string[];
  readonly start: readonly string[];
}

export interface Situation {
  /** Texts of the unit files that are linked now, by unit name. */
  readonly previous: ReadonlyMap<string, string>;
  /** Texts of the new system's unit files. */
  readonly next: ReadonlyMap<string, string>;
  /** Units that some target of the new system wants or requires. */
  readonly wanted: ReadonlySet<string>;
  /** Units that run now. */
  readonly active: ReadonlySet<string>;
  /** Units that the machine has beneath a system's: Debian's own. */
  readonly underneath: ReadonlySet<string>;
  /** What a switch that was killed half-way had still to do. */
  readonly unfinished: Plan;
}

const says = (text: string, option: string, value: string): boolean => text.split("\n").includes(`${option}=${value}`);

/**
 * What is to be done so that the machine's units are the next system's.
 *
 * A unit with `X-OnlyManualStart=true` is stopped when its file is gone and otherwise left alone; one with `X-RestartIfChanged=false` runs on as it is; one with
 * `X-ReloadIfChanged=true` is reloaded. Targets are never restarted: that would take down all that is part of them.
 *
 * @see the NixOS manual, "What happens during a system switch?"
 */
export function plan({ previous, next, wanted, active, underneath, unfinished }: Situation): Plan {
  const all = [...new Set([...previous.keys(), ...next.keys()])].sort();
  const gone = all.filter((name) => !next.has(name) && active.has(name));
  const ours = all.filter((name) => next.has(name) && !says(next.get(name)!, "X-OnlyManualStart", "true"));
  const left = new Set([...unfinished.restart, ...unfinished.reload]);
  const changed = ours.filter((name) => active.has(name) && !name.endsWith(".target") && (left.has(name) || next.get(name) !== previous.get(name))
    && !says(next.get(name)!, "X-RestartIfChanged", "false"));
  // A reload needs a running unit of ours: what runs under this name may still be Debian's.
  const reloads = (name: string): boolean => says(next.get(name)!, "X-ReloadIfChanged", "true") && (previous.has(name) || left.has(name));
  return {
    stop: gone.filter((name) => !underneath.has(name)),
    restart: [...gone.filter((name) => underneath.has(name)), ...changed.filter((name) => !reloads(name))],
    reload: changed.filter(reloads),
    start: ours.filter((name) => !active.has(name) && (wanted.has(name) || unfinished.start.includes(name))),
  };
}

const nothing: Plan = { stop: [], restart: [], reload: [], start: [] };
const linked = "/run/systemd/system";
const profile = "/nix/var/nix/profiles/system";
const unfinishedFile = "/run/rehearsal/unfinished.json";
/** For units to become active, in milliseconds. */
const deadline = 60_000;
/** For units to stop: more than any TimeoutStopSec of ours, because an LND that is just starting ends late. */
const stopDeadline = 150_000;

const say = (text: string): boolean => process.stderr.write(`${text}\n`);

/** Paths, relative to a folder, of the unit files and of the links in `.wants` and `.requires` folders below it. */
function entries(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => (/\.(wants|requires)$/.test(name) ? readdirSync(join(folder, name)).map((link) => join(name, link)) : [name]));
}

/** Whether a link was made by a switch. */
const isOurs = (path: string): boolean => lstatSync(path).isSymbolicLink() && readlinkSync(path).startsWith("/nix/store/");

function unitTexts(folder: string, names: readonly string[]): Map<string, string> {
  return new Map(names.map((name) => [name, existsSync(join(folder, name)) ? readFileSync(join(folder, name), "utf8") : ""]));
}

function systemctl(...args: string[]): string {
  const result = spawnSync("systemctl", args, { encoding: "utf8", timeout: args[0] === "stop" ? stopDeadline : deadline, killSignal: "SIGKILL" });
  if (result.status !== 0) throw new Error(`systemctl ${args.join(" ")}: ${result.error?.message ?? `exit ${result.status}`}: ${result.stderr.trim()}`);
  return result.stdout;
}

/** Properties of a unit as `systemctl show` prints them; what is absent is empty. */
interface UnitState { readonly name: string; readonly get: (property: string) => string }

const properties = ["ActiveState", "SubState", "Result", "Job", "Type", "RemainAfterExit"];

function states(names: readonly string[]): UnitState[] {
  if (names.length === 0) return [];
  const blocks = systemctl("show", `--property=${properties.join(",")}`, "--", ...names).trimEnd().split("\n\n");
  return blocks.map((block, index) => {
    const values = new Map(block.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
    return { name: names[index]!, get: (property) => values.get(property) ?? "" };
  });
}

const runs = ({ get }: UnitState): boolean => ["active", "activating", "reloading"].includes(get("ActiveState"));
const busy = ({ get }: UnitState): boolean => get("Job") !== "" || !["active", "inactive", "failed"].includes(get("ActiveState"));

/** Failed; about to be tried once more after a failure; or, idle and with no job, never started because something that it requires failed. */
function failed({ get }: UnitState): boolean {
  if (get("ActiveState") === "failed") return true;
  if (get("SubState").startsWith("auto-restart")) return get("Result") !== "success";
  const done = get("Type") === "oneshot" && get("RemainAfterExit") === "no";
  return get("ActiveState") === "inactive" && get("Job") === "" && !done;
}

function readUnfinished(): Plan {
  return existsSync(unfinishedFile) ? (JSON.parse(readFileSync(unfinishedFile, "utf8")) as Plan) : nothing;
}

function situation(toplevel: string): Situation {
  const units = join(toplevel, "etc/systemd/system");
  const names = (folder: string): string[] => entries(folder).filter((path) => !path.includes("/"));
  const previous = unitTexts(linked, names(linked).filter((name) => isOurs(join(linked, name))));
  const next = unitTexts(units, names(units));
  return {
    previous,
    next,
    wanted: new Set(entries(units).filter((path) => path.includes("/")).map((path) => path.split("/")[1]!)),
    active: new Set(states([...new Set([...previous.keys(), ...next.keys()])]).filter(runs).map(({ name }) => name)),
    underneath: new Set([...previous.keys()].filter((name) => existsSync(join("/usr/lib/systemd/system", name)))),
    unfinished: readUnfinished(),
  };
}

/** Makes /run/systemd/system hold the system's units, each changed link by one rename, and tells systemd. */
function linkUnits(toplevel: string): void {
  const units = join(toplevel, "etc/systemd/system");
  const wanted = new Set(entries(units));
  for (const path of entries(linked).filter((one) => !wanted.has(one) && isOurs(join(linked, one)))) rmSync(join(linked, path));
  for (const path of wanted) {
    const link = join(linked, path);
    mkdirSync(dirname(link), { recursive: true });
    rmSync(`${link}.new`, { force: true });
    symlinkSync(realpathSync(join(units, path)), `${link}.new`);
    renameSync(`${link}.new`, link);
  }
  systemctl("daemon-reload");
}

function activate(toplevel: string): boolean {
  const result = spawnSync(join(toplevel, "activate"), [], { stdio: ["ignore", "inherit", "inherit"], timeout: deadline, killSignal: "SIGKILL" });
  return result.status === 0;
}

const bootUnit = `[Unit]
Description=Start the system that ${profile} names
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target ssh.service
ConditionPathExists=${profile}/boot

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${profile}/boot
`;

/** Makes the system what the machine starts next time: the profile names it, and a unit of Debian's starts what the profile names. */
function makeBootDefault(toplevel: string): void {
  if (!existsSync(profile) || realpathSync(profile) !== toplevel) {
    const set = spawnSync("nix-env", ["--profile", profile, "--set", toplevel], { encoding: "utf8", timeout: deadline });
    if (set.status !== 0) throw new Error(`nix-env could not make ${profile} name ${toplevel}: ${set.stderr.trim()}`);
  }
  const unit = "/etc/systemd/system/rehearsal-boot.service";
  const wanted = "/etc/systemd/system/sysinit.target.wants/rehearsal-boot.service";
  writeFileSync(`${unit}.new`, bootUnit);
  renameSync(`${unit}.new`, unit);
  mkdirSync(dirname(wanted), { recursive: true });
  rmSync(wanted, { force: true });
  symlinkSync(unit, wanted);
}

/** Waits for units' jobs to end, and then half a second more: a program that cannot read its configuration ends after systemd called it active. Names what failed. */
async function settle(names: readonly string[]): Promise<string[]> {
  const end = Date.now() + deadline;
  for (let calm = 0; calm < 5; await pause(100)) {
    const unsettled = states(names).filter((state) => busy(state) && !failed(state));
    if (Date.now() > end) return [...new Set([...states(names).filter(failed), ...unsettled].map(({ name }) => name))];
    calm = unsettled.length === 0 ? calm + 1 : 0;
  }
  return states(names).filter(failed).map(({ name }) => name);
}

function tell(planned: Plan, phrase: (verb: string) => string): void {
  for (const verb of ["stop", "restart", "reload", "start"] as const) {
    if (planned[verb].length > 0) say(`${phrase(verb)} the following units: ${planned[verb].join(", ")}`);
  }
}

/** Gives NixOS's exit codes: 0, 2 when the activation script failed, 4 when a unit did. */
async function activateNow(toplevel: string): Promise<0 | 2 | 4> {
  const now = situation(toplevel);
  const planned = plan(now);
  tell(planned, (verb) => (verb === "stop" ? "stopping" : `${verb}ing`));
  writeFileSync(unfinishedFile, JSON.stringify(planned));

  const refused: string[] = [];
  const ask = (names: readonly string[], ...command: string[]): void => {
    if (names.length === 0) return;
    try {
      systemctl(...command, "--", ...names);
    } catch (error) {
      say((error as Error).message);
      refused.push(...names);
    }
  };
  ask(planned.stop, "stop");
  const activated = activate(toplevel);
  linkUnits(toplevel);

  const gone = [...now.previous.keys()].filter((name) => !now.next.has(name));
  const broken = states([...planned.start, ...gone]).filter(({ get }) => get("ActiveState") === "failed").map(({ name }) => name);
  if (broken.length > 0) systemctl("reset-failed", "--", ...broken);
  for (const name of planned.restart) ask([name], "restart", "--no-block");
  // Not in the background: a unit whose reload fails stays active.
  for (const name of planned.reload) ask([name], "reload");
  for (const name of planned.start) ask([name], "start", "--no-block");
  const failures = [...new Set([...refused, ...(await settle([...planned.restart, ...planned.reload, ...planned.start]))])];
  rmSync(unfinishedFile, { force: true });
  if (failures.length > 0) say(`warning: the following units failed: ${failures.join(", ")}`);
  if (!activated) say(`${toplevel}/activate failed`);
  return activated ? (failures.length > 0 ? 4 : 0) : 2;
}

/** What the boot default's stub asks for. systemd's own start of the machine waits for nothing that this starts. */
function startAtBoot(toplevel: string): void {
  const activated = activate(toplevel);
  linkUnits(toplevel);
  systemctl("--no-block", "start", "multi-user.target");
  if (!activated) throw new Error(`${toplevel}/activate failed`);
}

async function main(toplevel: string, action: string | undefined): Promise<number> {
  switch (action) {
    case "dry-activate":
      tell(plan(situation(toplevel)), (verb) => `would ${verb}`);
      return 0;
    case "boot":
      makeBootDefault(toplevel);
      return 0;
    case "test":
      return activateNow(toplevel);
    case "switch":
      makeBootDefault(toplevel);
      return activateNow(toplevel);
    case "start-at-boot":
      startAtBoot(toplevel);
      return 0;
    default:
      say("Usage: switch-to-configuration switch|boot|test|dry-activate");
      return 1;
  }
}

if (process.argv[1] === import.meta.filename) {
  try {
    process.exitCode = await main(process.argv[2]!, process.argv[3]);
  } catch (error) {
    say(`switch-to-configuration: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
