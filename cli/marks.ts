import type { OutputMap } from "@pulumi/pulumi/automation/index.js";
import type { NodeSummary } from "../components/node.js";
import type { StackSpecification } from "../config/specification.js";
import { tunnelMade } from "../config/tunnelMarks.js";
import { readMarks, writeMarks } from "../custody/records.js";
import { recordsFolder, type Places } from "./places.js";

/** Notes in marks.json, after an update, which WireGuard key each node has: the next preview holds the state against it. Writes nothing when nothing is new. */
export function noteMarks(places: Places, stack: Pick<StackSpecification, "nodes">, outputs: OutputMap, now: Date = new Date()): void {
  const summaries = (outputs["nodes"]?.value ?? {}) as Readonly<Record<string, NodeSummary | undefined>>;
  const records = recordsFolder(places);
  const marks = readMarks(records);
  const found = stack.nodes.flatMap(({ id, name }) => {
    const key = summaries[name]?.tunnel?.publicKey;
    return key === undefined || marks.tunnels[id] === key ? [] : [[id, key] as const];
  });
  if (found.length === 0) return;
  writeMarks(records, {
    ...marks,
    tunnels: { ...marks.tunnels, ...Object.fromEntries(found) },
    made: { ...marks.made, ...Object.fromEntries(found.map(([id]) => [tunnelMade(id), now.toISOString()])) },
  });
}

/** Forgets the nodes' keys of a stack whose state was destroyed on purpose: what is raised next has others. */
export function forgetTunnels(places: Places): void {
  const records = recordsFolder(places);
  const marks = readMarks(records);
  const made = Object.fromEntries(Object.entries(marks.made).filter(([key]) => !Object.keys(marks.tunnels).some((id) => tunnelMade(id) === key)));
  if (Object.keys(marks.tunnels).length > 0) writeMarks(records, { ...marks, tunnels: {}, made });
}
