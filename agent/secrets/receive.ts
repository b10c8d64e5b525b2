import { z } from "zod";
import type { Bundle } from "../../formats/bundle.js";
import type { Delivery } from "../../formats/step.js";
import { parseFormat } from "../../formats/versioned.js";
import { compare, installBundle, requireOwners } from "./install.js";
import { readInstalled } from "./installed.js";
import { secretsLock } from "./leftovers.js";
import { withLock } from "../lock.js";
import { restartNoted } from "./restart.js";
import { openBundle } from "./sealed.js";
import { thisHost, type Site } from "../site.js";

const inputSchema = z.strictObject({
  /** Armoured age file for this host. */
  sealed: z.string().startsWith("-----BEGIN AGE ENCRYPTED FILE-----"),
  /** Whether a bundle may be older than the host's last one: after the stack's state was restored from a copy. */
  allowOlder: z.boolean(),
});

/**
 * Takes a sealed bundle. A system that runs gets its files at once and its consumers restarted; otherwise the bundle waits, sealed, for the system.
 *
 * @param input JSON: `{ sealed, allowOlder }`
 * @returns the files that changed (or will), and the units that were restarted where they ran
 * @throws on a bundle for another host or place, on one older than the last, on an owner that does not exist
 */
export async function receive(input: string, site: Site = thisHost): Promise<Delivery> {
  const { sealed, allowOlder } = parseFormat(inputSchema, "what receive was asked", input);
  return withLock(secretsLock(site), { purpose: "a delivery of secrets", wait: 30_000 }, async () => {
    const bundle = await openBundle(site, sealed);
    if (!allowOlder) await refuseOlder(site, bundle);
    const target = await secretsTarget(site);
    if (target === "absent") {
      const { changed } = await compare(site, bundle);
      await store(site, sealed);
      return { version: bundle.version, changed: [...changed], restarted: [] };
    }
    await requireOwners(site, bundle);
    await store(site, sealed);
    const { changed } = await installBundle(site, bundle);
    const restarted = await restartNoted(site, "wait");
    if (target === "down") await site.run(["systemctl", "start", "--no-block", "--", site.layout.secretsTarget], { deadline: 30_000 });
    return { version: bundle.version, changed: [...changed], restarted };
  });
}

/** Installs the bundle that the host keeps: what holdfast-secrets.service does before nix-bitcoin-secrets.target. */
export async function installSecrets(_input: string, site: Site = thisHost): Promise<Delivery> {
  return withLock(secretsLock(site), { purpose: "the installation of the stored secrets", wait: 60_000 }, async () => {
    const sealed = await site.disk.readText(site.layout.bundle);
    if (sealed === undefined) throw new Error(`this host has received no secrets yet (${site.layout.bundle} does not exist). Run the update of the stack: its delivery step sends them.`);
    const bundle = await openBundle(site, sealed);
    const { changed } = await installBundle(site, bundle);
    return { version: bundle.version, changed: [...changed], restarted: await restartNoted(site, "queue") };
  });
}

async function refuseOlder(site: Site, bundle: Bundle): Promise<void> {
  const stored = await site.disk.readText(site.layout.bundle);
  const last = stored === undefined ? (await readInstalled(site))?.version : (await openBundle(site, stored)).version;
  if (last !== undefined && bundle.version < last) {
    throw new Error(
      `the bundle of secrets is refused: it was sealed ${new Date(bundle.version).toISOString()}, and this host has one of ${new Date(last).toISOString()}. ` +
        "Is the stack's state an old copy? If it is right all the same, deliver it with allowOlder.",
    );
  }
}

async function store({ disk, layout }: Site, sealed: string): Promise<void> {
  const former = await disk.readText(layout.bundle);
  if (former === sealed) return;
  if (former !== undefined) await disk.writeWhole(layout.bundle.replace(/\.age$/, ".previous.age"), former, 0o600);
  await disk.writeWhole(layout.bundle, sealed, 0o600);
}

/** `absent`: no system that knows of secrets runs. `down`: one runs, and failed to install them. */
async function secretsTarget(site: Site): Promise<"active" | "down" | "absent"> {
  const shown = await site.run(["systemctl", "show", "--property=LoadState", "--property=ActiveState", site.layout.secretsTarget], { deadline: 30_000 });
  if (shown.includes("ActiveState=active")) return "active";
  return shown.includes("LoadState=loaded") ? "down" : "absent";
}
