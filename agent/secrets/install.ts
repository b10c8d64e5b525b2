import { basename, dirname, join } from "node:path";
import type { Bundle, SecretFile } from "../../formats/bundle.js";
import { readInstalled, writeInstalled } from "./installed.js";
import { bundleFolders, removeLeftovers } from "./leftovers.js";
import type { Owners } from "./owners.js";
import { planInstallation, type Plan, type Standing, type Wanted } from "./plan.js";
import { noteRestarts, noteSwapped } from "./restart.js";
import type { Site } from "../site.js";

/** What installing the bundle would change now. Owners that are missing yet count as a change. */
export async function compare(site: Site, bundle: Bundle): Promise<Plan> {
  const owners = await site.owners();
  const standing = await readStanding(site, await currentFolder(site));
  const consumers = (await readInstalled(site))?.consumers ?? {};
  return planInstallation(standing, bundle.files.map((file) => numbered(file, owners)), new Map(Object.entries(consumers)));
}

/** @throws when a file belongs to a user or group that the host does not have: names the file, the name and the remedy */
export async function requireOwners(site: Site, bundle: Bundle): Promise<void> {
  const owners = await site.owners();
  const missing = bundle.files.flatMap((file) => [
    ...(owners.users.has(file.owner) ? [] : [`${file.name} belongs to user ${file.owner}`]),
    ...(owners.groups.has(file.group) ? [] : [`${file.name} belongs to group ${file.group}`]),
  ]);
  if (missing.length > 0) {
    throw new Error(`the secrets are not installed, and nothing was changed: ${missing.join("; ")}, which this host does not have. Enable the service that it comes with on this node, or correct the owner in the registry of secrets.`);
  }
}

/**
 * Makes the secrets directory hold the bundle's files and no other, in one swap. An unchanged file keeps its inode; an unchanged bundle touches nothing.
 * Killed at any point it has swapped or has not, and the next call finishes. Notes the units to restart, and restarts none.
 */
export async function installBundle(site: Site, bundle: Bundle): Promise<Plan> {
  await removeLeftovers(site);
  await requireOwners(site, bundle);
  const current = await currentFolder(site);
  const plan = await compare(site, bundle);
  if (plan.changed.length > 0 || current?.kind !== "link") {
    const folder = await buildFolder(site, bundle, current, plan);
    await noteRestarts(site, plan.restart);
    await swap(site, folder, current);
    await noteSwapped(site, plan.restart);
  }
  await writeInstalled(site, bundle);
  await removeLeftovers(site);
  return plan;
}

/** Takes all secrets away that a bundle had brought: what a bare host goes back to. Notes the units that read them. */
export async function removeSecrets(site: Site): Promise<Plan> {
  await removeLeftovers(site);
  const installed = await readInstalled(site);
  const plan = planInstallation(await readStanding(site, await currentFolder(site)), [], new Map(Object.entries(installed?.consumers ?? {})));
  if (installed === undefined) return { ...plan, changed: [], restart: [] };
  await noteRestarts(site, plan.restart);
  await site.disk.remove(site.layout.secrets);
  await site.disk.sync(dirname(site.layout.secrets));
  await site.disk.remove(site.layout.installed);
  await removeLeftovers(site);
  return plan;
}

interface Folder {
  readonly path: string;
  /** `folder`: of an older installation, in the very place where the link belongs. */
  readonly kind: "link" | "folder";
}

async function currentFolder({ disk, layout }: Site): Promise<Folder | undefined> {
  const seen = await disk.look(layout.secrets);
  if (seen === undefined) return undefined;
  if (seen.kind === "folder") return { path: layout.secrets, kind: "folder" };
  if (seen.kind === "link") return { path: join(dirname(layout.secrets), await disk.readLink(layout.secrets)), kind: "link" };
  throw new Error(`${layout.secrets} is neither a directory nor a link to one. Move it away, then deliver the secrets again.`);
}

async function readStanding({ disk }: Site, folder: Folder | undefined): Promise<ReadonlyMap<string, Standing>> {
  const standing = new Map<string, Standing>();
  for (const name of folder ? await disk.list(folder.path) : []) {
    const path = join(folder!.path, name);
    const seen = await disk.look(path);
    if (seen?.kind === "file") standing.set(name, { content: await disk.read(path), uid: seen.uid, gid: seen.gid, mode: seen.mode });
  }
  return standing;
}

function numbered(file: SecretFile, owners: Owners): Wanted {
  return {
    name: file.name,
    content: Buffer.from(file.content, "base64"),
    uid: owners.users.get(file.owner),
    gid: owners.groups.get(file.group),
    mode: Number.parseInt(file.mode, 8),
    consumers: file.consumers,
  };
}

async function buildFolder({ disk, ...site }: Site, bundle: Bundle, current: Folder | undefined, plan: Plan): Promise<string> {
  const folders = bundleFolders({ disk, ...site });
  const usual = String(bundle.version);
  const folder = join(folders, current && basename(current.path) === usual ? `${usual}-again` : usual);
  await disk.makeFolder(folders, 0o751);
  await disk.makeFolder(folder, 0o700);
  for (const name of plan.keep) await disk.link(join(current!.path, name), join(folder, name));
  for (const file of plan.write) await disk.makeFile(join(folder, file.name), file.content, { uid: file.uid!, gid: file.gid!, mode: file.mode });
  await disk.chmod(folder, 0o751);
  await disk.sync(folder);
  await disk.sync(folders);
  return folder;
}

async function swap({ disk, layout }: Site, folder: string, current: Folder | undefined): Promise<void> {
  const fresh = `${layout.secrets}.new`;
  await disk.symlink(join(basename(dirname(folder)), basename(folder)), fresh);
  if (current?.kind === "folder") await disk.rename(layout.secrets, await asideOf({ disk, layout }));
  await disk.rename(fresh, layout.secrets);
  await disk.sync(dirname(layout.secrets));
}

async function asideOf({ disk, layout }: Pick<Site, "disk" | "layout">): Promise<string> {
  const aside = `${layout.secrets}.before-holdfast`;
  if (await disk.look(aside)) throw new Error(`${layout.secrets} is a directory, and an older one was moved to ${aside} before. Look through both, delete the second, then deliver the secrets again.`);
  return aside;
}
