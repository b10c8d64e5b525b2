import { posix } from "node:path";
import { codeOf } from "./nixCode.js";

/** A host's own hardware configuration and what it imports: texts by path below /etc/nixos, `hardware-configuration.nix` among them. */
export type Hardware = Readonly<Record<string, string>>;

/** Where NixOS itself keeps them. nixos-generate-config(8) */
const FOLDER = "/etc/nixos";
const ROOT = "hardware-configuration.nix";
const FILE = /^[\w.+/-]+$/;

/**
 * Says whether the host has a hardware configuration: `present`, `made`, `other` (a system that is not NixOS), or `missing`.
 * A NixOS without one makes it, and keeps it: made anew each time, it would follow whatever is mounted at that moment.
 */
export const hardwareCommand = [
  "set -e", `if [ -f ${FOLDER}/${ROOT} ]; then echo present; exit; fi`, ". /etc/os-release", 'if [ "$ID" != nixos ]; then echo other; exit; fi',
  "if ! command -v nixos-generate-config >/dev/null; then echo missing; exit; fi",
  `mkdir -p ${FOLDER}`, `nixos-generate-config --show-hardware-config > ${FOLDER}/${ROOT}.part`, `mv ${FOLDER}/${ROOT}.part ${FOLDER}/${ROOT}`, "echo made",
].join("; ");

/** Prints a line for each path: `file`, path and content in base64; `folder` and path; or `absent` and path. */
export const filesCommand = (paths: readonly string[]): string =>
  `set -e; cd ${FOLDER}; for path in ${paths.join(" ")}; do if [ -d "$path" ]; then echo "folder $path"; elif [ -f "$path" ]; then printf 'file %s ' "$path"; base64 -w 0 < "$path"; echo; else echo "absent $path"; fi; done`;

export interface FoundHardware {
  /** `made`: the host had none, and NixOS's own program has written it there. */
  readonly state: "present" | "made";
  readonly files: Hardware;
}

/**
 * Reads a kept host's hardware configuration, with the files that it imports by relative path.
 *
 * @param run runs a command on the host and gives its stdout
 * @returns undefined for a host that is not NixOS: what its system wants of it, its flake knows
 * @throws when NixOS has none, or when it names a file that is not there or that must not go into the Nix store
 */
export async function readHardware(run: (command: string) => Promise<string>): Promise<FoundHardware | undefined> {
  const state = (await run(hardwareCommand)).trim();
  if (state === "other") return undefined;
  if (state === "missing") throw new Error(`The host is NixOS, keeps its disks (nixos.disks.layout: kept), and has neither ${FOLDER}/${ROOT} nor nixos-generate-config to make it. Put the file there: its file systems, its initrd's kernel modules and its boot loader.`);
  if (state !== "present" && state !== "made") throw new Error(`The host said ${JSON.stringify(state.slice(0, 200))} when it was asked for its hardware configuration. Does root's shell print something of its own at login?`);
  const files = new Map<string, string>();
  for (let wanted = [ROOT]; wanted.length > 0;) {
    const references = (await fetched(run, wanted, files)).flatMap(([path, text]) => referencesOf(path, text));
    wanted = [...new Set(references)].filter((path) => !files.has(path) && !files.has(`${path}/default.nix`));
  }
  return { state, files: Object.fromEntries([...files].sort(([one], [other]) => (one < other ? -1 : 1))) };
}

/** Adds files to those that are known, and gives the new ones. */
async function fetched(run: (command: string) => Promise<string>, wanted: readonly string[], files: Map<string, string>): Promise<[string, string][]> {
  const added: [string, string][] = [];
  const folders: string[] = [];
  for (const line of (await run(filesCommand(wanted))).trim().split("\n")) {
    const [kind, path = "", content = ""] = line.split(" ");
    if (kind === "folder" && !path.endsWith("/default.nix")) folders.push(`${path}/default.nix`);
    else if (kind !== "file") throw new Error(`${FOLDER}/${path} is imported by the host's hardware configuration and is not there. Put it there, or take the import out.`);
    else if (!path.endsWith(".nix")) throw new Error(`${FOLDER}/${path} is named by the host's hardware configuration and is no .nix file. What is handed to Nix can be read by every user of the host, so a key or another file does not go there: name it as a text, "${FOLDER}/${path}".`);
    else added.push([path, Buffer.from(content, "base64").toString()]);
  }
  for (const [path, text] of added) files.set(path, text);
  return folders.length === 0 ? added : [...added, ...await fetched(run, folders, files)];
}

/**
 * The paths below /etc/nixos that a file of the hardware configuration names.
 *
 * @throws for a path that an evaluation on its own cannot have: absolute, computed, outside, or of a channel
 */
export function referencesOf(path: string, text: string): string[] {
  const code = codeOf(text);
  const refuse = (found: string, remedy: string): never => { throw new Error(`${FOLDER}/${path} names ${found}, which is not at hand where the system is built. ${remedy}`); };
  const channel = /<[\w.+-]+(?:\/[\w.+-]+)*>/.exec(code);
  if (channel !== null) refuse(channel[0], `Write (modulesPath + "/…") for NixOS's own modules, as nixos-generate-config does.`);
  if (/[\w.+-]\/\$\{/.test(code)) refuse("a path that is computed", "Write it out.");
  return [...code.matchAll(/(?<![\w.+/~-])~?[\w.+-]*(?:\/[\w.+-]+)+/g)].map(([found]) => {
    if (found.startsWith("~") || found.startsWith("/")) refuse(found, found.startsWith(`${FOLDER}/`) ? `Write it as ./${posix.relative(posix.dirname(posix.join(FOLDER, path)), found)}.` : `Copy it below ${FOLDER} and name it by a relative path; a device's name is a text, in quotes.`);
    const below = posix.join(posix.dirname(path), found);
    if (below === "." || below === ".." || below.startsWith("../")) refuse(found, `Copy it below ${FOLDER}, and name it there.`);
    if (!FILE.test(below)) refuse(found, "Use letters, digits, dots and dashes in its name.");
    return below;
  });
}
