import { settingsSchema } from "../../formats/settings.js";
import { probeSchema, type Probe } from "../../formats/step.js";
import { parseFormat } from "../../formats/versioned.js";
import { ProgramFailure } from "../run.js";
import { readInstalled } from "../secrets/installed.js";
import { thisHost, type Site } from "../site.js";
import { failedUnits } from "./systemd.js";
import { currentSystem } from "./systems.js";

/** The node's WireGuard interface, on both systems. */
const tunnelInterface = "wg-node";

/** What the agent sees of its host. Something that is missing is an answer here, never an error. */
export async function probe(_input: string, site: Site = thisHost): Promise<Probe> {
  const [system, failed, firewallLoaded, tunnel, installed] = await Promise.all([
    currentSystem(site),
    failedUnits(site),
    isFirewallLoaded(site),
    tunnelState(site),
    readInstalled(site),
  ]);
  return { system: system ?? "none", failedUnits: failed, firewallLoaded, tunnel, secretsVersion: installed?.version ?? null };
}

/** The comment on the policy's own table, in a ruleset of ours or in what `nft list` prints. It holds the policy's hash. */
export function policyMark(ruleset: string): string | undefined {
  return /^\s*table inet holdfast \{\s*(?:#[^\n]*\n\s*)*comment "([^"]+)"/m.exec(ruleset)?.[1];
}

/** Openings that are not for everyone: from nix-bitcoin's namespaces to Tor, and the answer of a DHCPv6 server. */
const OF_NIXOS = /^-A nixos-fw (-i nb-br|-d fe80::\/64) -p /;

/**
 * Whether the rules that `iptables -S` lists filter as a ruleset of ours says: NixOS's chain stands before everything else in INPUT, has each of our lines, opens no other port to
 * everyone, and ends by dropping the rest.
 *
 * @see nixpkgs nixos/modules/services/networking/firewall-iptables.nix
 */
export function filtersAs(ruleset: string, listed: string): boolean {
  const lines = listed.split("\n").map((line) => line.trim());
  const wanted = ruleset.split("\n").filter((line) => line !== "");
  const chain = (name: string): string[] => lines.filter((line) => line.startsWith(`-A ${name} `));
  const rules = chain("nixos-fw");
  const opening = rules.filter((line) => line.endsWith("-j nixos-fw-accept") && line.includes("--dport") && !OF_NIXOS.test(line));
  return wanted.some((line) => line.includes('--comment "policy ')) && wanted.every((line) => rules.includes(line))
    && opening.every((line) => wanted.includes(line))
    && chain("INPUT")[0] === "-A INPUT -j nixos-fw"
    && rules.at(-1) === "-A nixos-fw -j nixos-fw-log-refuse"
    && chain("nixos-fw-log-refuse").at(-1) === "-A nixos-fw-log-refuse -j nixos-fw-refuse"
    && chain("nixos-fw-refuse").at(-1) === "-A nixos-fw-refuse -j DROP";
}

/**
 * One peer on a line after the interface's own, fields separated by tabs: wg(8), `show … dump`. Private and preshared keys are passed over.
 *
 * @throws when this is no dump, without quoting it
 */
export function parseTunnel(dump: string): Probe["tunnel"] {
  const [own, ...peers] = dump.trim().split("\n").map((line) => line.split("\t"));
  const handshakes = Object.fromEntries(peers.map((fields) => [fields[0]!, Number(fields[4])]));
  const last = Math.max(0, ...Object.values(handshakes));
  const tunnel = probeSchema.shape.tunnel.safeParse({ publicKey: own![1], port: Number(own![2]), peers: peers.length, lastHandshake: last > 0 ? last : null, handshakes });
  if (!tunnel.success) throw new Error(`wg printed something that is no tunnel's state (${peers.length + 1} lines, at ${tunnel.error.issues[0]!.path[0]!.toString()}). Is its version another?`);
  return tunnel.data;
}

/** Asks the backend that the settings name, and no other: without settings, or without that backend's rules, the answer is no. */
async function isFirewallLoaded(site: Site): Promise<boolean> {
  const text = await site.disk.readText(site.layout.settings);
  if (text === undefined) return false;
  const { backend, ruleset } = parseFormat(settingsSchema, site.layout.settings, text).firewall;
  if (backend === "nftables") {
    const wanted = policyMark(ruleset);
    if (wanted === undefined) return false;
    const loaded = await unlessMissing(() => site.run(["nft", "list", "table", "inet", "holdfast"], { deadline: 30_000 }));
    return loaded !== undefined && policyMark(loaded) === wanted;
  }
  const both = await Promise.all(["iptables", "ip6tables"].map((program) => unlessMissing(() => site.run([program, "-w", "-S"], { deadline: 30_000 }))));
  return both.every((loaded) => loaded !== undefined && filtersAs(ruleset, loaded));
}

async function tunnelState(site: Site): Promise<Probe["tunnel"]> {
  const dump = await unlessMissing(() => site.run(["wg", "show", tunnelInterface, "dump"], { deadline: 30_000 }));
  return dump === undefined ? null : parseTunnel(dump);
}

/** A table or interface that is not there makes its program fail. */
async function unlessMissing(ask: () => Promise<string>): Promise<string | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ProgramFailure) return undefined;
    throw error;
  }
}
