import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, link, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";

export interface ProgramsArgs {
  readonly cache: string;
  /** Has the built lnd, lncli, btcd, btcctl and, for the store, perhaps rest-server. */
  readonly daemonsFolder: string;
  readonly report: (line: string) => void;
  /** The flake's folder, whose go.mod files and programs.json pin the versions: this file's own unless told. */
  readonly flake?: string;
}

const DEADLINE = 30_000;
const daemons = ["lnd", "lncli", "btcd", "btcctl"] as const;

/** What a flake pins: the same that its programs.nix reads. */
export async function pinnedVersions(flake: string): Promise<{ readonly lnd: string; readonly btcd: string; readonly node: string }> {
  const goModule = async (name: string, module: string): Promise<string> => {
    const file = join(flake, "daemons", name, "go.mod");
    const version = new RegExp(`^\\s*(?:require )?${module.replaceAll(".", "\\.")} v(\\S+)`, "m").exec(await readFile(file, "utf8"))?.[1];
    if (version === undefined) throw new Error(`${file} requires no ${module}: it pins the version of ${name}.`);
    return version;
  };
  const { node } = JSON.parse(await readFile(join(flake, "programs.json"), "utf8")) as { node: string };
  return { lnd: await goModule("lnd", "github.com/lightningnetwork/lnd"), btcd: await goModule("btcd", "github.com/btcsuite/btcd"), node };
}

/** The node that machines run: npm's plain package with the binary for this architecture. */
async function nodeBinary(wanted: string): Promise<string> {
  const packageName = `node-linux-${process.arch}`;
  let manifest: string;
  try {
    manifest = createRequire(import.meta.url).resolve(`${packageName}/package.json`);
  } catch (error) {
    throw new Error(`The npm package ${packageName} is not installed: run "npm ci" without --omit=optional.`, { cause: error });
  }
  const { version } = JSON.parse(await readFile(manifest, "utf8")) as { version: string };
  if (version !== wanted) throw new Error(`${packageName} is ${version}, and programs.json pins ${wanted}: make the two the same.`);
  return join(dirname(manifest), "bin/node");
}

async function expectVersion(program: string, wanted: string): Promise<void> {
  const { stdout } = await execa(program, ["--version"], { timeout: DEADLINE, stdin: "ignore" });
  if (!stdout.includes(wanted)) throw new Error(`${program} says "${stdout.trim()}", and its go.mod pins ${wanted}: build the daemons again.`);
}

/** A hard link where the two are on one file system, otherwise a copy. */
async function place(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!["EXDEV", "EPERM", "EMLINK"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await copyFile(from, to);
  }
}

/**
 * The folder that every machine sees at /opt/rehearsal: lnd, lncli, btcd, btcctl, node, rest-server if it was built, and versions.json with what the flake pins.
 * Made once for the same binaries, whole or not at all.
 *
 * @throws when a program is missing, or is not of the version that the flake pins
 */
export async function ensurePrograms({ cache, daemonsFolder, report, flake = dirname(fileURLToPath(import.meta.url)) }: ProgramsArgs): Promise<{ readonly folder: string }> {
  const versions = await pinnedVersions(flake);
  const missing = daemons.filter((name) => !existsSync(join(daemonsFolder, name)));
  if (missing.length > 0) throw new Error(`${missing.join(", ")} not found in ${daemonsFolder}: build the daemons first.`);
  const store = existsSync(join(daemonsFolder, "rest-server")) ? ["rest-server"] : [];
  const sources = new Map([...daemons, ...store].map((name) => [name, join(daemonsFolder, name)]).concat([["node", await nodeBinary(versions.node)]]) as [string, string][]);

  const identity = createHash("sha256").update(JSON.stringify(versions));
  for (const [name, path] of sources) {
    const { size, mtimeMs } = await stat(path);
    identity.update(`${name} ${size} ${mtimeMs}\n`);
  }
  const folder = join(cache, "programs", identity.digest("hex").slice(0, 16));
  if (existsSync(folder)) return { folder };

  report("collecting the machines' programs");
  await expectVersion(join(daemonsFolder, "lnd"), versions.lnd);
  await expectVersion(join(daemonsFolder, "btcd"), versions.btcd);
  const beside = `${folder}.${process.pid}.new`;
  await mkdir(beside, { recursive: true });
  for (const [name, path] of sources) await place(path, join(beside, name));
  await writeFile(join(beside, "versions.json"), JSON.stringify(versions));
  try {
    await rename(beside, folder);
  } catch (error) {
    await rm(beside, { recursive: true });
    // Another process was first.
    if (!existsSync(folder)) throw error;
  }
  return { folder };
}
