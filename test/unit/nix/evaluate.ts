import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { settingsSchema } from "../../../formats/settings.js";
import type { z } from "zod";

type Setting = string | number | boolean | (string | number | boolean)[];
type Section = Record<string, Setting>;
interface Openings {
  tcp: number[];
  udp: number[];
  tcpRanges: { from: number; to: number }[];
  udpRanges: { from: number; to: number }[];
}
type Dependency = "after" | "before" | "requires" | "requisite" | "wants" | "bindsTo" | "partOf" | "conflicts" | "upholds" | "onFailure" | "wantedBy" | "requiredBy";
type Script = "script" | "preStart" | "postStart" | "reload" | "preStop" | "postStop";

/** A unit that NixOS would write, as its module defines it and (`text`) as its file reads. */
export type Unit = Record<Dependency, string[]> & Partial<Record<Script, string>> & {
  description: string;
  text: string;
  environment: Record<string, string | null>;
  unitConfig: Section;
  serviceConfig?: Section;
  timerConfig?: Section;
  socketConfig?: Section;
  pathConfig?: Section;
  mountConfig?: Section;
  restartIfChanged: boolean;
  reloadIfChanged: boolean;
  restartTriggers: string[];
};

/** A file that a module writes to the store: scripts are `bash`. */
export interface WrittenFile {
  path: string;
  language: "bash" | "text";
  text: string;
}

/** A node's evaluated configuration: nix/checks/report.nix, and the files written to the store. */
export interface Evaluated {
  units: Record<string, Unit>;
  users: Record<string, { group: string; extraGroups: string[]; home: string; isSystemUser: boolean; isNormalUser: boolean; shell: string | null; authorizedKeys: string[] }>;
  groups: Record<string, { members: string[] }>;
  secretsDirectory: string;
  secrets: Record<string, { owner: string; group: string; mode: string }>;
  firewall: Openings & { enable: boolean; trustedInterfaces: string[]; extraCommands: string; extraInputRules: string; interfaces: Record<string, Openings> };
  nftables: { enable: boolean; ruleset: string; tables: Record<string, { name: string; family: string; content: string }> };
  wireguard: Record<string, {
    ips: string[]; listenPort: number | null; privateKey: string | null; privateKeyFile: string | null; allowedIPsAsRoutes: boolean;
    peers: { name: string; publicKey: string; presharedKey: string | null; presharedKeyFile: string | null; allowedIPs: string[]; endpoint: string | null; persistentKeepalive: number | null }[];
  }>;
  onionServices: Record<string, { port: number; target: { addr: string | null; port: number | "auto" | null } | null }[]>;
  tor: { enable: boolean; client: boolean; settings: Record<string, unknown> };
  openssh: { enable: boolean; ports: number[]; settings: Record<string, unknown>; hostKeys: string[] };
  etc: Record<string, { target: string; mode: string; text: string | null; source: string | null }>;
  activationScripts: Record<string, { deps: string[]; text: string }>;
  tmpfiles: string[];
  tmpfilesSettings: Record<string, Record<string, Record<string, Record<string, string>>>>;
  systemPackages: string[];
  wrappers: Record<string, { owner: string; group: string; permissions: string; setuid: boolean; setgid: boolean; capabilities: string; source: string }>;
  doas: string;
  restic: Record<string, { repository: string | null; passwordFile: string | null; environmentFile: string | null; paths: string[] | null; exclude: string[] }>;
  networking: { hostName: string; useDHCP: boolean };
  boot: {
    kernelParams: string[];
    blacklistedKernelModules: string[];
    sysctl: Record<string, boolean | string | number | null>;
    grub: { enable: boolean; device: string; devices: string[]; efiSupport: boolean; efiInstallAsRemovable: boolean };
    initrd: {
      luksDevices: Record<string, { device: string; keyFile: string | null; crypttabExtraOpts: string[] }>;
      ssh: { enable: boolean; port: number; authorizedKeys: string[]; hostKeys: string[] };
      availableKernelModules: string[];
    };
  };
  fileSystems: Record<string, { device: string | null; fsType: string; options: string[]; neededForBoot: boolean }>;
  disko: Record<string, unknown>;
  /** Messages of the assertions that do not hold: NixOS would refuse the system. */
  assertions: string[];
  warnings: string[];
  /** Definitions of options that do not exist: NixOS would refuse the system. */
  undeclared: { option: string; file: string }[];
  /** Our own options, `holdfast.<module>.<option>`. */
  holdfast: Record<string, unknown>;
  files: WrittenFile[];
}

const expression = fileURLToPath(new URL("../../../nix/checks/evaluate.nix", import.meta.url));
const deadlineSeconds = 60;

const cache = process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache/holdfast");

/** Where a checkout may lie, by its name in flake.lock. */
export const sourceInCache = (name: string): string => join(cache, "nix-sources", name);

/** Where the programs that read Nix files may lie. */
export const nixTools = join(cache, "nix-tools/bin");

const cached = (variable: string, name: string) => process.env[variable] ?? sourceInCache(name);

/** Where the sources for evaluation lie: variables, or the cache. disko's may be missing: then its options take anything. */
export const sources = {
  disko: cached("HOLDFAST_DISKO", "disko"),
  library: cached("HOLDFAST_NIXPKGS_LIB", "nixpkgs.lib"),
  nixBitcoin: cached("HOLDFAST_NIX_BITCOIN", "nix-bitcoin"),
};

