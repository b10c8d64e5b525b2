import { mkdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { mountDisk, unmountDisk, writeOnDisk } from "../../machines/disk.js";
import type { Names } from "../../machines/names.js";
import { halt } from "../../machines/nspawn.js";
import { run } from "../../run.js";
import { identityFiles } from "./seed.js";

/** The same server with another disk. */
const rescued = (names: Names): Names => ({ ...names, folder: join(names.folder, "rescue") });

/**
 * Makes a system of the image alone, with a host key nobody knows, where the server's disk (already mounted) is below /mnt/disk.
 *
 * @returns its root
 */
export async function prepareRescue(names: Names, keys: readonly string[], imageRoot: string): Promise<string> {
  const system = rescued(names);
  const root = join(system.folder, "root");
  await rm(system.folder, { recursive: true, force: true });
  await writeOnDisk(system, { ...identityFiles("rescue"), "etc/cloud/cloud-init.disabled": "", "root/.ssh/authorized_keys": keys.map((key) => `${key.trim()}\n`).join("") }, 0o644);
  await mkdir(join(system.folder, "upper/etc/ssh"), { recursive: true, mode: 0o755 });
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", join(system.folder, "upper/etc/ssh/ssh_host_ed25519_key")]);
  await mountDisk(system, imageRoot);
  await mkdir(join(root, "mnt/disk"), { recursive: true });
  await run(["mount", "--bind", join(names.folder, "root"), join(root, "mnt/disk")]);
  return root;
}

/** Removes the rescue system of a server that is off. */
export async function clearRescue(names: Names): Promise<void> {
  const system = rescued(names);
  if (!existsSync(system.folder)) return;
  await halt(system, 0);
  await unmountDisk(system);
  await rm(system.folder, { recursive: true, force: true });
}
