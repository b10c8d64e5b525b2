import { armor, Decrypter, identityToRecipient } from "age-encryption";
import { isAgeIdentity } from "../../formats/ageIdentity.js";
import { bundleSchema, type Bundle } from "../../formats/bundle.js";
import { placeDifference, placeSchema, type Place } from "../../formats/place.js";
import { parseFormat } from "../../formats/versioned.js";
import type { Site } from "../site.js";

/** The host's age identity, or undefined before first contact. */
export async function readIdentity(site: Site): Promise<string | undefined> {
  const identity = (await site.disk.readText(site.layout.identity))?.trim();
  if (identity === undefined) return undefined;
  if (!isAgeIdentity(identity)) throw new Error(`${site.layout.identity} holds no age identity. Raise the node's generation and make a new host.`);
  return identity;
}

/** The place that this host took at first contact, or undefined before. */
export async function readPlace(site: Site): Promise<Place | undefined> {
  const text = await site.disk.readText(site.layout.place);
  return text === undefined ? undefined : parseFormat(placeSchema, site.layout.place, text);
}

/**
 * Opens what was sealed for this host: an armoured age file whose plaintext is one of our formats.
 *
 * @param what it is, in words: "the bundle"
 * @throws when the host had no first contact, or the file is sealed for another recipient, or is damaged
 */
export async function openSealed(site: Site, what: string, sealed: string): Promise<string> {
  const identity = await readIdentity(site);
  if (identity === undefined) throw new Error(`${what} cannot be opened: this host has no age identity yet. The contact step comes first.`);
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  try {
    return await decrypter.decrypt(armor.decode(sealed), "text");
  } catch (error) {
    throw new Error(`${what} cannot be opened: it is damaged, or sealed for another host than ${await identityToRecipient(identity)} (${(error as Error).message}). Let the contact step run again and seal it anew.`, { cause: error });
  }
}

/** Opens a bundle of secrets that is meant for this place, and no other. */
export async function openBundle(site: Site, sealed: string): Promise<Bundle> {
  const bundle = parseFormat(bundleSchema, "the bundle of secrets", await openSealed(site, "the bundle of secrets", sealed));
  await requirePlace(site, "the bundle of secrets", bundle.place);
  const twice = bundle.files.find((file, index) => bundle.files.findIndex((other) => other.name === file.name) !== index);
  if (twice) throw new Error(`the bundle of secrets names ${twice.name} twice.`);
  return bundle;
}

/** @throws when a thing is meant for another place than the one this host took at first contact */
export async function requirePlace(site: Site, what: string, meant: Place): Promise<void> {
  const found = await readPlace(site);
  if (found === undefined) throw new Error(`${what} is refused: this host does not know its place yet. The contact step comes first.`);
  const difference = placeDifference(meant, found);
  if (difference) throw new Error(`${what} is refused: it is meant for ${difference}. Send each node's secrets to its own host.`);
}
