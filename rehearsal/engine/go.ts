import { readFile, realpath } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findOnPath } from "./path.js";
import { run } from "../run.js";
import { isAtLeast } from "./version.js";

/** What the modules' go.mod files ask for. */
export const OLDEST_GO = "1.26";
/** The first Go that fetches a newer toolchain by itself, unless it is told not to. */
const SELF_UPDATING_GO = "1.21";

/** The version of the `go` on the PATH, such as `go1.26.8`, or `undefined`. Reads a file of the toolchain's: starts no process. */
export async function goOnPath(): Promise<string | undefined> {
  const go = await findOnPath("go");
  if (go === undefined) return undefined;
  const file = join(dirname(dirname(await realpath(go))), "VERSION");
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text !== undefined) return text.split("\n")[0]!.trim();
  return (await run([go, "env", "GOVERSION"], { folder: tmpdir(), environment: { GOTOOLCHAIN: "local" }, deadline: 10_000 })).trim();
}

/**
 * Why modules cannot be built here, in words with the remedy; `undefined` when they can.
 *
 * @param toolchain Go's GOTOOLCHAIN setting: with `local` it never fetches a newer Go
 */
export function goComplaint(version: string | undefined, toolchain: string): string | undefined {
  const remedy = `install Go ${OLDEST_GO} or newer and put its bin folder on the PATH`;
  if (version === undefined) return `there is no \`go\` on the PATH: ${remedy}`;
  if (isAtLeast(version, OLDEST_GO)) return undefined;
  if (!isAtLeast(version, SELF_UPDATING_GO)) return `the Go on the PATH is ${version}: ${remedy}`;
  if (toolchain === "local") return `the Go on the PATH is ${version} and GOTOOLCHAIN=local keeps it from fetching a newer one: ${remedy}, or unset GOTOOLCHAIN`;
  return undefined;
}

/** @throws Error in words when modules cannot be built here */
export async function requireGo(): Promise<void> {
  const version = await goOnPath();
  const toolchain = version === undefined || isAtLeast(version, OLDEST_GO)
    ? "" : (await run(["go", "env", "GOTOOLCHAIN"], { folder: tmpdir(), deadline: 10_000 })).trim();
  const complaint = goComplaint(version, toolchain);
  if (complaint !== undefined) throw new Error(`programs must be built from Go modules on this machine, but ${complaint}`);
}
