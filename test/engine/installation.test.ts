import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureEngine, type Engine } from "../../rehearsal/engine/engine.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-installation-"));
let engine: Engine;

/** Stands for the provision step: notes what it was given, and answers as an installation would. */
const STEP = `
import { appendFileSync, readFileSync } from "node:fs";
const input = JSON.parse(readFileSync(0, "utf8"));
appendFileSync("log", JSON.stringify(input) + "\\n");
process.stdout.write(JSON.stringify({ state: "installed", generation: input.generation, disks: input.settings.nixos.disks }));
`;

/** The real component in a program that reads what a stack file would say. */
const PROGRAM = `
import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { Installation } from ${JSON.stringify(resolve("components/system/nixosInstallation.ts"))};
const { specification, stack } = JSON.parse(readFileSync("stack.json", "utf8"));
const secrets = { value: () => pulumi.secret("k".repeat(64)) };
const installation = new Installation("alice-1-installation", { specification, stack, settings: pulumi.output({ nixos: specification.nixos }), secrets });
export const installed = installation.installed;
`;

beforeAll(async () => {
  engine = await ensureEngine({ cache: process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast"), report: (line) => process.stderr.write(`${line}\n`) });
  for (const name of ["state", "dist/steps"]) mkdirSync(join(folder, name), { recursive: true });
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  await build({ stdin: { contents: PROGRAM, resolveDir: folder, loader: "ts" }, bundle: true, platform: "node", format: "esm", target: "node20", packages: "external", logLevel: "error", outfile: join(folder, "program.mjs") });
  const files = { "dist/steps/provision.js": STEP, "package.json": '{"type":"module"}', "Pulumi.yaml": "name: installation\nruntime: nodejs\nmain: program.mjs\n", "Pulumi.dev.yaml": "{}\n" };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  configure({});
  await pulumi("stack", "init", "dev");
  await up();
}, 1_500_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => void given());

function pulumi(...args: string[]): Promise<{ readonly well: boolean; readonly output: string }> {
  const child = spawn(join(engine.path[0] ?? "", "pulumi"), [...args, "--non-interactive"], {
    cwd: folder, timeout: 120_000,
    env: { ...process.env, ...engine.environment, PATH: [...engine.path, process.env["PATH"]].join(":"), PULUMI_BACKEND_URL: `file://${folder}/state`, PULUMI_CONFIG_PASSPHRASE: "test" },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => { output += String(chunk); });
  return new Promise((done) => child.once("close", (code) => done({ well: code === 0, output })));
}
async function up(): Promise<string> {
  const { well, output } = await pulumi("up", "--stack", "dev", "--yes", "--skip-preview");
  expect(well, output).toBe(true);
  return output;
}
async function refusal(command: "preview" | "up"): Promise<string> {
  const { well, output } = await pulumi(command, "--stack", "dev", ...(command === "up" ? ["--yes", "--skip-preview"] : []));
  expect(well, output).toBe(false);
  return output;
}

interface Given { readonly generation: number; readonly flake: string; readonly wipe?: unknown; readonly settings: { readonly nixos: { readonly disks: unknown } } }
/** What the step was given since the last look, run by run. */
function given(): Given[] {
  const file = join(folder, "log");
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  rmSync(file, { force: true });
  return lines.map((line) => JSON.parse(line) as Given);
}

const [one, two] = ["/dev/disk/by-id/one", "/dev/disk/by-id/two"];
const single = (disk: string) => ({ layout: "single", disk, encrypted: false });
function configure(changes: { readonly generation?: number; readonly flake?: string; readonly wipe?: unknown; readonly disk?: string; readonly address?: string; readonly preset?: string }): void {
  const { generation = 1, flake = "./nix", disk = one, wipe, address = "10.231.9.10", preset = "secure-node" } = changes;
  writeFileSync(join(folder, "stack.json"), JSON.stringify({
    specification: { id: "alice-1", name: "alice", host: { generation, address, user: "root", port: 22, hostKey: "ssh-ed25519 AAAA" }, nixos: { preset, disks: single(disk) }, wipe }, stack: { flake },
  }));
}

describe("an installation that was done", () => {
  it("is not done again, whatever else of the stack changes: settings, flake, address, the operator's word", async () => {
    configure({ flake: "./other", wipe: { generation: 1, disks: [one] }, address: "10.231.9.11", preset: "hardened" });
    expect(await up()).toMatch(/\d+ unchanged/);
    expect(given()).toEqual([]);
  });

  it.each(["preview", "up"] as const)("refuses other disks in a %s, with both settings and the way out, and runs nothing", async (command) => {
    configure({ disk: two });
    const output = await refusal(command);
    expect(output).toMatch(/nixos\.disks of alice is \{ layout: single, disk: \/dev\/disk\/by-id\/two.*generation 1 of its host was set up with \{ layout: single, disk: \/dev\/disk\/by-id\/one/);
    expect(output).toContain("host.commodity.generation to 2");
    expect(given()).toEqual([]);
    configure({});
    expect(await up()).toMatch(/\d+ unchanged/);
  });

  it("is done for a new generation, with what the stack says then and nothing of what it said before, once", async () => {
    configure({ generation: 2, disk: two, flake: "./other", wipe: { generation: 2, disks: [two] } });
    await up();
    expect(given()).toMatchObject([{ generation: 2, flake: "./other", wipe: { generation: 2, disks: [two] }, settings: { nixos: { disks: single(two) } } }]);
    await up();
    expect(given()).toEqual([]);
    configure({ generation: 2, disk: one });
    expect(await refusal("preview")).toContain("generation 2 of its host was set up with { layout: single, disk: /dev/disk/by-id/two");
  });
});
