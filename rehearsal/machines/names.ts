import { createHash } from "node:crypto";
import { join, resolve } from "node:path";

/** Everything on the deploy machine that belongs to one machine or stranger follows from its state folder and its name. */
export interface Names {
  readonly name: string;
  /** Of the network namespace, of the nspawn machine and of its cgroup. */
  readonly namespace: string;
  /** The root namespace's end of its link to the bridge. At most 15 characters. */
  readonly link: string;
  /** Its folder, removed with it. */
  readonly folder: string;
  /** What the Pulumi stack reads. */
  readonly hostFile: string;
  /** Outlives the machine, so that its successor has the next generation. */
  readonly generationFile: string;
}

export const BRIDGE = "hf0";
/** The root namespace's address on the bridge, and the network that the bridge is. */
export const BRIDGE_ADDRESS = "10.231.0.1";
export const PREFIX_LENGTH = 16;

const NETWORK = "10.231.";
const LONGEST_LINK = 15;

const hash = (text: string, digits: number): string => createHash("sha256").update(text).digest("hex").slice(0, digits);

/** Four hex digits that keep the names of one state folder apart from those of another on the same machine. */
export const statePrefix = (state: string): string => hash(resolve(state), 4);

/**
 * @param state a folder of the caller's; each clone of the project, and each test, has one of its own
 * @throws when the name cannot be a host's name
 */
export function namesOf(state: string, name: string): Names {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) {
    throw new Error(`"${name}" cannot be a machine's name: up to 31 lower-case letters, digits and hyphens, and a letter first`);
  }
  const prefix = `hf${statePrefix(state)}-`;
  const machines = join(resolve(state), "machines");
  return {
    name,
    namespace: `hf-${statePrefix(state)}-${name}`,
    link: prefix + (prefix.length + name.length <= LONGEST_LINK ? name : hash(name, LONGEST_LINK - prefix.length)),
    folder: join(machines, name),
    hostFile: join(machines, `${name}.json`),
    generationFile: join(machines, `${name}.generation`),
  };
}

/** @throws when the address is not one for a machine on the bridge */
export function checkAddress(address: string): void {
  const bytes = address.split(".").map(Number);
  const wellFormed = /^\d{1,3}(\.\d{1,3}){3}$/.test(address) && bytes.every((byte) => byte < 256);
  if (!wellFormed || !address.startsWith(NETWORK) || [`${NETWORK}0.0`, `${NETWORK}255.255`, BRIDGE_ADDRESS].includes(address)) {
    throw new Error(`${address} cannot be a machine's address: one of ${NETWORK}0.0/${PREFIX_LENGTH} is wanted, other than ${BRIDGE_ADDRESS}, which is the bridge's`);
  }
}

/** A link's hardware address follows from its IP address, so that nobody's ARP table is wrong after a machine was deleted and made again. */
export function hardwareAddress(address: string): string {
  return ["02", "68", ...address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"))].join(":");
}

/** A path that overlayfs and nspawn can take in their options. */
export function checkPath(path: string): void {
  if (/[:,\\\n]/.test(path)) throw new Error(`${path} cannot hold machines or their programs: the path has a colon, a comma or a backslash, which mount options cannot carry. Use another folder.`);
}
