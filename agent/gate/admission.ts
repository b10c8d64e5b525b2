import { armor, Decrypter } from "age-encryption";
import { readFile } from "node:fs/promises";
import { admissionSchema, type Admission } from "../../formats/identity.js";
import { placeDifference } from "../../formats/place.js";
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
  return admission;
}

/** The bundle that waits in memory, opened, or undefined when there is none. */
export async function waitingAdmission(host: GateHost, settings: Settings): Promise<Admission | undefined> {
  const sealed = await readIfThere(host.paths.admission);
  return sealed === undefined ? undefined : openAdmission(host, settings, sealed);
}

async function openSealed(host: GateHost, sealed: string): Promise<string> {
  const identity = (await readFile(host.paths.identity, "utf8")).split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-"))?.trim();
  if (identity === undefined) throw new AdmissionRefusal(`${host.paths.identity} holds no age identity: the host was never contacted.`);
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
