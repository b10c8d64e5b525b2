import type { AuditLine } from "../../formats/audit.js";

/**
 * The deeds that were begun and have no later line: cut short, or still under way.
 *
 * A later end belongs to the last beginning of the same deed: whoever was cut short and began again has one that is unfinished.
 */
export function unfinished(lines: readonly AuditLine[]): AuditLine[] {
  const open = new Map<string, AuditLine[]>();
  for (const line of lines) {
    const key = JSON.stringify([line.environment, line.action, line.subject]);
    const begun = open.get(key) ?? [];
    if (line.outcome === "begun") open.set(key, [...begun, line]);
    else begun.pop();
  }
  return [...open.values()].flat().sort((one, other) => one.sequence - other.sequence);
}
