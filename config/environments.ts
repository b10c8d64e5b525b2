import type { Finding } from "./refusal.js";

/** What of an environment is public and must be its own. */
export interface EnvironmentMarks {
  readonly environment: string;
  /** A recipient or SSH host key, by the path in the stack's configuration at which it stands. */
  readonly marks: Readonly<Record<string, string>>;
}

/**
 * Refuses what two environments share, and what one environment uses twice.
 *
 * @param own the environment that is being brought up
 * @param others every other stack of the project that could be read
 */
export function sharedMarks(own: EnvironmentMarks, others: readonly EnvironmentMarks[]): Finding[] {
  const owners = new Map<string, string>();
  for (const other of others) {
    for (const [path, value] of Object.entries(other.marks)) owners.set(value, `environment ${other.environment} (its ${path})`);
  }
  const findings: Finding[] = [];
  for (const [path, value] of Object.entries(own.marks)) {
    const owner = owners.get(value);
    if (owner !== undefined) findings.push({ path, found: JSON.stringify(value), wanted: `belongs to ${owner} already; wants one of its own` });
    else owners.set(value, path);
  }
  return findings;
}
