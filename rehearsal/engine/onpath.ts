import { mkdir, readFile, realpath, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Circumstances } from "./origin.js";
import { findOnPath } from "./path.js";
import { exists } from "./publish.js";
import { run } from "../run.js";
import { PLUGINS, type Plugin } from "./versions.js";

/** Where Pulumi keeps plugins and logins unless it is told otherwise. */
export const userHome = (): string => process.env["PULUMI_HOME"] ?? join(homedir(), ".pulumi");

/** A plugin's folder in a Pulumi home: its name is how the engine finds it. */
export const pluginFolder = (home: string, plugin: Plugin): string => join(home, "plugins", `resource-${plugin.name}-v${plugin.version}`);

export async function missingPlugins(home: string): Promise<readonly Plugin[]> {
  const present = await Promise.all(PLUGINS.map((plugin) => exists(join(pluginFolder(home, plugin), `pulumi-resource-${plugin.name}`))));
  return PLUGINS.filter((_, i) => !present[i]);
}

/** What is known of the `pulumi` on the PATH; an engine of ours in the cache does not count. */
export async function pulumiOnPath(cache: string): Promise<Circumstances["onPath"]> {
  const pulumi = await findOnPath("pulumi", cache);
  if (pulumi === undefined) return undefined;
  const beside = join(dirname(await realpath(pulumi)), "pulumi-language-nodejs");
  return {
    version: await versionOf(pulumi, cache),
    languageHost: (await exists(beside)) || (await findOnPath("pulumi-language-nodejs", cache)) !== undefined ? "there" : "missing",
    missingPlugins: (await missingPlugins(userHome())).map((plugin) => plugin.name),
  };
}

/** A program's version, asked for once for each file: asking costs a tenth of a second. */
async function versionOf(pulumi: string, cache: string): Promise<string> {
  const { size, mtimeMs } = await stat(pulumi);
  const key = `${await realpath(pulumi)} ${size} ${mtimeMs}`;
  const record = join(cache, "engine", "path-version.json");
  const known = await readRecord(record);
  if (known?.["key"] === key && typeof known["version"] === "string") return known["version"];
  const version = (await run([pulumi, "version"], { deadline: 20_000 })).trim().replace(/^v/, "");
  await mkdir(dirname(record), { recursive: true });
  await writeFile(record, JSON.stringify({ key, version }));
  return version;
}

/** A small record of the cache's, or `undefined` when there is none that can be read: it will be made again. */
export async function readRecord(file: string): Promise<Record<string, unknown> | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
