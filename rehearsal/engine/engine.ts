import { link, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { builtModules, folderOf, type Cached } from "./built.js";
import { goOnPath } from "./go.js";
import { installRelease, officialRelease, releasesReachable, type Reachability } from "./official.js";
import { missingPlugins, pluginFolder, pulumiOnPath, readRecord, userHome } from "./onpath.js";
import { chooseOrigin, type Origin } from "./origin.js";
import { releaseName } from "./platform.js";
import { exists, publish } from "./publish.js";
import { run } from "../run.js";
import { hashOfHashes } from "./sources.js";
import { ENGINE_MODULES, PLUGINS, PULUMI_VERSION, type Plugin } from "./versions.js";

/** A Pulumi that is ready: its command line, its Node.js language host and the plugins of our packages. */
export interface Engine {
  readonly origin: Origin;
  readonly version: string;
  /** PULUMI_HOME. */
  readonly home: string;
  /** Folders that go to the front of PATH. */
  readonly path: readonly string[];
  /** What else `pulumi` needs to be told. PATH is not in it. */
  readonly environment: Readonly<Record<string, string>>;
}

const PLUGIN_MODULES = PLUGINS.map((plugin) => plugin.module);

/** In milliseconds, for the download of one plugin. */
const PLUGIN_DEADLINE = 5 * 60_000;

/**
 * A Pulumi that is ready, made so where it is not: the one on the PATH if it will do, else Pulumi's release, else built from Go modules.
 * An engine that stands finished in the cache is used without asking the network again.
 *
 * @throws Error in words that name what is missing and what to do
 */
export async function ensureEngine(options: Cached): Promise<Engine> {
  const onPath = await pulumiOnPath(options.cache);
  const platform = releaseName(process.platform, process.arch);
  // With nothing to download, the one on the PATH will do or will not, and the network has no say.
  const offline = chooseOrigin({ onPath, releases: "unreachable", platform });
  if (offline.origin === "path") return engineOf("path", onPath!.version, userHome(), []);
  const folders = await engineFolders(options.cache);
  const finished = await finishedEngine(folders);
  if (finished !== undefined) return finished;

  const { cache, report, signal } = options;
  const releases = await releasesReachable(cache);
  let choice = chooseOrigin({ onPath, releases, platform });
  if (choice.origin === "path") {
    const failed = await downloadPlugins("pulumi", userHome(), await missingPlugins(userHome()), options);
    if (failed.length === 0) return engineOf("path", onPath!.version, userHome(), []);
    choice = chooseOrigin({ onPath: undefined, releases, platform });
  }
  report(choice.because);
  if (choice.origin === "official" && platform !== undefined) {
    try {
      await publish(folders.official, async (draft) => {
        await installRelease(officialRelease(platform), draft, report, signal);
        await fillHome(draft, releases, options);
      });
      return (await finishedEngine(folders))!;
    } catch (error) {
      signal?.throwIfAborted();
      report(`the official release could not be had (${(error as Error).message}): building from Go modules instead`);
    }
  }
  // In one go, so that what the last ones need is downloaded while the first are built.
  const built = await builtModules([...ENGINE_MODULES, ...(releases === "unreachable" ? PLUGIN_MODULES : [])], options);
  await publish(folders.modules, async (draft) => {
    await mkdir(join(draft, "bin"));
    for (const [i, module] of ENGINE_MODULES.entries()) await link(join(built[i]!, module.name), join(draft, "bin", module.name));
    await fillHome(draft, releases, options);
  });
  return (await finishedEngine(folders))!;
}

interface EngineFolders {
  readonly official: string;
  readonly modules: string;
}

/** Where a finished engine stands in the cache, by what it is made of. */
export async function engineFolders(cache: string): Promise<EngineFolders> {
  const go = await goOnPath();
  const parts = await Promise.all([...ENGINE_MODULES, ...PLUGIN_MODULES].map((module) => folderOf(module, cache, go)));
  const plugins = PLUGINS.map((plugin) => `${plugin.name}-${plugin.version}`);
  return {
    official: join(cache, "engine", `official-${PULUMI_VERSION}-${hashOfHashes([PULUMI_VERSION, ...plugins])}`),
    modules: join(cache, "engine", hashOfHashes([...plugins, ...parts.map((part) => basename(part))])),
  };
}

/** The engine that stands finished in the cache, if there is one. */
export async function finishedEngine(folders: EngineFolders): Promise<Engine | undefined> {
  for (const origin of ["official", "modules"] as const) {
    const folder = folders[origin];
    if (await exists(folder)) return engineOf(origin, PULUMI_VERSION, join(folder, "home"), [join(folder, "bin")]);
  }
  return undefined;
}

/** Which plugin came from where, for an engine that stands in the cache. */
export async function pluginSources(engine: Engine): Promise<Readonly<Record<string, unknown>>> {
  return (await readRecord(join(engine.home, "holdfast-plugins.json"))) ?? {};
}

function engineOf(origin: Origin, version: string, home: string, path: readonly string[]): Engine {
  return {
    origin, version, home, path,
    environment: {
      PULUMI_HOME: home,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      // All plugins are there: a missing one is an error to be told at once, not a download to be waited for.
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    },
  };
}

/** Puts each plugin into an engine's home: the official one where it can be downloaded, what our module builds otherwise. */
async function fillHome(engine: string, releases: Reachability, options: Cached): Promise<void> {
  const home = join(engine, "home");
  await mkdir(join(home, "plugins"), { recursive: true, mode: 0o700 });
  const toBuild = releases === "reachable" ? await downloadPlugins(join(engine, "bin", "pulumi"), home, PLUGINS, options) : PLUGINS;
  const built = await builtModules(toBuild.map((plugin) => plugin.module), options);
  for (const [i, plugin] of toBuild.entries()) {
    const folder = pluginFolder(home, plugin);
    await mkdir(folder, { recursive: true });
    await link(join(built[i]!, plugin.module.name), join(folder, `pulumi-resource-${plugin.name}`));
    if (plugin.standIn === "ours") options.report(`the official ${plugin.name} plugin cannot be downloaded here: Holdfast's stand-in is used in its place`);
  }
  const sources = PLUGINS.map((plugin) => [plugin.name, !toBuild.includes(plugin) ? "official" : plugin.standIn === "ours" ? "stand-in" : "built"]);
  await writeFile(join(home, "holdfast-plugins.json"), JSON.stringify(Object.fromEntries(sources)));
}

/** Lets Pulumi download plugins, and gives those of which nothing came. */
async function downloadPlugins(pulumi: string, home: string, plugins: readonly Plugin[], { report, signal }: Cached): Promise<readonly Plugin[]> {
  const failed: Plugin[] = [];
  for (const plugin of plugins) {
    report(`downloading the ${plugin.name} plugin ${plugin.version}`);
    try {
      await run([pulumi, "plugin", "install", "resource", plugin.name, plugin.version], {
        environment: { PULUMI_HOME: home, PULUMI_SKIP_UPDATE_CHECK: "true" },
        deadline: PLUGIN_DEADLINE,
        signal,
      });
    } catch (error) {
      signal?.throwIfAborted();
      report((error as Error).message);
      failed.push(plugin);
    }
  }
  return failed;
}
