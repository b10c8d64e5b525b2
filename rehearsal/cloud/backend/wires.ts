import { existsSync, writeFileSync } from "node:fs";
import { isIPv4 } from "node:net";
import { BRIDGE, PREFIX_LENGTH, type Names } from "../../machines/names.js";
import { runIn } from "../../machines/namespace.js";
import { detach, onBridge, ownerOf } from "../../machines/plumbing.js";
import { attempt, run } from "../../run.js";
import type { Addresses, FilterRule } from "../backend.js";
import { wallRuleset } from "./filter.js";

/** Every server's network of 64 bits is in this one of 32. A server has the first address of its own, so the bridge must not. */
const BRIDGE_ADDRESS_6 = "fd23:1::ffff";
const PREFIX_LENGTH_6 = 32;
/** With these a wall's name begins: no machine's does. */
export const WALLS = "wall-";
const BRIDGE_FILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/** The namespace between the bridge and a server's own. What is let through is decided in it, out of the server's reach. */
export const wallOf = ({ namespace }: Names): string => `${WALLS}${namespace}`;

/** A server keeps its hardware address whatever IP addresses come and go. */
export const serverHardwareAddress = (id: number): string => ["02", "69", ...[24, 16, 8, 0].map((shift) => ((id >>> shift) & 255).toString(16).padStart(2, "0"))].join(":");

const listOf = ({ ipv4, ipv6 }: Addresses): string[] => [ipv4, ipv6].filter((one) => one !== undefined);
const withPrefix = (address: string): string => `${address}/${isIPv4(address) ? PREFIX_LENGTH : PREFIX_LENGTH_6}`;

/** The commands that put a server's namespace behind a wall behind the bridge, everything still down. */
export function connectCommands(names: Names, hardwareAddress: string): string[][] {
  const [wall, { namespace, link }] = [wallOf(names), names];
  return [
    ["ip", "netns", "add", namespace],
    ["ip", "netns", "add", wall],
    ["ip", "link", "add", link, "type", "veth", "peer", "name", "outside", "netns", wall],
    ["ip", "-n", wall, "link", "add", "inside", "type", "veth", "peer", "name", "host0", "address", hardwareAddress, "netns", namespace],
    ["ip", "-n", wall, "link", "add", "wall", "type", "bridge", "mcast_snooping", "0"],
    ...["outside", "inside"].map((port) => ["ip", "-n", wall, "link", "set", port, "addrgenmode", "none", "master", "wall"]),
    ["ip", "-n", wall, "link", "set", "wall", "addrgenmode", "none"],
    ["ip", "-n", namespace, "link", "set", "host0", "addrgenmode", "none"],
  ];
}

/** The commands that let traffic in, when the wall stands. */
export function openCommands(names: Names): string[][] {
  const [wall, { namespace, link }] = [wallOf(names), names];
  return [
    ...["outside", "inside", "wall"].map((device) => ["ip", "-n", wall, "link", "set", device, "up"]),
    ...["lo", "host0"].map((device) => ["ip", "-n", namespace, "link", "set", device, "up"]),
    ["ip", "link", "set", link, "addrgenmode", "none", "master", BRIDGE, "up"],
  ];
}

/** In the server's namespace: an address is in use at once (no duplicate detection), and whoever has learnt it elsewhere is told. */
const ANNOUNCING: Readonly<Record<string, number>> = {
  "ipv4/conf/host0/arp_notify": 1, "ipv6/conf/host0/ndisc_notify": 1, "ipv6/conf/host0/accept_dad": 0, "ipv6/conf/host0/disable_ipv6": 0,
};
const BRIDGED: Readonly<Record<string, number>> = { "bridge/bridge-nf-call-iptables": 1, "bridge/bridge-nf-call-ip6tables": 1 };

export interface Connection {
  readonly hardwareAddress: string;
  readonly addresses: Addresses;
  readonly rules: readonly FilterRule[] | undefined;
}

/**
 * Connects a server to the bridge through its wall; what was there before is replaced.
 *
 * @throws when somebody else on the bridge has one of the addresses
 */
