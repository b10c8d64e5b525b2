import { armor, Decrypter } from "age-encryption";
import { readFile } from "node:fs/promises";
import { isAgeIdentity } from "../../formats/ageIdentity.js";
import { admissionSchema, type Admission, type FileIdentityKind } from "../../formats/identity.js";
import { placeDifference } from "../../formats/place.js";
import { NoIdentity, publicIdentityOf } from "../../formats/publicIdentity.js";
import type { Settings } from "../../formats/settings.js";
import { parseFormat } from "../../formats/versioned.js";
import { readIfThere } from "../files.js";
import type { GateHost } from "./host.js";

/** A one-use bundle that this host does not take. */
export class AdmissionRefusal extends Error {}

/**
 * Opens a one-use bundle with the host's own identity and checks that it is meant for this host and for the node that the stack names.
 *
 * @throws AdmissionRefusal, which never quotes what is inside
 */
export async function openAdmission(host: GateHost, settings: Settings, sealed: string): Promise<Admission> {
  const admission = parseAdmission(await openSealed(host, sealed));
  const difference = placeDifference(admission.place, settings.place);
  if (difference !== undefined) throw new AdmissionRefusal(`This one-use bundle is sealed for ${difference}. Seal the node's seed for this host: run the deployment again.`);
  if (admission.nodePublicKey !== settings.lightning.nodePublicKey)
    throw new AdmissionRefusal(`This one-use bundle holds the seed of node ${admission.nodePublicKey}, and the settings name ${settings.lightning.nodePublicKey}. Correct the one that is wrong; nothing was made.`);
  for (const { kind, name, publicIdentity, secret } of admission.files) {
    const found = publicIdentityIn(kind, name, Buffer.from(secret, "base64"));
    if (found !== publicIdentity) throw new AdmissionRefusal(`This one-use bundle calls its ${kind} ${name} ${publicIdentity}, and it is ${found}. Nothing was placed: make the identity file again.`);
    const named = settings.identities.find((one) => one.kind === kind && one.name === name);
    if (named !== undefined && named.publicIdentity !== publicIdentity)
      throw new AdmissionRefusal(`This one-use bundle holds ${kind} ${name} with the public identity ${publicIdentity}, and the settings name ${named.publicIdentity}. Correct the one that is wrong; nothing was placed.`);
  }
  return admission;
}

function publicIdentityIn(kind: FileIdentityKind, name: string, secret: Uint8Array): string {
  try {
    return publicIdentityOf(kind, secret);
  } catch (error) {
    if (error instanceof NoIdentity) throw new AdmissionRefusal(`This one-use bundle's ${kind} ${name} is none. ${error.message}`);
    throw error;
  }
}

/** Identities that the settings name and a one-use bundle does not hold, for people: "onion-key main, nsec main". */
export const lackingIn = (admission: Admission, { identities }: Pick<Settings, "identities">): string =>
  identities.filter(({ kind, name }) => !admission.files.some((file) => file.kind === kind && file.name === name)).map(({ kind, name }) => `${kind} ${name}`).join(", ");

/** The bundle that waits in memory, opened; undefined when there is none, or one from before the settings named another identity. */
export async function waitingAdmission(host: GateHost, settings: Settings): Promise<Admission | undefined> {
  const sealed = await readIfThere(host.paths.admission);
  const admission = sealed === undefined ? undefined : await openAdmission(host, settings, sealed);
  return admission !== undefined && lackingIn(admission, settings) === "" ? admission : undefined;
}

async function openSealed(host: GateHost, sealed: string): Promise<string> {
  const identity = (await readFile(host.paths.identity, "utf8")).split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-"))?.trim();
  if (identity === undefined || !isAgeIdentity(identity)) throw new AdmissionRefusal(`${host.paths.identity} holds no age identity: the host was never contacted, or its file is damaged.`);
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  try {
    return await decrypter.decrypt(armor.decode(sealed), "text");
  } catch {
    throw new AdmissionRefusal("This one-use bundle is not sealed for this host's identity, or was damaged on the way. Run the deployment again: it seals the seed for the host that answers now.");
  }
}

function parseAdmission(text: string): Admission {
  try {
    return parseFormat(admissionSchema, "the one-use bundle", text);
  } catch (error) {
    throw new AdmissionRefusal((error as Error).message);
  }
}
