import type { Backend } from "../backend.js";
import { runningOn, serverRef } from "./actions.js";
import type { Holder } from "./runner.js";
import type { Server } from "./world.js";

/** In milliseconds: how long what was seen counts. */
const FRESH = 500;
/** In milliseconds: a backend that is slower is not waited for. */
const PATIENCE = 3_000;

/**
 * Looks at the machines before anybody is told about them: one that was shut down from inside is off, one that vanished is unknown.
 * A server that an action is changing is left to that action.
 */
export function lookAgain(holder: Holder, backend: Backend): (project: string) => Promise<void> {
  const seen = new Map<string, number>();
  const settled = (project: string): Server[] => (holder.get().projects[project]?.servers ?? [])
    .filter((server) => server.exists && !server.neverBoots && runningOn(holder.get(), serverRef(server.id)).every(({ hidden }) => hidden));
  return async (project) => {
    if (Date.now() - (seen.get(project) ?? 0) < FRESH) return;
    seen.set(project, Date.now());
    const looked = await Promise.race([
      Promise.all(settled(project).map(async ({ id }) => [id, await backend.state(id).catch(() => undefined)] as const)),
      new Promise<[]>((done) => setTimeout(() => done([]), PATIENCE).unref()),
    ]);
    const actual = new Map(looked.flatMap(([id, state]) => (state === undefined ? [] : [[id, state === "absent" ? "unknown" as const : state]] as const)));
    const changed = settled(project).filter(({ id, status }) => actual.has(id) && actual.get(id) !== status);
    if (changed.length === 0) return;
    const state = structuredClone(holder.get());
    for (const server of state.projects[project]!.servers) if (changed.some(({ id }) => id === server.id)) server.status = actual.get(server.id)!;
    holder.set(state);
  };
}
