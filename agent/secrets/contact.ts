import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { dirname, join } from "node:path";
import { z } from "zod";
import { placeDifference, placeSchema, type Place } from "../../formats/place.js";
import type { Contact } from "../../formats/step.js";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { removeLeftovers, secretsLock } from "./leftovers.js";
import { withLock } from "../lock.js";
import { readIdentity, readPlace } from "./sealed.js";
import { thisHost, type Site } from "../site.js";

const inputSchema = z.strictObject({ place: placeSchema });

/**
 * Tells who this host is. At first contact it makes the host's age identity, of which only the recipient ever leaves it, and takes its place.
 *
 * @param input JSON: `{ place }`
 * @throws when the host has another place already
 */
export async function contact(input: string, site: Site = thisHost): Promise<Contact> {
  const { place } = parseFormat(inputSchema, "what contact was asked", input);
  return withLock(secretsLock(site), { purpose: "a first contact or delivery", wait: 30_000 }, async () => {
    await removeLeftovers(site);
    const found = await readPlace(site);
    if (found) refuseOther(place, found);
    const identity = (await readIdentity(site)) ?? (await makeIdentity(site, found));
    if (!found) await writeOnce(site, site.layout.place, printFormat(placeSchema, place), 0o644);
    return { recipient: await identityToRecipient(identity), machineId: (await site.disk.read(join(site.root, "etc/machine-id"))).toString("utf8").trim() };
  });
}

function refuseOther(meant: Place, found: Place): void {
  const difference = placeDifference(meant, found);
  if (difference) {
    throw new Error(
      `this host is node ${found.node} of ${found.environment} (${found.network}, generation ${found.generation}) since its first contact, and it is addressed as ${difference}. ` +
        "Correct the address or the generation in the stack's configuration; a host never changes its place: for another place make a new one.",
    );
  }
}

async function makeIdentity(site: Site, found: Place | undefined): Promise<string> {
  if (found) throw new Error(`${site.layout.identity} is lost, and this host is ${found.node} already: nothing sealed for it can be opened any more. Raise the node's generation and make a new host.`);
  await writeOnce(site, site.layout.identity, `${await generateX25519Identity()}\n`, 0o600);
  return (await readIdentity(site))!;
}

/** Makes a file as a whole, and fails rather than replace one. */
async function writeOnce(site: Site, path: string, content: string, mode: number): Promise<void> {
  const fresh = `${path}.fresh`;
  await site.disk.makeFolder(dirname(path), 0o700);
  await site.disk.writeWhole(fresh, content, mode);
  await site.disk.link(fresh, path);
  await site.disk.remove(fresh);
  await site.disk.sync(dirname(path));
}
