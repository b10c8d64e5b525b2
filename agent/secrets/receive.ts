import { z } from "zod";
import type { Bundle } from "../../formats/bundle.js";
import type { Delivery } from "../../formats/step.js";
import { parseFormat } from "../../formats/versioned.js";
import { withLock } from "../lock.js";
import { thisHost, type Site } from "../site.js";
import { compare } from "./install.js";
import { readInstalled } from "./installed.js";
import { keep, kept } from "./kept.js";
import { removeLeftovers, secretsLock } from "./leftovers.js";
import { openBundle } from "./sealed.js";
import { dateOf, noteDelivered, noteRefused, readVersions } from "./versions.js";

const inputSchema = z.strictObject({
  /** Armoured age file for this host. */
  sealed: z.string().startsWith("-----BEGIN AGE ENCRYPTED FILE-----"),
});

/**
 * Takes a sealed bundle and keeps it, still sealed, for the activation that names its version. What is installed stays as it is.
 *
 * @param input JSON: `{ sealed }`
 * @returns the files that will change
 * @throws on a bundle for another host or place, and on one that is older than the newest that this host has had, without the operator's word
 */
export async function receive(input: string, site: Site = thisHost): Promise<Delivery> {
  const { sealed } = parseFormat(inputSchema, "what receive was asked", input);
  return withLock(secretsLock(site), { purpose: "a delivery of secrets", wait: 30_000 }, async () => {
    await removeLeftovers(site);
    const bundle = await openBundle(site, sealed);
    await refuseOlder(site, bundle);
    const committed = await kept(site, "committed");
    if (committed?.sealed !== sealed) await keep(site, "delivered", sealed);
    await noteDelivered(site, bundle.version);
    const { changed } = await compare(site, bundle);
    return { version: bundle.version, changed: [...changed], replaces: committed?.bundle.version ?? null };
  });
}

/** Its generation is the host's own: that is part of the place, which was checked before. */
async function refuseOlder(site: Site, { version, place }: Bundle): Promise<void> {
  const had = [await kept(site, "committed"), await kept(site, "delivered")].flatMap((one) => (one === undefined ? [] : [one.bundle.version]));
  if (had.includes(version)) return;
  const { highest = 0, accepted } = await readVersions(site);
  const last = Math.max(highest, ...(had.length > 0 ? had : [(await readInstalled(site))?.version ?? 0]));
  if (version >= last || (accepted?.version === version && accepted.state === "given")) return;
  await noteRefused(site, version);
  throw new Error(
    `the bundle of secrets is refused: it was sealed ${dateOf(version)}, and this host has had one of ${dateOf(last)}. Is the stack's state an old copy, or was a deployer's clock wrong? ` +
      `Bring back the newest state. If this bundle is right all the same, say so: holdfast accept-older ${place.node}; then run this again.`,
  );
}
