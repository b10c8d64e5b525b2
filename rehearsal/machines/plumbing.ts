import { existsSync, readdirSync, readFileSync } from "node:fs";
import { alone } from "./lock.js";
import { BRIDGE, BRIDGE_ADDRESS, hardwareAddress, PREFIX_LENGTH, type Names } from "./names.js";
import { end, inNamespace } from "./processes.js";
import { attempt, run } from "../run.js";

const DEADLINE = 30_000;
const withPrefix = (address: string): string => `${address}/${PREFIX_LENGTH}`;
const linkExists = (link: string): boolean => existsSync(`/sys/class/net/${link}`);

/** The commands that make the bridge. Its hardware address is fixed: by default it changes as links come and go. */
export function bridgeCommands(): string[][] {
  return [
    ["ip", "link", "add", BRIDGE, "address", hardwareAddress(BRIDGE_ADDRESS), "type", "bridge"],
    ["ip", "link", "set", BRIDGE, "addrgenmode", "none"],
  ];
}

/** The commands that give a namespace its end of a link to the bridge, called `host0` as systemd-nspawn calls it. */
export function attachCommands({ namespace, link }: Names, address: string): string[][] {
  return [
    ["ip", "netns", "add", namespace],
    ["ip", "link", "add", link, "type", "veth", "peer", "name", "host0", "address", hardwareAddress(address), "netns", namespace],
    ["ip", "link", "set", link, "addrgenmode", "none", "master", BRIDGE, "up"],
    ["ip", "-n", namespace, "link", "set", "lo", "up"],
    ["ip", "-n", namespace, "address", "add", withPrefix(address), "dev", "host0"],
    ["ip", "-n", namespace, "link", "set", "host0", "addrgenmode", "none", "up"],
  ];
}

async function runAll(commands: readonly string[][]): Promise<void> {
  for (const command of commands) await run(command, { deadline: DEADLINE });
}

/** Sees to it that the bridge is there and has its address. */
async function ensureBridge(): Promise<void> {
  if (!linkExists(BRIDGE)) {
    await runAll(bridgeCommands());
  }
  await runAll([["ip", "address", "replace", withPrefix(BRIDGE_ADDRESS), "dev", BRIDGE], ["ip", "link", "set", BRIDGE, "up"]]);
}

const whilePlumbing = <T>(work: () => Promise<T>): Promise<T> => alone(`network ${BRIDGE}`, DEADLINE, work);

/**
 * Makes a namespace on the bridge that answers at an address; one that was there before is replaced.
 *
 * @throws when another namespace on the bridge has the address, or this machine reaches it elsewhere
 */
export async function attach(names: Names, address: string): Promise<void> {
  await whilePlumbing(async () => {
    await removeLink(names);
    await ensureBridge();
    const neighbour = await ownerOf(address);
    if (neighbour) throw new Error(`${address} is ${neighbour}'s on this machine: give ${names.name} another address, or delete the one who has it`);
    const route = await run(["ip", "-4", "-o", "route", "get", address]);
    if (!route.includes(` dev ${BRIDGE} `)) throw new Error(`this machine routes ${address} elsewhere than to ${BRIDGE} (${route.trim()}): give ${names.name} another address, or remove that route`);
    await runAll(attachCommands(names, address));
  });
}

/** Ends what runs in a namespace and removes it, its link, and the bridge if that was the last. Does what is left to do. */
export async function detach(names: Names): Promise<void> {
  await end(() => inNamespace(names.namespace), 0);
  await whilePlumbing(async () => {
    await removeLink(names);
    await removeBridge();
  });
}

/** Removes the bridge when nothing uses it: no link, and no process of the root namespace that listens at its address. */
export async function removePlumbing(): Promise<void> {
  await whilePlumbing(removeBridge);
}

/** Does something that uses the bridge from the root namespace, with the bridge there and nobody removing it meanwhile. */
export async function onBridge<T>(work: () => Promise<T>): Promise<T> {
  return whilePlumbing(async () => {
    await ensureBridge();
    return work();
  });
}

async function removeLink({ link, namespace }: Names): Promise<void> {
  if (linkExists(link)) await run(["ip", "link", "delete", link], { deadline: DEADLINE });
  if (existsSync(`/run/netns/${namespace}`)) await run(["ip", "netns", "delete", namespace], { deadline: DEADLINE });
}

async function removeBridge(): Promise<void> {
  if (!linkExists(BRIDGE)) return;
  const ports = readdirSync(`/sys/class/net/${BRIDGE}/brif`);
  if (ports.length > 0 || listensAtBridge(readFileSync("/proc/net/tcp", "utf8"))) return;
  await run(["ip", "link", "delete", BRIDGE], { deadline: DEADLINE });
}

/** The namespace of ours, of whatever state folder, that has an address on the bridge. */
export async function ownerOf(address: string): Promise<string | undefined> {
  if (!existsSync("/run/netns")) return undefined;
  for (const namespace of readdirSync("/run/netns").filter((name) => /^hf-[0-9a-f]{4}-/.test(name))) {
    const { stdout } = await attempt(["ip", "-n", namespace, "-o", "address", "show", "dev", "host0", "to", address]);
    if (stdout !== "") return namespace;
  }
  return undefined;
}

/** Whether a TCP socket listens at the bridge's own address, from the text of /proc/net/tcp. */
export function listensAtBridge(table: string): boolean {
  const littleEndian = BRIDGE_ADDRESS.split(".").reverse().map((byte) => Number(byte).toString(16).padStart(2, "0")).join("").toUpperCase();
  const LISTEN = "0A";
  return table.split("\n").map((line) => line.trim().split(/\s+/)).some(([, local, , state]) => local?.startsWith(`${littleEndian}:`) && state === LISTEN);
}
