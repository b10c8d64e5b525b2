import { StateRefused } from "./refusal.js";
import type { NodeSpecification, StackSpecification } from "./specification.js";

/** Under what a node's tunnel, or its state where it has none, stands among the times of marks.json. */
export const tunnelMade = (nodeId: string): string => `tunnel-${nodeId}`;

/** What tells a node's state from another one. Public. */
export interface OwnMarks {
  /** Derived from a root that never changes (components/secrets/secrets.ts). */
  readonly state: string;
  /** The node's WireGuard key, where it has a tunnel. */
  readonly tunnelKey?: string;
}

/**
 * Refuses a state that would give a node other keys than it had: all keys come from the state, and a state with another mark, or another WireGuard key, has none of the node's.
 * A node that was never noted passes, and so does one whose WireGuard key was rotated since.
 *
 * @throws StateRefused
 */
export function requireOwnState(stack: StackSpecification, { id, name, versions }: Pick<NodeSpecification, "id" | "name" | "versions">, { state, tunnelKey }: OwnMarks): void {
  const refuse = (found: string, wanted: string): never => {
    throw new StateRefused([{ path: `the state of stack ${stack.environment}`, found: `node ${name} with ${found}`, wanted }]);
  };
  const remedy = `\`holdfast state restore -s ${stack.environment}\` brings its own state back`;
  const ofTunnel = `WireGuard key ${JSON.stringify(tunnelKey)}`;
  const ofState = `the mark ${JSON.stringify(state)}`;
  const lost = (what: string, key: string): string =>
    `${stack.records}/marks.json has ${what} for it: this state was lost or is another's, and would give ${name} other keys; ${remedy}. If ${name} is truly to begin anew, remove ${key} from marks.json`;

  for (const [mark, found] of [[tunnelKey, ofTunnel], [state, ofState]] as const) {
    const owner = mark === undefined ? undefined : stack.foreignMarks?.[mark];
    if (owner !== undefined) refuse(found, `that key belongs to ${owner}: this is another environment's state; ${remedy}`);
  }

  const { tunnels: { [id]: notedKey }, states: { [id]: notedState } = {}, made: { [tunnelMade(id)]: made } } = stack.marks;
  const both = [...(notedKey === undefined ? [] : [`tunnels.${id}`]), ...(notedState === undefined ? [] : [`states.${id}`])].join(" and ");
  const rotated = versions["wireguard-node"]?.rotated;
  const isRotated = rotated !== undefined && (made === undefined || rotated >= made);
  if (tunnelKey !== undefined && notedKey !== undefined && notedKey !== tunnelKey && !isRotated) refuse(ofTunnel, lost(notedKey, both));
  if (notedState !== undefined && notedState !== state) refuse(ofState, lost(notedState, both));
  if (tunnelKey === undefined && notedKey !== undefined && notedState === undefined) {
    refuse("no tunnel (tunnel is none)", `${stack.records}/marks.json knows its state by its WireGuard key alone, ${notedKey}; wants one update with its tunnel, which notes the state's own mark, and then tunnel: none`);
  }
}
