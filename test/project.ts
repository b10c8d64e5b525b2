import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa, type Subprocess } from "execa";
import { lockPassphrase } from "../cli/keys.js";
import { placesOf } from "../cli/places.js";
import { raze } from "../rehearsal/surroundings.js";

const source = join(dirname(fileURLToPath(import.meta.url)), "..");

/** What a command printed, and how it ended. */
export interface Ended {
  readonly exitCode: number;
  /** Stdout and stderr as they came. */
  readonly output: string;
  readonly stdout: string;
}

/** A copy of this project in a folder of its own, with a dev environment of its own: what a user has after a clone and `npm ci`. */
export interface Project {
  readonly folder: string;
  /** `.holdfast/dev`: keys, machines. */
  readonly state: string;
  /** Runs `holdfast …` in it. A failure is an answer too. */
  readonly holdfast: (...argv: string[]) => Promise<Ended>;
  /** Starts `holdfast …` in a process group of its own, for tests that kill it. */
  readonly start: (...argv: string[]) => Subprocess & Promise<{ readonly all: string }>;
  /** Runs a program with the environment that `holdfast env unlock` prints. */
  readonly pulumi: (...argv: string[]) => Promise<Ended>;
  /** Runs a command on a machine of the project, over its pinned key. */
  readonly ssh: (node: string, command: string) => Promise<Ended>;
  /** How many connections `ssh` was asked for so far, by anything that the project ran. */
  readonly connections: () => number;
  /** The step programs that were started so far, by anything that the project ran, in order. */
  readonly startedSteps: () => string[];
  /** Changes a file of the project. */
  readonly edit: (path: string, change: (text: string) => string) => void;
  /** Removes everything: machines, store, chain, folder. */
  readonly remove: () => Promise<string[]>;
}

/** Files of the project that a user's clone has. */
async function tracked(): Promise<string[]> {
  const { stdout } = await execa("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], { cwd: source, timeout: 30_000 });
  return stdout.split("\0").filter((path) => path !== "" && existsSync(join(source, path)));
}

export async function newProject(): Promise<Project> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-project-"));
  for (const path of await tracked()) cpSync(join(source, path), join(folder, path));
  symlinkSync(join(source, "node_modules"), join(folder, "node_modules"));
  const state = join(folder, ".holdfast", "dev");
  const log = join(folder, "ssh.log");
  const stepLog = join(folder, "steps.log");
  const environment = { ...process.env, PATH: [shims(folder, log, stepLog), join(source, "node_modules", ".bin"), process.env["PATH"]].join(delimiter), NO_COLOR: "1" };
  const run = async (argv: readonly string[], extra: Record<string, string | undefined> = {}): Promise<Ended> => {
    const result = await execa(argv[0]!, argv.slice(1), { cwd: folder, env: { ...environment, ...extra }, extendEnv: false, all: true, reject: false, stdin: "ignore", timeout: 600_000 });
    return { exitCode: result.exitCode ?? -1, output: result.all, stdout: result.stdout };
  };
  const command = ["node", "cli/holdfast.mjs"];
  return {
    folder,
    state,
    holdfast: (...argv) => run([...command, ...argv]),
    start: (...argv) => execa(command[0]!, [command[1]!, ...argv], { cwd: folder, env: environment, extendEnv: false, all: true, reject: false, stdin: "ignore", detached: true }),
    pulumi: async (...argv) => {
      const unlocked = await run([...command, "env", "unlock"]);
      const variables = [...unlocked.stdout.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, key, value]) => [key!, value!]);
      return run(["pulumi", ...argv], Object.fromEntries(variables) as Record<string, string>);
    },
    ssh: (node, remote) => {
      const { address } = JSON.parse(readFileSync(join(state, "machines", `${node}.json`), "utf8")) as { address: string };
      return run(["/usr/bin/ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", `UserKnownHostsFile=${join(state, "machines", node, "known_hosts")}`,
        "-o", "ConnectTimeout=5", "-o", "ControlPath=none", "-i", join(state, "ssh_ed25519"), `root@${address}`, "--", remote]);
    },
    connections: () => (existsSync(log) ? readFileSync(log, "utf8").split("\n").length - 1 : 0),
    startedSteps: () => (existsSync(stepLog) ? readFileSync(stepLog, "utf8").split("\n").slice(0, -1) : []),
    edit: (path, change) => writeFileSync(join(folder, path), change(readFileSync(join(folder, path), "utf8"))),
    remove: async () => {
      const left = await raze(state);
      lockPassphrase(placesOf(folder, "dev"));
      rmSync(folder, { recursive: true, force: true });
      return left;
    },
  };
}

/** A folder for PATH whose `ssh`, and `node` for a step, notes each call before it becomes the real one. */
function shims(folder: string, sshLog: string, stepLog: string): string {
  const path = join(folder, ".shims");
  mkdirSync(path);
  writeFileSync(join(path, "ssh"), `#!/bin/sh\necho called >> ${sshLog}\nexec /usr/bin/ssh "$@"\n`, { mode: 0o755 });
  const node = join(source, "node_modules", ".bin", "node");
  writeFileSync(join(path, "node"), `#!/bin/sh\ncase "$1" in dist/steps/*.js) basename "$1" .js >> ${stepLog};; esac\nexec ${node} "$@"\n`, { mode: 0o755 });
  return path;
}
