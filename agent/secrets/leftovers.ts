import { basename, dirname, join } from "node:path";
import type { Site } from "../site.js";

/** Held by whoever changes the host's identity, bundle or secrets. */
export function secretsLock(site: Pick<Site, "layout">): string {
  return join(dirname(site.layout.pendingRestarts), "secrets.lock");
}

/** Directories of installed bundles, one of which the secrets link names. */
export function bundleFolders(site: Site): string {
  return `${site.layout.secrets}.d`;
}

/** Deletes what killed runs left half-way: to be called under the lock. Touches nothing where nothing is left. */
export async function removeLeftovers(site: Site): Promise<void> {
  const { disk, layout } = site;
  const link = (await disk.look(layout.secrets))?.kind === "link" ? join(dirname(layout.secrets), await disk.readLink(layout.secrets)) : undefined;
  for (const name of await disk.list(bundleFolders(site))) {
    if (join(bundleFolders(site), name) !== link) await disk.remove(join(bundleFolders(site), name));
  }
  if (await disk.look(`${layout.secrets}.new`)) await disk.remove(`${layout.secrets}.new`);
  for (const path of [layout.bundle, layout.trialSystems, layout.secretsVersions, layout.installed, layout.identity, layout.place, layout.pendingRestarts]) {
    const halves = (await disk.list(dirname(path))).filter((name) => name.startsWith(`${basename(path, ".age")}.`) && /\.(\d+\.new|fresh)$/.test(name));
    for (const name of halves) await disk.remove(join(dirname(path), name));
  }
}
