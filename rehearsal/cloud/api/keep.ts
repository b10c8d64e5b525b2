import { createHash, randomInt } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { emptyState, type CloudState } from "./world.js";

/** The folder of a cloud in a state folder. */
export const cloudFolder = (state: string): string => join(resolve(state), "cloud");

export interface ProjectTokens {
  readonly write: string;
  readonly read: string;
}

export interface Tokens {
  /** For the control endpoint: whoever can read this file. */
  readonly control: string;
  readonly projects: Readonly<Record<string, ProjectTokens>>;
}

export const files = (folder: string) => ({ state: join(folder, "state.json"), tokens: join(folder, "tokens.json"), endpoint: join(folder, "endpoint.json"), log: join(folder, "log") });

/** Writes a file of this user alone, whole or not at all. */
export function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** What the cloud knew when it last ran; an empty one at first. */
export function loadState(folder: string): CloudState {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { state } = files(folder);
  // The last block is left to tests that give out addresses themselves.
  if (!existsSync(state)) return emptyState(createHash("sha256").update(folder).digest()[0]! % 15);
  const loaded = JSON.parse(readFileSync(state, "utf8")) as CloudState;
  if (loaded.version !== 1) throw new Error(`${state} is of version ${String(loaded.version)}, this program knows 1: delete the cloud with the program that made it, or update this one`);
  return loaded;
}

export const saveState = (folder: string, state: CloudState): void => writeWhole(files(folder).state, JSON.stringify(state));

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** 64 letters and digits, as the real ones: the provider refuses others. */
export const newToken = (): string => Array.from({ length: 64 }, () => LETTERS[randomInt(LETTERS.length)]).join("");

/** The tokens of a cloud; those that are missing are made. They stay the same until the cloud is deleted. */
export function loadTokens(folder: string, projects: readonly string[]): Tokens {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { tokens: path } = files(folder);
  const known = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Tokens) : undefined;
  const tokens: Tokens = {
    control: known?.control ?? newToken(),
    projects: { ...known?.projects, ...Object.fromEntries(projects.filter((name) => !known?.projects[name]).map((name) => [name, { write: newToken(), read: newToken() }])) },
  };
  if (JSON.stringify(tokens) !== JSON.stringify(known)) writeWhole(path, JSON.stringify(tokens, null, 2));
  return tokens;
}
