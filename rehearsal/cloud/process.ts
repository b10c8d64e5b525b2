import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { alone } from "../machines/lock.js";
import { end, startedWith, type Process } from "../machines/processes.js";
import { until } from "../run.js";
import { parseFaults, type FaultInput } from "./api/faults.js";
import { cloudFolder, files, type ProjectTokens, type Tokens } from "./api/keep.js";
import type { CloudState } from "./api/world.js";
import type { Settings } from "./program.js";

/** A cloud that runs in a process of its own. */
export interface CloudProcess {
  readonly pid: number;
  /** For `HCLOUD_ENDPOINT` and `hcloud:endpoint`. */
  readonly endpoint: string;
  /** By project. */
  readonly tokens: Readonly<Record<string, ProjectTokens>>;
  /** Holds the tokens; of this user alone. */
  readonly tokensFile: string;
  readonly controlToken: string;
}

export interface CloudProcessArgs {
  /** What runs `serveCloud`: a program and its first arguments. */
  readonly command: readonly string[];
  readonly state: string;
  readonly cache: string;
  /** What the machines see at /opt/rehearsal. */
  readonly programs?: string;
  /** A cloud that runs is given these too. */
  readonly faults?: readonly FaultInput[];
  /** What an action takes at least, in milliseconds; 200 unless told. */
  readonly pace?: number;
}

/** In milliseconds. */
const START = 20_000;
/** In milliseconds: actions that run are let end. */
const GRACE = 60_000;

/** By this argument the process is found again. */
const mark = (state: string): string => files(cloudFolder(state)).state;
const running = (state: string): Process[] => startedWith(mark(state));

/** By the state folder's path, below the ports of stores and chains. The same one again and again, so that stack files can name it. */
export const portOf = (state: string): number => 15_000 + (createHash("sha256").update(resolve(state)).digest().readUInt32BE(0) % 5_000);

function knownPort(state: string): number {
  const { endpoint } = files(cloudFolder(state));
  return existsSync(endpoint) ? (JSON.parse(readFileSync(endpoint, "utf8")) as { port: number }).port : portOf(state);
}

/** The cloud of a state folder, when its process runs and answers. */
export async function findCloud(state: string): Promise<CloudProcess | undefined> {
  const { endpoint, tokens: tokensFile } = files(cloudFolder(state));
  const [process] = running(state);
  if (process === undefined || !existsSync(endpoint) || !existsSync(tokensFile)) return undefined;
  const { endpoint: url } = JSON.parse(readFileSync(endpoint, "utf8")) as { endpoint: string };
  const { control, projects } = JSON.parse(readFileSync(tokensFile, "utf8")) as Tokens;
  const cloud = { pid: process.pid, endpoint: url, tokens: projects, tokensFile, controlToken: control };
  return (await ask(cloud, "GET", "faults").then(() => true, () => false)) ? cloud : undefined;
}

/** Asks a cloud's control endpoint. @throws when it does not answer, or refuses */
export async function ask(cloud: CloudProcess, method: "GET" | "PUT" | "POST" | "DELETE", what: "faults" | "requests" | "state", body?: unknown): Promise<unknown> {
  const response = await fetch(new URL(`/_holdfast/${what}`, cloud.endpoint), {
    method, headers: { Authorization: `Bearer ${cloud.controlToken}` }, signal: AbortSignal.timeout(10_000), ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as { readonly error?: string };
  if (!response.ok) throw new Error(`the cloud at ${cloud.endpoint} refused ${method} ${what}: ${answer.error ?? response.status}`);
  return answer;
}

/** Everything that a cloud has, of all its projects. */
export const stateOf = async (cloud: CloudProcess): Promise<CloudState> => (await ask(cloud, "GET", "state")) as CloudState;

/**
 * Starts the cloud of a state folder, or finds it running; it outlives this process. What it had the last time is there again.
 *
 * @throws when it does not answer in 20 s; the message has its last word
 */
export async function startCloudProcess({ command, state, cache, programs, faults, pace }: CloudProcessArgs): Promise<CloudProcess> {
  const folder = cloudFolder(state);
  const wanted = parseFaults(faults ?? []);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return alone(`cloud ${folder}`, GRACE + START, async () => {
    const before = await findCloud(state);
    if (before !== undefined) {
      if (faults !== undefined) await ask(before, "PUT", "faults", wanted);
      return before;
    }
    await end(() => running(state), 1_000);
    const port = knownPort(state);
    rmSync(files(folder).endpoint, { force: true });
    launch(folder, [...command, mark(state)], { state: resolve(state), cache, faults: wanted, pace: pace ?? 200, port, ...(programs === undefined ? {} : { programs }) });
    let cloud: CloudProcess | undefined;
    await until(async () => (cloud = await findCloud(state)) !== undefined, START, 50);
    if (cloud !== undefined) return cloud;
    await end(() => running(state), 0);
    throw new Error(`the cloud did not answer within ${START / 1000} s: ${readFileSync(files(folder).log, "utf8").trim().split("\n").slice(-3).join(" ")}. Its log is ${files(folder).log}.`);
  });
}

/** Ends the cloud's process; what it has stays, machines go on running. One that does not run is no failure. */
export async function stopCloudProcess(state: string): Promise<void> {
  await alone(`cloud ${cloudFolder(state)}`, GRACE + START, () => end(() => running(state), GRACE));
}

function launch(folder: string, [program, ...args]: readonly string[], settings: Settings): void {
  const log = openSync(files(folder).log, "a", 0o600);
  const child = spawn(program!, args, { detached: true, cwd: "/", stdio: ["pipe", log, log], env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", HOME: process.env["HOME"] ?? "/root" } });
  closeSync(log);
  child.on("error", (error) => {
    throw new Error(`the cloud could not be started: ${error.message}`);
  });
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(JSON.stringify(settings));
  child.unref();
}
