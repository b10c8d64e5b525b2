import { createHash } from "node:crypto";
import { resolve } from "node:path";

/** What a rehearsed environment needs around its nodes: machines, a chain and a store, at addresses of its own. */
export interface Plan {
  readonly machines: readonly { readonly name: string; readonly address: string }[];
  /** On the bridge's address. The chain takes the port after its own too. */
  readonly storePort: number;
  readonly chainPort: number;
}

/** Addresses come in blocks of 16, 2,400 of them. */
export const MOST_MACHINES = 16;

/** Names of the nodes whose host is a machine made here: those that take their host from `.holdfast/<environment>/machines/`. */
export function rehearsedNodes(environment: string, keys: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(Object(keys["nodes"]) as Record<string, unknown>)
    .filter(([name, node]) => Object(Object(Object(node).host).commodity).file === `.holdfast/${environment}/machines/${name}.json`)
    .map(([name]) => name);
}

/**
 * Addresses and ports by the state folder's path, so that several projects, and tests beside a running node, do not meet.
 *
 * @param state the environment's folder
 */
export function planOf(state: string, nodes: readonly string[]): Plan {
  const number = createHash("sha256").update(resolve(state)).digest().readUInt32BE(0);
  // Below those that the kernel gives to connections (ip_local_port_range, from 32768 on): one of them might have it.
  const port = 20_000 + (number % 4_200) * 3;
  if (nodes.length > MOST_MACHINES) throw new Error(`${nodes.length} machines are more than the ${MOST_MACHINES} that a rehearsed environment has addresses for. Spread them over environments.`);
  const first = 16 + (Math.floor(number / 200) % 12) * 16;
  return {
    machines: nodes.map((name, index) => ({ name, address: `10.231.${10 + (number % 200)}.${first + index}` })),
    storePort: port,
    chainPort: port + 1,
  };
}
