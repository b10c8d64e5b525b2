import type { Finding } from "./refusal.js";
import { overlap } from "./text.js";

/** What no two environments, and no two places in one, may share. */
export type MarkKind = "recipient" | "host-key" | "passphrase" | "tunnel-key" | "state" | "tunnel-range";

/** One such thing, as it can be seen without unlocking anything. */
export interface Mark {
  readonly kind: MarkKind;
  /** Where it stands: a path in the stack's configuration, or in its records. */
  readonly path: string;
  /** A recipient; an SSH host key without its comment; a passphrase's fingerprint; a WireGuard public key; a state's mark; an IPv4 network. */
  readonly value: string;
}

/** What of an environment is public and must be its own. */
export interface EnvironmentMarks {
  readonly environment: string;
  readonly marks: readonly Mark[];
  /** Why something of it could not be read. What cannot be read cannot be compared, and so it is refused. */
  readonly faults: readonly Finding[];
}

const REMEDIES: Readonly<Record<MarkKind, string>> = {
  recipient: "wants one of its own (`holdfast env create` and `age-keygen` make one)",
  "host-key": "wants one of its own (on a host that was copied: remove /etc/ssh/ssh_host_*, run `ssh-keygen -A`, and put the new key here)",
  passphrase: "wants one of its own (`holdfast env create` makes one for each environment)",
  "tunnel-key": "wants one of its own (was the state of one stack imported into the other? `holdfast state restore` brings the right one back)",
  state: "wants one of its own (was the state of one stack imported into the other? `holdfast state restore` brings the right one back)",
  "tunnel-range": "wants a range of its own, for somebody may be a peer of both (set tunnel.network of one of them, such as 10.12.0.0/24)",
};

const same = (left: Mark, right: Mark): boolean =>
  left.kind === right.kind && (left.kind === "tunnel-range" ? overlap(left.value, right.value) : left.value === right.value);

/**
 * Refuses what two environments share, and what one environment uses twice.
 *
 * @param own the environment that is being brought up
 * @param others every other stack of the project
 */
export function sharedMarks(own: EnvironmentMarks, others: readonly EnvironmentMarks[]): Finding[] {
  const findings = [...own.faults, ...others.flatMap(({ faults }) => faults)];
  for (const [index, mark] of own.marks.entries()) {
    const refuse = (owner: string): void => void findings.push({ path: mark.path, found: JSON.stringify(mark.value), wanted: `${mark.kind === "tunnel-range" ? "overlaps" : "belongs to"} ${owner} already; ${REMEDIES[mark.kind]}` });
    const twice = own.marks.slice(0, index).find((one) => same(one, mark));
    if (twice !== undefined) refuse(named(twice, mark));
    for (const other of others) for (const one of other.marks.filter((theirs) => same(theirs, mark))) refuse(`environment ${other.environment} (its ${named(one, mark)})`);
  }
  return findings;
}

const named = (owner: Mark, mark: Mark): string => (owner.value === mark.value ? owner.path : `${owner.path}, ${owner.value}`);

/**
 * Refuses a passphrase that is in force and is not this environment's.
 *
 * @param inForce its fingerprint (custody/fingerprint.ts)
 */
export function passphraseFindings(own: EnvironmentMarks, others: readonly EnvironmentMarks[], inForce: string): Finding[] {
  const wanted = `wants that of ${own.environment}: eval "$(holdfast env unlock ${own.environment})". If Pulumi has just written an encryptionsalt for it into Pulumi.${own.environment}.yaml, and nothing was deployed yet, remove that line too`;
  const refuse = (found: string): Finding[] => [{ path: "PULUMI_CONFIG_PASSPHRASE", found, wanted }];
  const owner = others.find((other) => other.marks.some(({ kind, value }) => kind === "passphrase" && value === inForce));
  if (owner !== undefined) return refuse(`the passphrase of environment ${owner.environment}`);
  const mark = own.marks.find(({ kind }) => kind === "passphrase");
  return mark === undefined || mark.value === inForce ? [] : refuse(`a passphrase with another fingerprint than the one in ${mark.path}`);
}
