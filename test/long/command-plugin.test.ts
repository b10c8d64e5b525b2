import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cacheFolder } from "../../cli/places.js";
import { ensureEngine, pluginSources, type Engine } from "../../rehearsal/engine/engine.js";

/** What the program of the test makes its one Command from. */
interface Step {
  readonly args: Readonly<Record<string, unknown>>;
  readonly secretStdin?: string;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Which class of the package; a local Command when absent. */
  readonly kind?: "remote";
}

const PROGRAM = `
import { readFileSync } from "node:fs";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
const { args, secretStdin, options, kind } = JSON.parse(readFileSync("step.json", "utf8"));
const make = kind === "remote" ? command.remote.Command : command.local.Command;
const step = new make("step", { ...args, ...(secretStdin && { stdin: pulumi.secret(secretStdin) }) }, options);
export const stdout = step.stdout;
export const stderr = step.stderr;
export const files = pulumi.output(step.assets).apply((assets) => Object.keys(assets ?? {}).sort());
`;

let engine: Engine;
let folder: string;
beforeAll(async () => {
  const cache = cacheFolder();
  engine = await ensureEngine({ cache, report: (line) => process.stderr.write(`${line}\n`) });
}, 1_500_000);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-command-"));
  mkdirSync(join(folder, "state"));
  writeFileSync(join(folder, "Pulumi.yaml"), "name: contract\nruntime: nodejs\nmain: main.mjs\n");
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "main.mjs"), PROGRAM);
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  await pulumi("stack", "init", "dev");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start(...args: string[]): { readonly child: ChildProcess; readonly ended: Promise<{ code: number | null; output: string }> } {
  const child = spawn(join(engine.path[0] ?? "", "pulumi"), [...args, "--non-interactive"], {
    cwd: folder,
    env: {
      ...process.env, ...engine.environment, PATH: [...engine.path, process.env["PATH"]].join(":"),
      PULUMI_BACKEND_URL: `file://${folder}/state`, PULUMI_CONFIG_PASSPHRASE: "test", LOG: join(folder, "log"),
    },
  });
  let output = "";
  child.stdout.on("data", (chunk) => { output += String(chunk); });
  child.stderr.on("data", (chunk) => { output += String(chunk); });
  return { child, ended: new Promise((done) => child.once("close", (code) => done({ code, output }))) };
}

async function pulumi(...args: string[]): Promise<string> {
  const { code, output } = await start(...args).ended;
  if (code !== 0) throw new Error(output);
  return output;
}

const write = (step: Step): void => writeFileSync(join(folder, "step.json"), JSON.stringify(step));
const up = async (step: Step): Promise<string> => {
  write(step);
  return pulumi("up", "--yes", "--skip-preview");
};
/** What the commands have written since the last look. */
const ran = (): string[] => {
  const file = join(folder, "log");
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  rmSync(file, { force: true });
  return lines;
};
const outputs = async (...args: string[]): Promise<Record<string, unknown>> => JSON.parse(await pulumi("stack", "output", "--json", ...args)) as Record<string, unknown>;

describe("the life of a local Command", () => {
  const commands = { create: 'echo "create $(cat)" >>$LOG', update: 'echo "update $(cat)" >>$LOG', delete: 'echo "delete $(cat)" >>$LOG' };

  it("creates once, updates when stdin changes, does nothing when nothing does, and deletes at the end", async () => {
    await up({ args: { ...commands, stdin: "one" } });
    expect(ran()).toEqual(["create one"]);
    expect(await up({ args: { ...commands, stdin: "one" } })).toContain("2 unchanged");
    expect(ran()).toEqual([]);
    await up({ args: { ...commands, stdin: "two" } });
    expect(ran()).toEqual(["update two"]);
    await pulumi("destroy", "--yes", "--skip-preview");
    expect(ran()).toEqual(["delete two"]);
  });

  it("runs create again for a change when there is no update", async () => {
    const { update: _, ...others } = commands;
    await up({ args: { ...others, stdin: "one" } });
    await up({ args: { ...others, stdin: "two" } });
    expect(ran()).toEqual(["create one", "create two"]);
  });

  it("replaces when triggers change: creates the new one, then deletes with the inputs of the old one", async () => {
    await up({ args: { ...commands, stdin: "old", triggers: ["generation 1"] } });
    await up({ args: { ...commands, delete: 'echo "new delete" >>$LOG', stdin: "new", triggers: ["generation 2"] } });
    expect(ran()).toEqual(["create old", "create new", "delete old"]);
  });

  it("runs nothing in a preview and leaves the outputs unknown", async () => {
    write({ args: { create: "echo made >>$LOG; echo made" } });
    expect(await pulumi("preview", "--diff")).toContain("[unknown]");
    expect(ran()).toEqual([]);
  });
});

describe("what a command is given and what it leaves", () => {
  it("takes environment, dir and interpreter, and keeps output without its last end of line", async () => {
    await up({ args: { create: "console.log(process.env.GREETING + '\\n'); console.error(process.cwd())", interpreter: ["node", "-e"], environment: { GREETING: "hello" }, dir: "/usr" } });
    expect(await outputs()).toMatchObject({ stdout: "hello\n", stderr: "/usr" });
  });

  it("gives the last run's output to update and delete, unless that is switched off", async () => {
    const args = { create: "echo first; echo bad >&2", update: 'echo "$PULUMI_COMMAND_STDOUT $PULUMI_COMMAND_STDERR" >>$LOG', delete: 'echo "[$PULUMI_COMMAND_STDOUT]" >>$LOG' };
    await up({ args });
    await up({ args: { ...args, environment: { A: "1" } } });
    expect(ran()).toEqual(["first bad"]);
    await up({ args: { ...args, update: "echo third", addPreviousOutputInEnv: false } });
    await pulumi("destroy", "--yes", "--skip-preview");
    expect(ran()).toEqual(["[]"]);
  });

  it("collects assets by rules, the last rule that matches deciding", async () => {
    const create = "mkdir -p out/deep; touch out/a.txt out/deep/b.txt out/secret.txt out/c.bin";
    await up({ args: { create, assetPaths: ["out/**.txt", "!**secret*"], archivePaths: ["out/*.bin"] } });
    expect(await outputs()).toMatchObject({ files: ["out/a.txt", "out/deep/b.txt"] });
    expect(await pulumi("stack", "export")).toContain("out/c.bin");
  });
});

