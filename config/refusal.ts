import type { z } from "zod";

/** One thing that is wrong in a stack's configuration. */
export interface Finding {
  /** As in the stack file: `holdfast:nodes.alice.tunnel.port`. */
  readonly path: string;
  /** What stands there, in JSON. */
  readonly found: string;
  readonly wanted: string;
}

/** The configuration is refused; nothing was touched. */
export class ConfigurationRefused extends Error {
  constructor(readonly findings: readonly Finding[]) {
    super(["The configuration is refused, and nothing was touched:", ...findings.map(inWords)].join("\n"));
  }
}

/** The state is refused: it is not the one that the records tell of. */
export class StateRefused extends Error {
  constructor(readonly findings: readonly Finding[]) {
    super(["The state is refused, and no host was touched:", ...findings.map(inWords)].join("\n"));
  }
}

const inWords = ({ path, found, wanted }: Finding): string => `  ${path}: found ${found}; ${wanted}.`;

/** The findings of a failed validation, in the words of the stack file. */
export function findingsOf(error: z.ZodError, input: unknown): Finding[] {
  return error.issues.flatMap((issue) => describe(issue, [], input));
}

function describe(issue: z.core.$ZodIssue, above: readonly PropertyKey[], input: unknown): Finding[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: configurationPath([...path, key]), found: show(at(input, [...path, key])), wanted: "is no setting of ours; look for a misspelling" }));
  }
  if (issue.code === "invalid_union") {
    const isFile = Object.hasOwn(Object(at(input, path)), "file");
    const branch = issue.errors[isFile ? 0 : issue.errors.length - 1] ?? [];
    return branch.flatMap((inner) => describe(inner, path, input));
  }
  if (issue.code === "invalid_key") {
    return [{ path: configurationPath(path), found: show(String(path.at(-1))), wanted: `as a name it ${issue.issues[0]?.message ?? "is invalid"}` }];
  }
  const missing = at(input, path) === undefined;
  return [{ path: configurationPath(path), found: show(at(input, path)), wanted: missing ? "is missing and has no default" : issue.message }];
}

const at = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, key) => (value === null || typeof value !== "object" ? undefined : (value as Record<PropertyKey, unknown>)[key]), input);

const configurationPath = (path: readonly PropertyKey[]): string => `holdfast:${path.map(String).join(".")}`;

function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string" && /^(AGE-(SECRET-KEY|PLUGIN)-|nsec1)|:\/\/[^/\s]*:[^/\s]*@/i.test(value)) return "a secret, which is not shown";
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
