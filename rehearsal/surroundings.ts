import { rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { leftovers } from "./machines/leftovers.js";
import { createMachine, deleteMachine, listMachines } from "./machines/machine.js";
import { BRIDGE_ADDRESS } from "./machines/names.js";
import { onBridge, removePlumbing } from "./machines/plumbing.js";
import { deleteStore, startStore } from "./machines/store.js";
import { deleteStranger, listStrangers } from "./machines/stranger.js";
import { startChain, stopChain } from "./system/chain.js";
import type { Plan } from "./plan.js";

export interface Surroundings {
  readonly state: string;
  readonly cache: string;
  /** The folder that machines see at /opt/rehearsal. */
  readonly programs: string;
  /** May log in to the machines. */
  readonly authorizedKey: string;
  /** What nodes log in to the store with. */
  readonly storePassword: string;
  readonly report: (line: string) => void;
}

/**
 * Raises what stands around the nodes of a rehearsed environment, and leaves the files by which its stack finds it:
 * a store for backups, a chain whose coins are worth nothing, and a machine for each node. What runs already is left alone.
 */
export async function raise(plan: Plan, around: Surroundings): Promise<void> {
  const { state, cache, programs, report } = around;
  const users = Object.fromEntries(plan.machines.map(({ name }) => [name, around.storePassword]));
  const store = await startStore({ state, programs, port: plan.storePort, users });
  const chain = await onBridge(() => startChain({ state, programs, address: BRIDGE_ADDRESS, port: plan.chainPort, report }));
  write(join(state, "chain.json"), { peers: [chain.peer] });
  writeFileSync(join(state, "store.pem"), store.certificate);
  const inProject = (name: string): string => join(".holdfast", basename(state), name);
  for (const { name } of plan.machines) {
    write(join(state, `${name}.store.json`), {
      repository: `rest:https://${store.address}:${store.port}/${name}/`, user: name, passwordFile: inProject("store-password"), certificateFile: inProject("store.pem"),
    });
  }
  await Promise.all(plan.machines.map(({ name, address }) => createMachine({ cache, state, name, address, programs, authorizedKey: around.authorizedKey, report })));
}

/** Deletes the machines, the store and the chain of an environment, complete even after a crash half-way. Gives what could not be removed. */
export async function raze(state: string): Promise<string[]> {
  for (const { name } of await listMachines(state)) {
    await deleteMachine(state, name, { forget: "generation" });
    rmSync(join(state, `${name}.store.json`), { force: true });
  }
  for (const name of await listStrangers(state)) await deleteStranger(state, name);
  await stopChain({ state, report: () => undefined, blocks: "delete" });
  await deleteStore(state);
  rmSync(join(state, "chain.json"), { force: true });
  await removePlumbing();
  return leftovers(state);
}

const write = (path: string, value: unknown): void => writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
