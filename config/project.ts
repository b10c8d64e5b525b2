import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse, parseDocument } from "yaml";
import type { EnvironmentMarks } from "./environments.js";
import { marksOf } from "./marks.js";
import { ConfigurationRefused } from "./refusal.js";
import { resolveFiles, type ReadFile } from "./specify.js";

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

/**
 * A stack file's `holdfast:` keys, without their prefix. Values that are encrypted stay as they are.
 *
 * @param file its name, for the refusal
 * @throws ConfigurationRefused when it is no YAML, or YAML that refers to itself
 */
export function stackFileKeys(text: string, file = "the stack file"): Record<string, unknown> {
  const config: unknown = Object(plainValue(text, file)).config;
  return Object.fromEntries(Object.entries(Object(config) as Record<string, unknown>)
    .flatMap(([key, value]) => (key.startsWith("holdfast:") ? [[key.slice("holdfast:".length), value]] : [])));
}

/** What a YAML text holds, as JSON could say it: no value twice, none inside itself. */
function plainValue(text: string, file: string): unknown {
  const refuse = (wanted: string): never => {
    throw new ConfigurationRefused([{ path: file, found: "no YAML of ours", wanted: `${wanted} Correct it: no stack can be compared with it until then` }]);
  };
  let json: string | undefined;
  try {
    const document = parseDocument(text, { logLevel: "error" });
    const [fault] = document.errors;
    // Behind the first line it quotes the text.
    if (fault !== undefined) return refuse(`${fault.message.split("\n")[0]!.replace(/:$/, ".")}`);
    json = JSON.stringify(document.toJS({ maxAliasCount: MOST_ALIASES }));
  } catch (error) {
    if (error instanceof ConfigurationRefused) throw error;
    return refuse(error instanceof RangeError ? "it is nested too deeply." : "its aliases (*) name too much, or what they stand in.");
  }
  return json === undefined ? undefined : JSON.parse(json) as unknown;
}

/** How much aliases may stand for. */
const MOST_ALIASES = 100;

/** The names of the project's stacks: those that have a file. */
export const stackNames = (project: string): string[] =>
  readdirSync(project).flatMap((name) => /^Pulumi\.([A-Za-z0-9][A-Za-z0-9_.-]*)\.yaml$/.exec(name)?.[1] ?? []).sort();

/** The project's name, as Pulumi keeps its state under it. */
export function projectName(project: string): string {
  const name: unknown = Object(parse(readFileSync(join(project, "Pulumi.yaml"), "utf8"))).name;
  if (typeof name !== "string" || name === "") throw new Error(`${join(project, "Pulumi.yaml")} has no name. Write one: name: holdfast`);
  return name;
}

/** The public marks of one stack, whatever state its file is in. */
export function marksOfStack(project: string, environment: string): EnvironmentMarks {
  const file = `Pulumi.${environment}.yaml`;
  try {
    const read = filesOf(project);
    return marksOf(environment, resolveFiles(stackFileKeys(readFileSync(join(project, file), "utf8"), file), read, []), read);
  } catch (error) {
    if (!(error instanceof ConfigurationRefused)) throw error;
    return { environment, marks: [], faults: error.findings };
  }
}

/** The public marks of every stack in the project but the environment's own. */
export const otherEnvironments = (project: string, environment: string): EnvironmentMarks[] =>
  stackNames(project).filter((other) => other !== environment).map((other) => marksOfStack(project, other));
