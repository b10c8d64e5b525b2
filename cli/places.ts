import { createHash } from "node:crypto";
import { homedir, tmpdir, userInfo } from "node:os";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

/** Where the command keeps things. Everything of one environment is below one folder of the project; what can be built again is in the cache. */
export interface Places {
  readonly project: string;
  readonly environment: string;
  /** Keys, machines and records of this environment, 0700. */
  readonly state: string;
  /** Builds and images, shared by all projects of this user. */
  readonly cache: string;
}

export function placesOf(project: string, environment: string): Places {
  const state = join(project, ".holdfast", environment);
  mkdirSync(state, { recursive: true, mode: 0o700 });
  return { project, environment, state, cache: cacheFolder() };
}

/** Where builds and images are kept. HOLDFAST_CACHE moves it. */
export const cacheFolder = (): string => process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast");

/** A file in memory that is this user's alone: what an unlocked environment leaves for the time of one session. */
export function memoryFile(places: Places, name: string): string {
  const memory = process.env["XDG_RUNTIME_DIR"] ?? (existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
  const folder = join(memory, `holdfast-${userInfo().uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const project = createHash("sha256").update(places.project).digest("hex").slice(0, 12);
  return join(folder, `${project}-${places.environment}.${name}`);
}
