import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { cloudBackend } from "../rehearsal/cloud/backend/backend.js";
import { parseFaults, type Fault } from "../rehearsal/cloud/api/faults.js";
import { cloudFolder } from "../rehearsal/cloud/api/keep.js";
import type { CloudState, World } from "../rehearsal/cloud/api/world.js";
import { findCloud, startCloudProcess, stateOf, stopCloudProcess } from "../rehearsal/cloud/process.js";
import { serveCloud } from "../rehearsal/cloud/program.js";
import { prepareTools, type Agreement } from "./prepare.js";
import type { Places } from "./places.js";
import { table } from "./table.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

/** What runs the cloud's process: this command's own bundle. */
export const cloudCommand = ({ project }: Pick<Places, "project">): string[] => [process.execPath, join(project, "dist", "holdfast.js"), "cloud", "serve"];

/** Faults from a file, or from JSON as it stands. @throws when it is neither */
export function faultsFrom(given: string): Fault[] {
  const text = /^\s*\[/.test(given) ? given : existsSync(given) ? readFileSync(given, "utf8") : undefined;
  if (text === undefined) throw new Error(`--faults: there is no file ${given}, and it is no JSON list either. Faults are described in rehearsal/cloud/README.md.`);
  return parseFaults(JSON.parse(text));
}

/** What a cloud has, as rows for people: one for each server, volume, address and firewall of each project. */
export function cloudRows({ projects }: Pick<CloudState, "projects">): string[][] {
  const rowsOf = ({ servers, volumes, primary_ips: ips, firewalls }: World): string[][] => {
    const nameOf = (id: number | null): string => servers.find((one) => one.id === id)?.name ?? "-";
    return [
      ...servers.map((one) => ["server", String(one.id), one.name, one.status, ips.filter(({ assignee }) => assignee === one.id).map(({ ip }) => ip).join(" ") || "-"]),
      ...volumes.map((one) => ["volume", String(one.id), one.name, one.status, `${one.size} GB, at ${nameOf(one.server)}`]),
      ...ips.map((one) => [one.type, String(one.id), one.name, one.assignee === null ? "free" : "assigned", `${one.ip}, at ${nameOf(one.assignee)}${one.autoDelete ? ", goes with it" : ""}`]),
      ...firewalls.map((one) => ["firewall", String(one.id), one.name, `${one.rules.length} rules`, `at ${one.appliedTo.map((to) => ("server" in to ? nameOf(to.server) : to.selector)).join(" ") || "-"}`]),
    ];
  };
  return Object.values(projects).flatMap(rowsOf);
}

/** `holdfast cloud start|status|stop`: the Hetzner Cloud API on this machine. */
export function cloudCommands(program: Command, here: (options: { readonly stack: string }) => Places, agreement: (options: { readonly yes?: true }) => Agreement): void {
  const cloud = program.command("cloud").description("the Hetzner Cloud API on this machine, with real machines behind it");
  const inStack = (usage: string, description: string): Command => cloud.command(usage).description(description).option("-s, --stack <name>", "the environment", "dev");

  inStack("start", "start it, or find it running; it goes on until it is stopped").option("--faults <file>", "what goes wrong on demand: a file, or JSON").option("--yes", "agree to installing Debian packages").option("--json", "print as JSON")
    .action(async (options: { readonly stack: string; readonly faults?: string; readonly yes?: true; readonly json?: true }) => {
      const places = here(options);
      const faults = options.faults === undefined ? undefined : faultsFrom(options.faults);
      const programs = await prepareTools(places, agreement(options), "rehearsal");
      const { endpoint, tokensFile, pid } = await startCloudProcess({ command: cloudCommand(places), state: places.state, cache: places.cache, programs, ...(faults ? { faults } : {}) });
      print(options.json ? JSON.stringify({ endpoint, tokensFile, pid }) : `The cloud answers at ${endpoint}; its tokens are in ${tokensFile}.`);
    });

  inStack("status", "show what it has").option("--json", "print as JSON").action(async (options: { readonly stack: string; readonly json?: true }) => {
    const found = await findCloud(here(options).state);
    const state = found === undefined ? undefined : await stateOf(found);
    if (options.json) return print(JSON.stringify({ running: found !== undefined, endpoint: found?.endpoint ?? null, projects: state?.projects ?? {} }));
    if (found === undefined || state === undefined) return print(`The cloud does not run: holdfast cloud start -s ${options.stack}`);
    const rows = cloudRows(state);
    print(`The cloud answers at ${found.endpoint}.`);
    print(rows.length === 0 ? "It has nothing." : table([["KIND", "ID", "NAME", "STATE", "DETAILS"], ...rows]));
  });

  inStack("stop", "end it; what it has stays, and its machines run on").option("--delete", "delete everything that it has, machines and volumes too").action(async (options: { readonly stack: string; readonly delete?: true }) => {
    const { state, cache } = here(options);
    await stopCloudProcess(state);
    const backend = cloudBackend({ state, cache, report: note });
    if (options.delete) {
      await backend.raze();
      rmSync(cloudFolder(state), { recursive: true, force: true });
      return print("The cloud and everything it had is gone.");
    }
    const left = await backend.leftovers();
    print(left.length === 0 ? "The cloud has ended." : `The cloud has ended. These stay: ${left.join(", ")}`);
  });

  cloud.command("serve [mark]", { hidden: true }).action(() => serveCloud());
}
