import type { StackSpecification } from "../../config/specification.js";
import { auditLog, type Places } from "../places.js";
import { recorded, type AuditLog } from "../../custody/audit/log.js";
import type { AskPassphrase } from "../../custody/identityFile.js";
import type { AuditAction } from "../../formats/audit.js";
import { specification } from "../nodes.js";
import type { Hosts } from "./hosts.js";

/** What rotations work with: a test has others. */
export interface Means {
  readonly places: Places;
  readonly say: (line: string) => void;
  readonly now: () => Date;
  /** Shows what would change, and asks. */
  readonly agree: (preview: string) => Promise<boolean>;
  /** Asks for the passphrase of the environment's identity. */
  readonly ask: AskPassphrase;
  /** Asks for the passphrase of the wallet identity that goes. */
  readonly askOld: AskPassphrase;
  /** Asks for the passphrase of an identity that is made. */
  readonly askNew: AskPassphrase;
  /** Asks for the passphrase of the identity that is to follow. */
  readonly askFresh: AskPassphrase;
  /** Brings the hosts to what stands in the stack file and the records. */
  readonly update: () => Promise<void>;
  readonly hosts: Hosts;
}

/** The stack as it stands in its files now. */
export const stackNow = ({ places }: Means): StackSpecification => specification(places);

const logOf = ({ places }: Means): AuditLog => auditLog(places);

/** Does a rotation, or the rest of one, with its lines in the audit log. */
export const audited = <T>(means: Means, action: AuditAction, subject: string, work: () => Promise<T>): Promise<T> => recorded(logOf(means), { action, subject }, work);

/** @throws when the operator says no */
export async function requireAgreement(means: Means, preview: string): Promise<void> {
  if (!await means.agree(preview)) throw new Error("Nothing was changed. Agree when asked, or give --yes.");
}
