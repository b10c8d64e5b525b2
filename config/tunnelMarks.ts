import { StateRefused } from "./refusal.js";
import type { NodeSpecification, StackSpecification } from "./specification.js";

/** Under what a node's tunnel stands among the times of marks.json. */
export const tunnelMade = (nodeId: string): string => `tunnel-${nodeId}`;

/**
 * Refuses a state that would give a node other tunnel keys than it had: all keys come from the state, and a state whose WireGuard key is another has none of the node's.
 * A node that was never noted passes, and so does one whose key was rotated since.
 *
 * @throws StateRefused
 */
export function requireOwnTunnel(stack: StackSpecification, { id, name, versions }: Pick<NodeSpecification, "id" | "name" | "versions">, publicKey: string): void {
  const refuse = (wanted: string): never => {
    throw new StateRefused([{ path: `the state of stack ${stack.environment}`, found: `node ${name} with WireGuard key ${JSON.stringify(publicKey)}`, wanted }]);
  };
  const remedy = `\`holdfast state restore -s ${stack.environment}\` brings its own state back`;
  const owner = stack.foreignTunnels?.[publicKey];
  if (owner !== undefined) refuse(`that key belongs to ${owner}: this is another environment's state; ${remedy}`);
  const noted = stack.marks.tunnels[id];
  if (noted === undefined || noted === publicKey) return;
  const rotated = versions["wireguard-node"]?.rotated;
  const made = stack.marks.made[tunnelMade(id)];
  if (rotated !== undefined && (made === undefined || rotated >= made)) return;
  refuse(`${stack.records}/marks.json has ${noted} for it: this state was lost or is another's, and would give ${name} other keys; ${remedy}. If ${name} is truly to begin anew, remove tunnels.${id} from marks.json`);
}
