import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import type { EnvironmentMarks } from "./environments.js";
import { marksOf, resolveFiles, type ReadFile } from "./specify.js";

/** The folder that holds Pulumi.yaml, at or above the one given. */
export function projectFolder(start: string): string {
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "Pulumi.yaml"))) return folder;
    if (dirname(folder) === folder) throw new Error(`There is no Pulumi.yaml at or above ${start}. Run this inside a Holdfast project.`);
  }
}

/** Reads the files that a configuration names. */
export const filesOf = (project: string): ReadFile => (path) => {
  const whole = resolve(project, path);
  return existsSync(whole) ? readFileSync(whole, "utf8") : undefined;
};

/** A stack file's `holdfast:` keys, without their prefix. Values that are encrypted stay as they are. */
export function stackFileKeys(text: string): Record<string, unknown> {
  const config: unknown = Object(parse(text)).config;
  return Object.fromEntries(Object.entries(Object(config) as Record<string, unknown>)
    .flatMap(([key, value]) => (key.startsWith("holdfast:") ? [[key.slice("holdfast:".length), value]] : [])));
}

/** The public marks of every stack file in the project but the environment's own. */
export function otherEnvironments(project: string, environment: string): EnvironmentMarks[] {
  return readdirSync(project)
    .flatMap((name) => /^Pulumi\.([a-z][a-z0-9-]*)\.yaml$/.exec(name)?.[1] ?? [])
    .filter((other) => other !== environment)
    .map((other) => marksOf(other, resolveFiles(stackFileKeys(readFileSync(join(project, `Pulumi.${other}.yaml`), "utf8")), filesOf(project), [])));
}
