import { createHash } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, relative } from "node:path";
import type { Service } from "../../formats/services.js";

/** The agent's bundle, as the program's build leaves it in the project. */
const AGENT = "dist/agent.mjs";

/** The bunker's bundle: goes only to nodes that have one. */
const BUNKER = "dist/bunker.mjs";

/** The programs that Nix is handed beside the settings, by their names there. */
export const programsOf = (services: readonly Service[]): Readonly<Record<string, string>> => ({ "agent.mjs": AGENT, ...(services.includes("bunker") && { "bunker.mjs": BUNKER }) });

/** A digest of a flake's files and of the programs that go with them: an unchanged system is not built again. */
export function sourcesDigest(flake: string, services: readonly Service[]): string {
  const hash = createHash("sha256");
  for (const program of Object.values(programsOf(services))) hash.update(readFileSync(program));
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
