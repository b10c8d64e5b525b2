import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { inNamespaceArguments, runIn } from "./namespace.js";
import { attempt, ProgramFailure, run, until } from "../run.js";
import { end, inNamespace } from "./processes.js";

/** A wg-quick configuration, taken apart. @see wg-quick(8), wg(8) "CONFIGURATION FILE FORMAT" */
export interface TunnelConfiguration {
  /** What `wg setconf` takes: the text without wg-quick's own keys. Has the private key. */
  readonly wireguard: string;
  readonly addresses: readonly string[];
  readonly mtu: number;
  /** All peers' AllowedIPs: where the routes go. */
  readonly routes: readonly string[];
}

/** WireGuard's overhead under an outer MTU of 1500; what wg-quick takes too. */
const DEFAULT_MTU = 1420;
const FOR_WG: Readonly<Record<string, readonly string[]>> = {
  interface: ["privatekey", "listenport", "fwmark"],
  peer: ["publickey", "presharedkey", "endpoint", "allowedips", "persistentkeepalive"],
};

/**
 * Takes a configuration apart as wg-quick does. DNS is left out: a namespace's names are this machine's.
 *
 * @throws on what it does not know, naming the line's key and never its value
 */
export function parseTunnel(text: string): TunnelConfiguration {
  const wireguard: string[] = [];
  const addresses: string[] = [];
  const routes: string[] = [];
  let mtu = DEFAULT_MTU;
  let section = "";
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.replace(/#.*/, "").trim();
    if (!line) continue;
    const header = line.match(/^\[(interface|peer)\]$/i);
    if (header) {
      section = header[1]!.toLowerCase();
      wireguard.push(line);
      continue;
    }
    const [, name, value] = line.match(/^([A-Za-z]+)\s*=\s*(.*)$/) ?? [];
    const key = name?.toLowerCase();
    const list = (value ?? "").split(",").map((item) => item.trim()).filter((item) => item !== "");
    if (section === "interface" && key === "address") addresses.push(...list);
    else if (section === "interface" && key === "mtu") mtu = Number(value);
    else if (section === "interface" && key === "dns") continue;
    else if (key && FOR_WG[section]?.includes(key)) {
      wireguard.push(line);
      if (key === "allowedips") routes.push(...list);
    } else throw new Error(`line ${index + 1} of the tunnel's configuration${name ? ` ("${name}"${section ? ` under [${section}]` : ""})` : ""} is not one that can be applied here: Address, DNS, MTU and wg(8)'s own keys can`);
  }
  if (addresses.length === 0) throw new Error("the tunnel's configuration has no Address under [Interface]: it would have no address to send from");
  return { wireguard: `${wireguard.join("\n")}\n`, addresses, mtu, routes };
}

/** The tunnel's interface in a namespace. Its name is the only one on this machine: wireguard-go's sockets are all in one folder. */
export const tunnelInterface = (namespace: string): string => `wg${createHash("sha256").update(namespace).digest("hex").slice(0, 8)}`;

/** The commands after the interface was made and `wg setconf` gave it its keys: as wg-quick does, addresses, then up, then routes. */
export function tunnelCommands(namespace: string, { addresses, mtu, routes }: TunnelConfiguration): string[][] {
  const device = tunnelInterface(namespace);
  return [
    ...addresses.map((address) => ["ip", "-n", namespace, "address", "add", address, "dev", device]),
    ["ip", "-n", namespace, "link", "set", device, "mtu", String(mtu), "up"],
    ...[...new Set(routes)].map((route) => ["ip", "-n", namespace, ...(route.includes(":") ? ["-6"] : []), "route", "replace", route, "dev", device]),
  ];
}

/**
 * Applies a wg-quick configuration in a stranger's namespace with real WireGuard: the kernel's where it has it, wireguard-go otherwise.
 * One that was up is replaced. The private key travels through stdin only.
 *
 * @returns the name of the interface, for `wg show` in the namespace
 */
export async function bringUpTunnel(namespace: string, configuration: string): Promise<string> {
  const tunnel = parseTunnel(configuration);
  const device = tunnelInterface(namespace);
  await takeDownTunnel(namespace);
  const kernel = await attempt(["ip", "-n", namespace, "link", "add", device, "type", "wireguard"]);
  if (kernel.exitCode !== 0) await startUserspace(namespace, device);
  // wg opens /dev/stdin by name, which works on the pipe that cat makes and not on the socket that Node gives a child.
  await run(inNamespaceArguments(namespace, ["sh", "-c", 'cat | wg setconf "$1" /dev/stdin', "sh", device]), { input: tunnel.wireguard });
  for (const command of tunnelCommands(namespace, tunnel)) await run(command);
  return device;
}

/** wireguard-go goes into the background by itself once its interface is there. */
async function startUserspace(namespace: string, device: string): Promise<void> {
  const started = await runIn(namespace, ["sh", "-c", 'exec setsid wireguard-go "$1" >/dev/null 2>&1', "sh", device], {
    environment: { WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD: "1" },
  });
  const there = await until(async () => (await runIn(namespace, ["wg", "show", device])).exitCode === 0, 10_000, 50);
  if (!there) throw new ProgramFailure(["wireguard-go", device], started, "its interface did not appear within 10 s");
}

/** Removes the tunnel of a namespace. One that is not there is no failure. */
export async function takeDownTunnel(namespace: string): Promise<void> {
  const device = tunnelInterface(namespace);
  await end(() => inNamespace(namespace).filter(({ argv }) => argv.includes("wireguard-go") && argv.includes(device)), 2_000);
  await rm(`/run/wireguard/${device}.sock`, { force: true });
  if (!existsSync(`/run/netns/${namespace}`)) return;
  const { stdout } = await attempt(["ip", "-n", namespace, "-o", "link", "show", device]);
  if (stdout) await run(["ip", "-n", namespace, "link", "delete", device]);
}
