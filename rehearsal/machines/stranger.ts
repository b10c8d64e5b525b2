import { existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { checkAddress, namesOf } from "./names.js";
import { attach, detach } from "./plumbing.js";
import { takeDownTunnel } from "./tunnel.js";

/** A network namespace on the bridge with no machine in it: a WireGuard peer, a stranger on the internet, another node's lnd. */
export interface Stranger {
  readonly name: string;
  /** For `runIn`, `bringUpTunnel` and `ip netns exec`. */
  readonly namespace: string;
  readonly address: string;
}

const folderOf = (state: string): string => join(resolve(state), "strangers");
const fileOf = (state: string, name: string): string => join(folderOf(state), `${name}.json`);

/**
 * Makes a namespace that answers at an address of 10.231.0.0/16. One of the same name is replaced, with all that ran in it.
 *
 * @throws when a machine has the name, or another namespace the address
 */
export async function createStranger({ state, name, address }: { readonly state: string; readonly name: string; readonly address: string }): Promise<Stranger> {
  const names = namesOf(state, name);
  checkAddress(address);
  if (existsSync(names.folder)) throw new Error(`${name} is a machine's name in ${state}: give the stranger another`);
  await mkdir(folderOf(state), { recursive: true });
  const stranger = { name, namespace: names.namespace, address };
  await writeFile(fileOf(state, name), `${JSON.stringify(stranger)}\n`);
  await takeDownTunnel(names.namespace);
  await detach(names);
  await attach(names, address);
  return stranger;
}

/** Ends everything that runs in the namespace and removes it. One that is not there is no failure. @throws when a machine has the name */
export async function deleteStranger(state: string, name: string): Promise<void> {
  const names = namesOf(state, name);
  if (existsSync(names.folder)) throw new Error(`${name} is a machine in ${state}, not a stranger: "holdfast machine delete ${name}" deletes it`);
  await takeDownTunnel(names.namespace);
  await detach(names);
  await rm(fileOf(state, name), { force: true });
}

/** Names of all strangers of a state folder, half-made ones too. */
export async function listStrangers(state: string): Promise<string[]> {
  if (!existsSync(folderOf(state))) return [];
  return (await readdir(folderOf(state))).filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -".json".length)).sort();
}
