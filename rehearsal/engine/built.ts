import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { buildGoModule, downloadGoModule, type GoModule } from "./gomodule.js";
import { goOnPath, requireGo } from "./go.js";
import { withLock } from "./lock.js";
import { exists, publish } from "./publish.js";
import { hashOfSources } from "./sources.js";

export interface Cached {
  /** Folder for everything heavy; shared by all work trees of a user. */
  readonly cache: string;
  /** Gets one line of progress at a time. */
  readonly report: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** In milliseconds: as long as another process may take over all modules. */
const LONGEST_WAIT = 60 * 60_000;

/** Folder of a module's binaries in the cache. Without Go, what an earlier one has built from the same sources is as good. */
export async function folderOf(module: GoModule, cache: string, go: string | undefined): Promise<string> {
  const { packages, tags, ldflags } = module;
  const hash = await hashOfSources(module.folder, { packages, tags, ldflags, system: process.platform, processor: process.arch });
  const folder = join(cache, "modules");
  const start = `${module.name}-${hash}-`;
  if (go !== undefined) return join(folder, start + go);
  const earlier = (await exists(folder)) ? (await readdir(folder)).filter((name) => name.startsWith(start)).sort() : [];
  return join(folder, earlier.at(-1) ?? `${start}none`);
}

/**
 * The modules' binaries, built where they are not in the cache yet: one build at a time on the whole machine, while what the next ones need is
 * downloaded. A folder in the cache is whole or not there.
 *
 * @returns a folder of binaries for each module, in their order
 */
export async function builtModules(modules: readonly GoModule[], options: Cached): Promise<readonly string[]> {
  const go = await goOnPath();
  const folders = await Promise.all(modules.map((module) => folderOf(module, options.cache, go)));
  const present = await Promise.all(folders.map(exists));
  const missing = modules.flatMap((module, i) => (present[i] ? [] : [{ module, folder: folders[i]! }]));
  if (missing.length === 0) return folders;

  await requireGo();
  const { report, signal } = options;
  report(`to build, once: ${missing.map(({ module }) => module.name).join(", ")}`);
  const downloads = new AbortController();
  const downloading = downloadAll(missing.slice(1).map(({ module }) => module), downloads.signal);
  try {
    for (const { module, folder } of missing) {
      await withLock(join(options.cache, "modules", "lock"), { report, signal, deadline: LONGEST_WAIT }, async () => {
        if (await exists(folder)) return;
        await publish(folder, (draft) => buildGoModule(module, { out: draft, report, signal }));
      });
    }
  } finally {
    downloads.abort();
    await downloading;
  }
  return folders;
}

/** Downloads ahead, as a favour to the builds: one that fails here will say so itself when its turn has come. */
async function downloadAll(modules: readonly GoModule[], signal: AbortSignal): Promise<void> {
  for (const module of modules) {
    if (signal.aborted) return;
    await downloadGoModule(module, signal).catch(() => undefined);
  }
}
