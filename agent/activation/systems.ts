import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import type { Site } from "../site.js";

/** A system's own path in the Nix store. */
export const toplevelSchema = z.string().regex(/^\/nix\/store\/[0-9a-z]{32}-[A-Za-z0-9+._?=-]+$/, "wants the path of a system in the Nix store");

/** The system that runs, as far as there is one. */
export function currentSystem(site: Site): Promise<string | undefined> {
  return storeTarget(site, site.layout.currentSystem);
}

/** The system that boots, as far as there is one. */
export function bootSystem(site: Site): Promise<string | undefined> {
  return storeTarget(site, site.layout.systemProfile);
}

/** The system that a bare host goes back to, as far as a system brings one: its link `base`. */
export function baseOf(site: Site, toplevel: string): Promise<string | undefined> {
  return storeTarget(site, join(site.root, toplevel, "base"));
}

/** @throws when a system is not in this host's store */
export async function requireSystem(site: Site, toplevel: string): Promise<void> {
  if ((await site.disk.look(join(site.root, toplevel))) === undefined) throw new Error(`${toplevel} is not on this host. Let the install step copy or build it first.`);
}

/** Follows links, as far as the store: a profile names its generation, and that one a system. */
async function storeTarget(site: Site, link: string): Promise<string | undefined> {
  let path = link;
  for (let hops = 0; hops < 8; hops++) {
    if ((await site.disk.look(path))?.kind !== "link") return undefined;
    const target = resolve(dirname(path), await site.disk.readLink(path));
    if (toplevelSchema.safeParse(target).success) return target;
    path = target;
  }
  throw new Error(`${link} is a link that leads nowhere: no system in the Nix store after 8 links.`);
}
