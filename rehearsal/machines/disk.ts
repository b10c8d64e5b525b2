import { createHash } from "node:crypto";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PREFIX_LENGTH, type Names } from "./names.js";
import { networkFile } from "./recipe.js";
import { run, until, attempt } from "../run.js";
import { knownHostsLine } from "./ssh.js";

export interface DiskArgs {
  readonly address: string;
  readonly generation: number;
  readonly authorizedKey: string;
  /** OpenSSH private key; a fresh one unless given. */
  readonly hostKey?: string;
}

const upper = ({ folder }: Names): string => join(folder, "upper");
const work = ({ folder }: Names): string => join(folder, "work");
const root = ({ folder }: Names): string => join(folder, "root");

/** The overlay's folders hide the modes of the image's, so they repeat them. */
const folderMode = (path: string): number => (path === "root" || path.startsWith("root/") ? 0o700 : 0o755);

/** The folders above a path, outermost first: "" is the root. */
const foldersAbove = (path: string): string[] => path.split("/").map((_, index, parts) => parts.slice(0, index).join("/"));

/** What makes this machine differ from the image, by path. */
export function diskFiles(names: Names, { address, generation, authorizedKey }: DiskArgs): Record<string, string> {
  return {
    "etc/hostname": `${names.name}\n`,
    "etc/hosts": `127.0.0.1 localhost\n127.0.1.1 ${names.name}\n`,
    "etc/machine-id": `${createHash("sha256").update(`${names.folder} ${generation}`).digest("hex").slice(0, 32)}\n`,
    "etc/systemd/network/05-host0.network": networkFile(`${address}/${PREFIX_LENGTH}`),
    "root/.ssh/authorized_keys": `${authorizedKey.trim()}\n`,
  };
}

async function makeFolders(names: Names, folders: readonly string[]): Promise<void> {
  for (const folder of new Set(folders)) {
    await mkdir(join(upper(names), folder), { recursive: true });
    await chmod(join(upper(names), folder), folderMode(folder));
  }
}

/** Writes files where a machine's overlay keeps them, before it is ever mounted. */
export async function writeOnDisk(names: Names, files: Readonly<Record<string, string>>, mode: number): Promise<void> {
  await mkdir(names.folder, { recursive: true, mode: 0o700 });
  for (const folder of [work(names), root(names)]) await mkdir(folder, { recursive: true });
  await makeFolders(names, Object.keys(files).flatMap(foldersAbove));
  for (const [path, text] of Object.entries(files)) await writeFile(join(upper(names), path), text, { mode });
}

/**
 * Writes the machine's own files where its overlay keeps them, before it is ever mounted, and pins its host key.
 *
 * @returns the host's public key, type and key
 */
export async function prepareDisk(names: Names, args: DiskArgs): Promise<string> {
  await writeOnDisk(names, diskFiles(names, args), 0o644);
  const keyFile = join(upper(names), "etc/ssh/ssh_host_ed25519_key");
  await makeFolders(names, ["etc/ssh"]);
  if (args.hostKey) await writeFile(keyFile, `${args.hostKey.trim()}\n`, { mode: 0o600 });
  else await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", keyFile]);
  const publicKey = (await run(["ssh-keygen", "-y", "-P", "", "-f", keyFile])).trim().split(" ").slice(0, 2).join(" ");
  if (!publicKey.startsWith("ssh-ed25519 ")) throw new Error(`the host key given for ${names.name} is ${publicKey.split(" ")[0]}, and ssh-ed25519 is wanted`);
  await writeFile(`${keyFile}.pub`, `${publicKey}\n`, { mode: 0o644 });
  await writeFile(join(dirname(upper(names)), "known_hosts"), knownHostsLine(args.address, 22, publicKey));
  return publicKey;
}

export function mountArguments(names: Names, image: string): string[] {
  return ["mount", "-t", "overlay", names.namespace, "-o", `lowerdir=${image},upperdir=${upper(names)},workdir=${work(names)}`, root(names)];
}

/** Mounts the machine's disk afresh: the image below, its own files above. @throws when the image is gone */
export async function mountDisk(names: Names, image: string): Promise<void> {
  if (!existsSync(image)) throw new Error(`the image under ${names.name}'s disk is gone (${image}): delete the machine and make it again; its node comes back from its backup`);
  await unmountDisk(names);
  await mkdir(root(names), { recursive: true });
  await run(mountArguments(names, image));
}

/** Unmounts what is mounted at the machine's root and below, however often. @throws when something still uses it after ten seconds */
export async function unmountDisk(names: Names): Promise<void> {
  let last = "";
  const gone = await until(async () => {
    if (!isMounted(root(names), readFileSync("/proc/self/mountinfo", "utf8"))) return true;
    last = (await attempt(["umount", "--recursive", root(names)])).stderr;
    return false;
  }, 10_000, 50);
  if (!gone) throw new Error(`${root(names)} cannot be unmounted: ${last.trim()}. A shell or a program of yours may be in it: leave it, then try again.`);
}

/** @param table the text of /proc/self/mountinfo, see proc_pid_mountinfo(5) */
export function isMounted(path: string, table: string): boolean {
  const escaped = path.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
  return table.split("\n").some((line) => line.split(" ")[4] === escaped);
}
