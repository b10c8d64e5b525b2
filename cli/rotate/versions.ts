import type { SecretVersion, Versions } from "../../formats/records.js";

const entryOf = (versions: Versions, node: string, id: string): SecretVersion | undefined => versions.nodes[node]?.[id];

/** The version in force of a secret on a node. */
export const versionOf = (versions: Versions, node: string, id: string): number => entryOf(versions, node, id)?.version ?? 1;

function change(versions: Versions, node: string, id: string, entry: SecretVersion | undefined): Versions {
  const { [id]: _, ...others } = versions.nodes[node] ?? {};
  const entries = entry === undefined ? others : { ...others, [id]: entry };
  const { [node]: __, ...nodes } = versions.nodes;
  return { ...versions, nodes: Object.keys(entries).length === 0 ? nodes : { ...nodes, [node]: entries } };
}

/** Puts a version in force. One that is in force already keeps its time: a rotation that goes on is no second one. */
export function raised(versions: Versions, node: string, id: string, version: number, now: Date): Versions {
  const entry = entryOf(versions, node, id);
  if (entry !== undefined && entry.version >= version && entry.candidate === undefined) return versions;
  return change(versions, node, id, { version: Math.max(version, entry?.version ?? 1), rotated: now.toISOString() });
}

/** Has a version accepted beside the one in force. */
export function proposed(versions: Versions, node: string, id: string, candidate: number, now: Date): Versions {
  const entry = entryOf(versions, node, id) ?? { version: 1, rotated: now.toISOString() };
  return entry.candidate === candidate ? versions : change(versions, node, id, { ...entry, candidate });
}

/** Takes the candidate away. A secret that was never rotated has no entry then. */
export function withdrawn(versions: Versions, node: string, id: string): Versions {
  const entry = entryOf(versions, node, id);
  if (entry?.candidate === undefined) return versions;
  const { candidate: _, ...rest } = entry;
  return change(versions, node, id, rest.version === 1 ? undefined : rest);
}
