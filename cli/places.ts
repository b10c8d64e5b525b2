import { createHash } from "node:crypto";
import { homedir, tmpdir, userInfo } from "node:os";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { requireOwnFolder } from "../custody/ownFolder.js";
import { recordsOf } from "../config/marks.js";
import { stackFileKeys } from "../config/project.js";
import type { AuditLog } from "../custody/audit/log.js";
import { recordFiles } from "../custody/records.js";

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
  const state = stateFolder(project, environment);
  mkdirSync(state, { recursive: true, mode: 0o700 });
  return { project, environment, state, cache: cacheFolder() };
}

/** Where an environment's private things lie on this machine. */
export const stateFolder = (project: string, environment: string): string => join(project, ".holdfast", environment);

/** The file of a stack's configuration. */
export const stackFile = ({ project, environment }: Pick<Places, "project" | "environment">): string => join(project, `Pulumi.${environment}.yaml`);

/** The folder of an environment's records, as its stack file says; the usual one while there is no stack file. */
export function recordsFolder(places: Pick<Places, "project" | "environment">): string {
  const file = stackFile(places);
  return resolve(places.project, recordsOf(places.environment, existsSync(file) ? stackFileKeys(readFileSync(file, "utf8")) : {}));
}

/** The log of what was done with an environment's keys. */
export const auditLog = (places: Pick<Places, "project" | "environment">): AuditLog => ({ file: join(recordsFolder(places), recordFiles.audit), environment: places.environment });

/** Where an identity of an environment lies on this machine, unless the operator keeps it elsewhere. */
export const identityPath = (places: Pick<Places, "state">, role: "environment" | "recovery" | "wallet"): string => join(places.state, `${role}.age-key`);

/** Where builds and images are kept. HOLDFAST_CACHE moves it. */
export const cacheFolder = (): string => process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast");

/** A file in memory that is this user's alone: what an unlocked environment leaves for the time of one session. */
export function memoryFile(places: Places, name: string): string {
  const memory = process.env["XDG_RUNTIME_DIR"] ?? (existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
  const folder = join(memory, `holdfast-${userInfo().uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  requireOwnFolder(folder);
  const project = createHash("sha256").update(places.project).digest("hex").slice(0, 12);
  return join(folder, `${project}-${places.environment}.${name}`);
}
