import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A folder of the project by its path from the root. The file that asks may have been bundled elsewhere, so the way up is searched. */
export function projectFolder(path: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const found = join(folder, path);
    if (existsSync(join(folder, "rehearsal", "engine", "modules")) && existsSync(found)) return found;
  }
  throw new Error(`${path} is not in the project that ${fileURLToPath(import.meta.url)} belongs to: is the checkout whole?`);
}