export async function connect(names: Names, { hardwareAddress, addresses, rules }: Connection): Promise<void> {
  await disconnect(names);
  await ensureBridgeFilter();
  await onBridge(async () => {
    await checkFree(names, addresses);
    for (const command of connectCommands(names, hardwareAddress)) await run(command);
    await setSysctls(wallOf(names), BRIDGED);
    await setSysctls(names.namespace, ANNOUNCING);
    await putUpWall(names, rules);
    await addAddresses(names, addresses);
    for (const command of openCommands(names)) await run(command);
    await announce(names, hardwareAddress);
  });
}

/** Removes a server's namespaces and links, whatever there is of them. */
export async function disconnect(names: Names): Promise<void> {
  await detach(names);
  if (existsSync(`/run/netns/${wallOf(names)}`)) await run(["ip", "netns", "delete", wallOf(names)]);
}

/** Whether there is a connection that `changeAddresses` and `putUpWall` could work on. */
export const isConnected = ({ namespace }: Names): boolean => existsSync(`/run/netns/${namespace}`);

/** Takes addresses from a connected server and gives it others; its neighbours know at once. @throws when somebody else has one */
export async function changeAddresses(names: Names, hardwareAddress: string, from: Addresses, to: Addresses): Promise<void> {
  await onBridge(async () => {
    await checkFree(names, to);
    const kept = listOf(to);
    for (const address of listOf(from).filter((one) => !kept.includes(one))) {
      if (await has(names, address)) await run(["ip", "-n", names.namespace, "address", "delete", withPrefix(address), "dev", "host0"]);
    }
    await addAddresses(names, to);
    await announce(names, hardwareAddress);
  });
}

/** Replaces what a connected server's wall lets through, all at once. */
export async function putUpWall(names: Names, rules: readonly FilterRule[] | undefined): Promise<void> {
  const argv = ["nft", "-f", "-"];
  const { exitCode, stderr } = await runIn(wallOf(names), argv, { input: wallRuleset(rules) });
  if (exitCode !== 0) throw new Error(`the filter of ${names.name} could not be put up: ${stderr.trim()}`);
}

async function addAddresses(names: Names, addresses: Addresses): Promise<void> {
  if (addresses.ipv6) await run(["ip", "address", "replace", withPrefix(BRIDGE_ADDRESS_6), "dev", BRIDGE, "nodad"]);
  for (const address of listOf(addresses)) await run(["ip", "-n", names.namespace, "address", "replace", withPrefix(address), "dev", "host0"]);
}

async function has({ namespace }: Names, address: string): Promise<boolean> {
  return (await run(["ip", "-n", namespace, "-o", "address", "show", "dev", "host0", "to", address])) !== "";
}

async function checkFree(names: Names, addresses: Addresses): Promise<void> {
  for (const address of listOf(addresses)) {
    const owner = await ownerOf(address);
    if (owner && owner !== names.namespace) throw new Error(`${address} is ${owner}'s on this machine: take it from there first, or give ${names.name} another address`);
  }
}

/** Setting a link's hardware address, to the one it has too, makes the kernel announce all its addresses (arp_notify, ndisc_notify). */
async function announce({ namespace }: Names, hardwareAddress: string): Promise<void> {
  await run(["ip", "-n", namespace, "link", "set", "host0", "address", hardwareAddress]);
}

async function setSysctls(namespace: string, values: Readonly<Record<string, number>>): Promise<void> {
  const script = Object.entries(values).map(([path, value]) => `echo ${value} > /proc/sys/net/${path}`).join(" && ");
  await run(["ip", "netns", "exec", namespace, "sh", "-c", script]);
}

/** Bridged packets are shown to a namespace's rules where the kernel has br_netfilter. Loading it must not change what the root namespace filters. */
async function ensureBridgeFilter(): Promise<void> {
  if (existsSync(BRIDGE_FILTER)) return;
  await attempt(["modprobe", "br_netfilter"]);
  if (!existsSync(BRIDGE_FILTER)) throw new Error("this machine's kernel has no br_netfilter, with which the local cloud's firewalls filter: install the kernel's modules, or use a kernel that has it");
  for (const path of [BRIDGE_FILTER, BRIDGE_FILTER.replace("iptables", "ip6tables"), BRIDGE_FILTER.replace("iptables", "arptables")]) writeFileSync(path, "0");
}
