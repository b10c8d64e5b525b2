import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { execa } from "execa";

/** Values that must not be seen, by the name under which a finding tells of one. */
export type Secrets = ReadonlyMap<string, string>;

/** Where a value was seen, and which. Never the value itself. */
export interface Finding {
  readonly path: string;
  readonly secret: string;
}

/** Shorter ones would be found by chance. */
const SHORTEST = 16;

/** The characters of base64 that depend on these bytes alone, whatever stands before and after them. */
function insideBase64(bytes: Buffer): string[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64").replace(/=+$/, "");
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
}

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);

/** What a value looks like where it is not wanted: as it is, in JSON, in a URL, in hexadecimal, and anywhere inside base64, where its own encoding is undone first, too. */
export function formsOf(value: string): string[] {
  const bytes = [Buffer.from(value)];
  if (/^([0-9a-f]{2}){16,}$/.test(value)) bytes.push(Buffer.from(value, "hex"));
  if (/^[A-Za-z0-9+/_-]{22,}={0,2}$/.test(value)) bytes.push(Buffer.from(value, "base64"));
  const texts = [value, escaped(value), escaped(escaped(value)), encodeURIComponent(value)];
  const encoded = bytes.flatMap((one) => [...insideBase64(one), one.toString("hex"), one.toString("hex").toUpperCase()]);
  return [...new Set([...texts, ...encoded, ...encoded.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"))])].filter((text) => text.length >= SHORTEST && !text.includes("\n"));
}

/** Four words in a row are enough to know a mnemonic by. */
export function runsOf(mnemonic: readonly string[]): string[] {
  const runs = mnemonic.slice(3).map((_, index) => mnemonic.slice(index, index + 4));
  return runs.flatMap((words) => [" ", ",", ", ", "\t", "-", '","', '", "', String.raw`\n`, String.raw`\",\"`, String.raw`\\\",\\\"`].map((between) => words.join(between))
    .concat(insideBase64(Buffer.from(words.join(" "))), insideBase64(Buffer.from(words.join('","'))), Buffer.from(words.join(" ")).toString("hex")));
}

/** The lines of a PEM file that hold the key. */
export const pemLines = (pem: string): string[] => pem.split("\n").filter((line) => line.length >= SHORTEST && !line.startsWith("-----"));

export interface Canary {
  /** Looks for the values in files and folders, with everything below them. */
  readonly search: (paths: readonly string[]) => Promise<Finding[]>;
  /** Looks for them in texts, which have names. */
  readonly searchTexts: (texts: ReadonlyMap<string, string>) => Promise<Finding[]>;
  readonly remove: () => void;
}

/** One way of searching, for every kind of place. The patterns lie in a folder of their own in memory. */
export function canaryFor(patterns: ReadonlyMap<string, string>): Canary {
  const folder = mkdtempSync("/dev/shm/holdfast-canary-");
  const file = join(folder, "patterns");
  writeFileSync(file, `${[...patterns.keys()].join("\n")}\n`, { mode: 0o600 });
  const search = async (paths: readonly string[]): Promise<Finding[]> => {
    const there = paths.filter((path) => existsSync(path));
    if (there.length === 0) return [];
    const { exitCode, stdout, stderr } = await execa("xargs", ["-0", "grep", "-raoFZH", "-D", "skip", "-f", file, "--"],
      { input: there.join("\0"), env: { LC_ALL: "C" }, reject: false, timeout: 240_000, maxBuffer: 200_000_000, encoding: "latin1" });
    const broken = stderr.split("\n").filter((line) => line !== "" && !/No such file or directory|No such device|Permission denied.*\/proc/.test(line));
    if (exitCode === undefined || broken.length > 0) throw new Error(`the search itself failed: ${broken.join("; ").slice(0, 500)}`);
    const findings = stdout.split("\n").filter((line) => line.includes("\0")).map((line) => {
      const [path = "", match = ""] = line.split("\0");
      return { path, secret: patterns.get(match) ?? "unknown" };
    });
    return [...new Map(findings.map((one) => [`${one.path} ${one.secret}`, one])).values()];
  };
  return {
    search,
    searchTexts: async (texts) => {
      const names = [...texts.keys()];
      const below = join(folder, "texts");
      mkdirSync(below);
      names.forEach((name, index) => writeFileSync(join(below, String(index)), texts.get(name)!, { mode: 0o600 }));
      const findings = await search([below]);
      rmSync(below, { recursive: true });
      return findings.map(({ path, secret }) => ({ path: names[Number(basename(path))]!, secret }));
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** All patterns of some values and a mnemonic, each with the name of what it is a form of. */
export function patternsOf(secrets: Secrets, mnemonic: readonly string[]): Map<string, string> {
  return new Map([
    ...[...secrets].flatMap(([name, value]) => (value.includes("\n") ? pemLines(value) : [value]).flatMap(formsOf).map((form) => [form, name] as const)),
    ...runsOf(mnemonic).map((form) => [form, "seed"] as const),
  ]);
}

/** What processes showed while something ran. */
export interface Samples {
  /** Arguments and environments, each once, as /proc gives them. */
  readonly text: () => string;
  readonly processes: () => number;
  readonly passes: () => number;
  /** Files that lay in the watched folders for a while. */
  readonly files: ReadonlyMap<string, string>;
  readonly stop: () => void;
}

const EVERY = 40;
const LARGEST = 4_000_000;
const DEEPEST = 3;

/**
 * Looks at the arguments of all processes of this machine, its guests' included, every 40 ms, at the environment of each that is new or has become another program, and at
 * files that come and go in folders. Values that are known only afterwards are searched for afterwards.
 *
 * @param others whether an entry of a folder is none of the deployer's
 */
export function sampled(folders: readonly string[], others: (path: string) => boolean): Samples {
  const seen = new Map<string, string>();
  const files = new Map<string, string>();
  const versions = new Map<string, string>();
  const before = new Set(folders.flatMap((folder) => entries(folder)));
  let passes = 0;
  const look = (): void => {
    passes += 1;
    for (const pid of readdirSync("/proc")) {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
      const argv = content(`/proc/${pid}/cmdline`);
      if (argv === undefined || argv === "") continue;
      const key = `${pid}\0${argv}`;
      // A program's environment is there a moment after its arguments.
      if (seen.get(key)) continue;
      seen.set(key, content(`/proc/${pid}/environ`) ?? "");
    }
    for (const path of folders.flatMap((folder) => entries(folder))) if (!before.has(path) && !others(path)) note(path);
  };
  const note = (path: string, depth = 0): void => {
    try {
      const stat = statSync(path);
      if (stat.isDirectory()) return depth < DEEPEST ? entries(path).forEach((one) => note(one, depth + 1)) : undefined;
      const version = `${stat.size} ${stat.mtimeMs}`;
      if (!stat.isFile() || stat.size > LARGEST || versions.get(path) === version) return;
      versions.set(path, version);
      files.set(`${path} ${version}`, readFileSync(path, "latin1"));
    } catch (error) {
      if (!["ENOENT", "EACCES", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
  };
  const timer = setInterval(look, EVERY);
  look();
  return {
    files,
    text: () => [...seen].map(([argv, environment]) => `${argv}\n${environment}`).join("\n"),
    processes: () => seen.size,
    passes: () => passes,
    stop: () => {
      look();
      clearInterval(timer);
    },
  };
}

function content(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    // It ended between two looks.
    if (["ENOENT", "ESRCH", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

/** The root of a machine's file systems, memory included, as its first process sees them. @see proc_pid_root(5) */
export function rootOf(pids: readonly number[]): string {
  const first = [...pids].sort((one, other) => one - other).find((pid) => readlinkSync(`/proc/${pid}/exe`).endsWith("systemd"));
  if (first === undefined) throw new Error("the machine has no first process");
  return `/proc/${first}/root`;
}

/** Files below folders, by find(1). Not the kernel's own: some of those never end. */
export async function filesBelow(roots: readonly string[], { without, newerThan }: { readonly without: readonly string[]; readonly newerThan?: string }): Promise<string[]> {
  const prune = ["-fstype", "proc", "-o", "-fstype", "sysfs", ...without.flatMap((path) => ["-o", "-path", path])];
  const { stdout } = await execa("find", [...roots, "(", ...prune, ")", "-prune", "-o", "-type", "f", ...(newerThan === undefined ? [] : ["-newer", newerThan]), "-print0"], { reject: false, stdin: "ignore", timeout: 120_000, maxBuffer: 100_000_000 });
  return stdout.split("\0").filter((path) => path !== "");
}

/** Findings beside those that are wanted where they are. @param root is taken off their paths */
export const except = (findings: readonly Finding[], allowed: readonly RegExp[], root = ""): Finding[] =>
  findings.map(({ path, secret }) => ({ path: path.slice(root.length), secret })).filter(({ path }) => !allowed.some((one) => one.test(path)));