describe("secrets and messages", () => {
  const secret = "wIRwJx8vQ2";

  it("keeps a secret stdin, and outputs declared secret, out of state in clear", async () => {
    await up({ args: { create: "cat; cat >&2", logging: "none" }, secretStdin: secret, options: { additionalSecretOutputs: ["stdout", "stderr"] } });
    expect(await pulumi("stack", "export")).not.toContain(secret);
    expect(await outputs("--show-secrets")).toMatchObject({ stdout: secret });
  });

  it("makes no output secret by itself, as published: the same step without the declaration is found in clear", async () => {
    await up({ args: { create: "cat", logging: "none" }, secretStdin: secret });
    expect(await pulumi("stack", "export")).toContain(secret);
  });

  it.each([
    ["none", []], ["stdout", ["to-stdout"]], ["stderr", ["to-stderr"]], ["stdoutAndStderr", ["to-stdout", "to-stderr"]], [undefined, ["to-stdout", "to-stderr"]],
  ])("shows what logging %s says", async (logging, shown) => {
    const output = await up({ args: { create: "echo to-$OUT; echo to-$ERR >&2", environment: { OUT: "stdout", ERR: "stderr" }, ...(logging && { logging }) } });
    const progress = output.slice(0, output.indexOf("Outputs:"));
    expect(["to-stdout", "to-stderr"].filter((line) => progress.includes(line))).toEqual(shown);
  });

  it("shows a line of a megabyte without blocking the command", async () => {
    await up({ args: { create: "head -c 1000000 /dev/zero | tr '\\0' x" } });
    expect(String((await outputs())["stdout"]).length).toBe(1_000_000);
  });

  it("names the exit status and prints the output of a command that fails, and creates it again next time", async () => {
    const create = "echo so far; echo wrong >&2; exit 3";
    const failure = await up({ args: { create, logging: "none" } }).then(() => "it did not fail", (error: Error) => error.message);
    expect(failure).toContain(`exit status 3: running ${JSON.stringify(create)}:`);
    const printed = failure.slice(failure.indexOf("Diagnostics:")).split("\n").map((line) => line.trim());
    expect(printed).toEqual(expect.arrayContaining(["so far", "wrong"]));
    await up({ args: { create: "echo create >>$LOG", update: "echo update >>$LOG" } });
    expect(ran()).toEqual(["create"]);
  });

  it("keeps the old outputs when an update fails", async () => {
    await up({ args: { create: "echo kept" } });
    await expect(up({ args: { create: "echo lost; exit 1" } })).rejects.toThrow("exit status 1");
    expect(await outputs()).toMatchObject({ stdout: "kept" });
  });

  it("refuses the package's other resources by name, where it stands in", async ({ skip }) => {
    if ((await pluginSources(engine))["command"] !== "stand-in") skip("the official plugin is used here");
    await expect(up({ kind: "remote", args: { create: "true", connection: { host: "192.0.2.1" } } })).rejects.toThrow(/command:remote:Command is not served/);
  });
});

describe("a command that must stop", () => {
  const create = "trap 'echo ended >>$LOG; exit 1' TERM; echo $$ >>$LOG; sleep 60 & echo $! >>$LOG; wait";
  const started = async (): Promise<number[]> => {
    for (const until = Date.now() + 30_000; Date.now() < until; await sleep(100)) {
      const lines = existsSync(join(folder, "log")) ? readFileSync(join(folder, "log"), "utf8").trim().split("\n") : [];
      if (lines.length >= 2) return lines.map(Number);
    }
    throw new Error("the command has not started within 30 s");
  };
  const alive = (pids: readonly number[]): number[] => pids.filter((pid) => existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "));
  /** Those that still run when all have had 8 s to end. */
  const leftOf = async (pids: readonly number[]): Promise<number[]> => {
    for (const until = Date.now() + 8_000; Date.now() < until && alive(pids).length > 0;) await sleep(100);
    return alive(pids);
  };

  it("is told to end, with its children, when the update is interrupted", async () => {
    write({ args: { create } });
    const { child, ended } = start("up", "--yes", "--skip-preview");
    const pids = await started();
    child.kill("SIGINT");
    expect((await ended).code).not.toBe(0);
    expect(await leftOf(pids)).toEqual([]);
    expect(ran()).toContain("ended");
  });

  it("ends with its children when the engine is killed", async () => {
    write({ args: { create } });
    const { child, ended } = start("up", "--yes", "--skip-preview");
    const pids = await started();
    const others = execFileSync("pgrep", ["-P", String(child.pid)]).toString().trim().split("\n").map(Number);
    child.kill("SIGKILL");
    const left = await leftOf(pids);
    // The language host notices only after minutes that its engine is gone.
    for (const pid of alive(others)) process.kill(pid, "SIGKILL");
    await ended;
    expect(left).toEqual([]);
  });
});
