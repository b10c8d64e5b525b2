import { join } from "node:path";
import { recorded } from "../../custody/audit/log.js";
import { openerOf } from "../../custody/identityFile.js";
import { brief } from "../../custody/recipients.js";
import { recordFiles } from "../../custody/records.js";
import { sealText } from "../../custody/seal.js";
import { admissionOf, openIdentities } from "../../custody/wallet/open.js";
import { askWallet, WalletGone } from "../../custody/wallet/socket.js";
import { admissionSchema, type FileIdentity, type IdentityFile } from "../../formats/identity.js";
import type { Place } from "../../formats/place.js";
import { printFormat } from "../../formats/versioned.js";

/** A node's identities as the stack holds them, the host that wants them, and what here may open them. */
export interface Wanted {
  readonly place: Place;
  readonly identity: IdentityFile;
  readonly identities: readonly FileIdentity[];
  /** The host's own. */
  readonly recipient: string;
  /** The wallet identity in clear, of worthless coins. */
  readonly walletIdentityFile?: string | undefined;
  /** The folder of the environment's records. */
  readonly records: string;
}

/**
 * A node's identities, sealed for its host alone: by the unlocked wallet that HOLDFAST_WALLET_SOCK names, or by the stack's own wallet identity.
 *
 * @param socket HOLDFAST_WALLET_SOCK
 * @throws when there is neither, or what there is refuses
 */
export async function admissionFor(wanted: Wanted, socket: string | undefined): Promise<string> {
  const { place, recipient, walletIdentityFile } = wanted;
  const file = walletIdentityFile === undefined ? undefined : () => byFile(wanted, walletIdentityFile);
  if (socket === undefined || socket === "") {
    if (file !== undefined) return file();
    throw new Error(`${place.node} needs its identities, and nothing here opens them: ${place.environment}'s wallet is locked. ${remedy(place)}`);
  }
  let reply;
  try {
    reply = await askWallet(socket, { format: "holdfast-wallet/1", ask: "reseal", place, recipient });
  } catch (error) {
    if (!(error instanceof WalletGone)) throw error;
    if (file !== undefined) return file();
    throw new Error(`${place.node} needs its identities, and the wallet that was unlocked in this shell is locked again. ${remedy(place)}`);
  }
  if (reply.sealed !== undefined) return reply.sealed;
  // A wallet of another environment may be unlocked in the same shell.
  if (file !== undefined && (reply.environment !== place.environment || reply.network !== place.network)) return file();
  throw new Error(reply.error ?? "The unlocked wallet gave no answer.");
}

const remedy = ({ environment }: Place): string => `Run  eval "$(holdfast wallet unlock -s ${environment})"  in this shell, then this again: it goes on from where it stopped.`;

/** In clear the identities exist in this process's memory alone. */
async function byFile({ place, identity, identities, recipient, records }: Wanted, walletIdentityFile: string): Promise<string> {
  const open = await openerOf(walletIdentityFile, () => Promise.reject(new Error(`holdfast:wallet.identityFile of ${place.environment} has a passphrase, which nobody can be asked for here. Remove that setting. ${remedy(place)}`)));
  const deed = { action: "identity-resealed" as const, subject: `${place.node} generation ${place.generation}`, note: `for ${brief(recipient)}` };
  return recorded({ file: join(records, recordFiles.audit), environment: place.environment }, deed, async () =>
    sealText(printFormat(admissionSchema, admissionOf(await openIdentities(identity, identities, open), place, new Date())), recipient));
}
