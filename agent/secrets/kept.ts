import { dirname } from "node:path";
import type { Bundle } from "../../formats/bundle.js";
import type { Site } from "../site.js";
import { openBundle } from "./sealed.js";

/**
 * The bundles that a host keeps, all of them sealed.
 * `committed`: what a proven system runs with. `delivered`: the newest that came and was not committed; not yet tried, or withdrawn. `trial`: goes with the system on trial.
 */
export type Keeping = "committed" | "delivered" | "trial";

export interface Kept {
  readonly sealed: string;
  readonly bundle: Bundle;
}

export const keptPath = ({ layout }: Pick<Site, "layout">, which: Keeping): string =>
  ({ committed: layout.bundle, delivered: layout.deliveredBundle, trial: layout.trialBundle })[which];

/** @throws when there is one that this host cannot open */
export async function kept(site: Site, which: Keeping): Promise<Kept | undefined> {
  const sealed = await site.disk.readText(keptPath(site, which));
  if (sealed === undefined) return undefined;
  const bundle = opened.get(sealed) ?? (await openBundle(site, sealed));
  remember(sealed, bundle);
  return { sealed, bundle };
}

/** One activation looks at the same few bundles again and again; to open one is its dearest part. */
const opened = new Map<string, Bundle>();
const MOST_OPENED = 4;

function remember(sealed: string, bundle: Bundle): void {
  opened.delete(sealed);
  opened.set(sealed, bundle);
  for (const oldest of [...opened.keys()].slice(0, -MOST_OPENED)) opened.delete(oldest);
}

/** The same bundle again touches nothing. */
export async function keep(site: Site, which: Keeping, sealed: string): Promise<void> {
  const path = keptPath(site, which);
  if ((await site.disk.readText(path)) !== sealed) await site.disk.writeWhole(path, sealed, 0o600);
}

export async function forget(site: Site, which: Keeping): Promise<void> {
  const path = keptPath(site, which);
  if (!(await site.disk.look(path))) return;
  await site.disk.remove(path);
  await site.disk.sync(dirname(path));
}
