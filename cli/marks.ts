import { isDeepStrictEqual } from "node:util";
import type { OutputMap } from "@pulumi/pulumi/automation/index.js";
import type { NodeSummary } from "../components/node.js";
import type { StackSpecification } from "../config/specification.js";
import { tunnelMade } from "../config/stateMarks.js";
import { readMarks, writeMarks } from "../custody/records.js";
import type { Marks } from "../formats/records.js";
import { recordsFolder, type Places } from "./places.js";

/** Notes in marks.json, after an update, the mark of each node's state and which WireGuard key it has, if any: the next preview holds the state against them. Writes nothing when nothing is new. */
export function noteMarks(places: Places, stack: Pick<StackSpecification, "nodes">, outputs: OutputMap, now: Date = new Date()): void {
  const summaries = (outputs["nodes"]?.value ?? {}) as Readonly<Record<string, NodeSummary | undefined>>;
  const records = recordsFolder(places);
  const marks = readMarks(records);
  const tunnels = { ...marks.tunnels };
  const states = { ...marks.states };
  const made = { ...marks.made };
  for (const { id, name, tunnel } of stack.nodes) {
    const { tunnel: { publicKey } = {}, stateMark } = summaries[name] ?? {};
    const isNewKey = publicKey !== undefined && tunnels[id] !== publicKey;
    if (isNewKey || (publicKey === undefined && stateMark !== undefined && states[id] === undefined)) made[tunnelMade(id)] = now.toISOString();
    if (publicKey !== undefined) tunnels[id] = publicKey;
    // Its tunnel was taken away, and the key with it.
    else if (stateMark !== undefined && tunnel === undefined) delete tunnels[id];
    if (stateMark !== undefined) states[id] = stateMark;
  }
  const noted: Marks = { ...marks, tunnels, ...(Object.keys(states).length > 0 && { states }), made };
  if (!isDeepStrictEqual(noted, marks)) writeMarks(records, noted);
}

/** The ids of the nodes that an update has noted. */
export const notedNodes = ({ tunnels, states = {} }: Marks): string[] => [...new Set([...Object.keys(tunnels), ...Object.keys(states)])];

/** Forgets the nodes' marks and keys of a stack whose state was destroyed on purpose: what is raised next has others. */
export function forgetNodes(places: Places): void {
  const records = recordsFolder(places);
  const marks = readMarks(records);
  const { states: _, ...others } = marks;
  const noted = notedNodes(marks);
  const made = Object.fromEntries(Object.entries(marks.made).filter(([key]) => !noted.some((id) => tunnelMade(id) === key)));
  if (noted.length > 0) writeMarks(records, { ...others, tunnels: {}, made });
}
