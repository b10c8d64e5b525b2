import { admissionSchema } from "../../formats/identity.js";
import type { Place } from "../../formats/place.js";
import { printFormat } from "../../formats/versioned.js";
import type { Kept, WalletReply, WalletRequest } from "../../formats/walletSocket.js";
import { recorded } from "../audit/log.js";
import { brief } from "../recipients.js";
import { sealText } from "../seal.js";
import { admissionOf } from "./open.js";

/** Answers for an unlocked wallet. */
export type Keeper = (request: WalletRequest) => Promise<WalletReply>;

/**
 * What answers for identities that are held in memory: it seals a node's for one host, and says so in the audit log first.
 *
 * For each host of a node the first recipient counts. Somebody else who asks in its name is refused.
 */
export function keeperOf(kept: Kept): Keeper {
  const { environment, network, until, nodes, audit } = kept;
  const recipients = new Map<string, string>();
  const holder = { format: "holdfast-wallet/1" as const, environment, network, until, nodes: nodes.map(({ seed }) => seed.node) };

  const reseal = async (place: Place, recipient: string): Promise<string> => {
    if (place.environment !== environment || place.network !== network) {
      throw new Error(`This wallet is unlocked for ${environment} on ${network}, and ${place.environment}/${place.node} is on ${place.network}. Unlock the right one: eval "$(holdfast wallet unlock -s ${place.environment})"`);
    }
    const node = nodes.find(({ seed }) => seed.node === place.node);
    if (node === undefined) throw new Error(`This wallet was unlocked when ${environment} had no node ${place.node}. Unlock it anew: eval "$(holdfast wallet unlock -s ${environment})"`);
    const host = `${place.node} ${place.generation}`;
    const first = recipients.get(host);
    if (first !== undefined && first !== recipient) {
      throw new Error(`The identities of ${place.node} were sealed for ${brief(first)} as its generation ${place.generation} before, and now ${brief(recipient)} asks for them. Somebody else may be asking: look at \`holdfast audit show\`. If it is truly another host, raise its generation, or unlock the wallet anew.`);
    }
    recipients.set(host, recipient);
    return sealText(printFormat(admissionSchema, admissionOf(node, place, new Date())), recipient);
  };

  return async (request) => {
    if (request.ask !== "reseal") return holder;
    const { place, recipient } = request;
    const deed = { action: "identity-resealed" as const, subject: `${place.node} generation ${place.generation}`, note: `for ${brief(recipient)}` };
    try {
      return { ...holder, sealed: await recorded(audit, deed, () => reseal(place, recipient)) };
    } catch (error) {
      return { ...holder, error: (error as Error).message };
    }
  };
}