const onPath = (program: string) => (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(join(folder, program)));

/** Why nothing can be evaluated here; undefined when it can. For `describe.skipIf`, after it was printed. */
export function sourcesMissing(): string | undefined {
  if (!onPath("nix-instantiate")) return "nix-instantiate is not on the PATH: install Nix (2.8 or newer).";
  if (!existsSync(join(sources.library, "lib/default.nix"))) return `${sources.library} is no checkout of nix-community/nixpkgs.lib: make one there, or name it in HOLDFAST_NIXPKGS_LIB.`;
  if (!existsSync(join(sources.nixBitcoin, "modules/modules.nix"))) return `${sources.nixBitcoin} is no checkout of nix-bitcoin: make one there, or name it in HOLDFAST_NIX_BITCOIN.`;
  return undefined;
}

/** `sourcesMissing`, and says so on stderr: a skipped test tells why. */
export function announceMissing(): string | undefined {
  const missing = sourcesMissing();
  if (missing !== undefined) process.stderr.write(`Nothing of nix/ is evaluated here: ${missing}\n`);
  return missing;
}

const announcement = "trace: holdfast-file ";

/**
 * Evaluates a node as NixOS would: nix-bitcoin's modules, ours, and stand-ins for NixOS's options.
 * @param settings what the stack hands over; defaults are filled in.
 * @param extra a Nix module as text (an expression), evaluated beside ours, with nix-bitcoin's sources as the module argument `nixBitcoin`.
 * @throws with Nix's own words when evaluation fails: a wrong type, conflicting definitions, `throw`.
 */
export const evaluate = (settings: z.input<typeof settingsSchema>, extra = "{ }"): Promise<Evaluated> => inFolder((folder) => evaluateIn(folder, settings, extra, ["--readonly-mode"]));

/** As `evaluate`, with everything among its files that evaluation itself writes to the Nix store (a store of its own): what `builtins.toFile` makes, and sources. Slower. */
export const evaluateWriting = (settings: z.input<typeof settingsSchema>, extra = "{ }"): Promise<Evaluated> => inFolder(async (folder) => {
  const store = join(folder, "store");
  const evaluated = await evaluateIn(folder, settings, extra, ["--read-write-mode", "--store", store, "--option", "allow-import-from-derivation", "false"]);
  const written = existsSync(join(store, "nix/store")) ? await readdir(join(store, "nix/store"), { recursive: true, withFileTypes: true }) : [];
  const files = await Promise.all(written.filter((entry) => entry.isFile()).map(async (entry): Promise<WrittenFile> => {
    const path = join(entry.parentPath, entry.name);
    return { path: path.slice(store.length), language: "text", text: await readFile(path, "utf8") };
  }));
  return { ...evaluated, files: [...evaluated.files, ...files] };
});

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-evaluate-"));
  try {
    return await work(folder);
  } finally {
    // A store's own files are read-only.
    await execa("chmod", ["-R", "u+w", folder], { timeout: 10_000, stdin: "ignore" });
    await rm(folder, { recursive: true, force: true });
  }
}

async function evaluateIn(folder: string, settings: z.input<typeof settingsSchema>, extra: string, store: readonly string[]): Promise<Evaluated> {
  await writeFile(join(folder, "settings.json"), JSON.stringify(settingsSchema.parse(settings)));
  await writeFile(join(folder, "extra.nix"), extra);
  const result = await execa("nix-instantiate", [
    "--eval", "--strict", "--json", ...store, expression,
    "--arg", "lib", sources.library,
    "--arg", "nixBitcoin", sources.nixBitcoin,
    ...(existsSync(join(sources.disko, "module.nix")) ? ["--arg", "disko", sources.disko] : []),
    "--arg", "settings", join(folder, "settings.json"),
    "--arg", "extraModules", `[ ${join(folder, "extra.nix")} ]`,
  ], { timeout: deadlineSeconds * 1000, reject: false, stdin: "ignore", maxBuffer: 100_000_000 });
  const told = result.stderr.split("\n");
  if (result.timedOut) throw new Error(`The evaluation of ${expression} took longer than ${deadlineSeconds} s. Look for a loop in the modules.`);
  if (result.exitCode !== 0) {
    const words = told.filter((line) => !line.startsWith(announcement) && !line.startsWith("warning: the group")).join("\n");
    throw new Error(`The node's configuration does not evaluate. Nix says:\n${words.trim() || result.message}`);
  }
  const files = told.filter((line) => line.startsWith(announcement)).map((line) => JSON.parse(line.slice(announcement.length)) as WrittenFile);
  const unique = new Map(files.map((file) => [file.path, file]));
  return { ...(JSON.parse(result.stdout) as Omit<Evaluated, "files">), files: [...unique.values()] };
}

/** The text that a unit's setting runs, found by the path in it: `ExecStartPre=+/nix/store/…-x`. */
export const textOf = (evaluated: Evaluated, command: string): string | undefined =>
  evaluated.files.find(({ path }) => command.includes(path))?.text;

/** A folder of this repository's Nix sources. */
export const nixFolder = dirname(dirname(expression));
