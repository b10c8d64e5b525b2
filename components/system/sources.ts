import { createHash } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, relative } from "node:path";

/** The agent's bundle, as the program's build leaves it in the project. */
export const AGENT = "dist/agent.mjs";

/** A digest of a flake's files and the agent: an unchanged system is not built again. */
export function sourcesDigest(flake: string): string {
  const hash = createHash("sha256").update(readFileSync(AGENT));
  for (const path of filesBelow(flake)) hash.update(`\0${relative(flake, path)}\0`).update(readFileSync(path));
  return hash.digest("hex");
}

/** The files of a folder, by name. Links are refused: what they point to would not reach the host. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isSymbolicLink()) throw new Error(`${path} is a link to ${readlinkSync(path)}. A flake that is pushed holds plain files alone.`);
      return entry.isDirectory() ? filesBelow(path) : [path];
    });
}
