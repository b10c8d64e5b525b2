import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Length of the short hash that names folders in the cache, in hex digits. */
const SHORT = 16;

/**
 * A hash of everything of ours that decides what a Go module builds: its go.mod, its go.sum, its Go files, and how it is built.
 *
 * @param folder the module's folder; nested modules count too
 * @param recipe packages, tags, flags, platform: anything else on which the result depends
 */
export async function hashOfSources(folder: string, recipe: unknown): Promise<string> {
  const files = (await readdir(folder, { recursive: true }))
    .filter((file) => /(\.go|^go\.mod|^go\.sum|\/go\.mod|\/go\.sum)$/.test(file) && !file.endsWith("_test.go"))
    .sort();
  const contents = await Promise.all(files.map((file) => readFile(join(folder, file))));
  const hash = createHash("sha256").update(JSON.stringify(recipe));
  for (const [i, file] of files.entries()) hash.update(`\0${file}\0${contents[i]!.length}\0`).update(contents[i]!);
  return hash.digest("hex").slice(0, SHORT);
}

/** One short hash of several. */
export function hashOfHashes(hashes: readonly string[]): string {
  return createHash("sha256").update(hashes.join("\n")).digest("hex").slice(0, SHORT);
}
