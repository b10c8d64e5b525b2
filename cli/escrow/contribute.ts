import { existsSync } from "node:fs";
import { join } from "node:path";
import { recorded } from "../../custody/audit/log.js";
import { shareIn } from "../../custody/escrow/sealedShare.js";
import type { AskPassphrase } from "../../custody/identityFile.js";
import { brief, kindOf } from "../../custody/recipients.js";
import { sealText } from "../../custody/seal.js";
import type { Share } from "../../formats/share.js";
import { auditLog } from "../places.js";
import { contentOf } from "./facts.js";
import { opener, spoken } from "./shares.js";

/** What a trustee answers with. */
export interface Contribution {
  readonly trustee: string;
  readonly environment: string;
  /** The share, sealed for the one-time recipient. */
  readonly sealed: string;
  /** Whether it left a line in an audit log: a trustee has one only where the project is. */
  readonly recorded: boolean;
  /** What the trustee compares with who asks. */
  readonly spoken: string;
}

/**
 * Seals a trustee's share for whoever recovers. In clear it is in this process's memory alone.
 *
 * @param project where its audit log is, when the trustee has the project
 * @throws when the share does not open, or the recipient would weaken it
 */
export async function contribute(project: string | undefined, { share: file, identity, recipient, ask }: {
  readonly share: string;
  readonly identity: string;
  readonly recipient: string;
  readonly ask: AskPassphrase;
}): Promise<Contribution> {
  const share = await shareIn(file, contentOf(file), [opener(identity, ask)]);
  const { trustee, environment } = share;
  if (share.kind === "hybrid" && kindOf(recipient) === "classical") {
    throw new Error(`The share is of a post-quantum identity, and ${brief(recipient)} is a classical recipient: sealed for it, the share is as weak as that. Ask for a one-time recipient of \`holdfast escrow request\`, which is of the right kind.`);
  }
  const places = project !== undefined && existsSync(join(project, `Pulumi.${environment}.yaml`)) ? { project, environment } : undefined;
  const seal = (): Promise<string> => sealText(printed(share), recipient);
  const sealed = places === undefined ? await seal() : await recorded(auditLog(places), { action: "escrow-contributed", subject: trustee, note: `for ${brief(recipient)}` }, seal);
  return { trustee, environment, sealed, recorded: places !== undefined, spoken: spoken(recipient) };
}

const printed = (share: Share): string => JSON.stringify(share);
