import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { secretsOf } from "../../../components/secrets/registry.js";
import type { Settings } from "../../../formats/settings.js";
import { announceMissing, evaluate, type Evaluated, type Unit } from "./evaluate.js";
import { refusals, stackNode } from "./stackNode.js";

const settings = stackNode({
  network: "regtest", bitcoinPeers: ["10.231.0.1:18444"], services: ["bitcoind", "lnd", "bunker", "wireguard", "offsite-backup"], bunker: { relays: ["wss://relay.example.org"], admins: [] },
});

/** Units that both systems have. NixOS calls two of them otherwise. */
const units: Readonly<Record<string, string>> = {
  "bitcoind.service": "bitcoind.service", "lnd.service": "lnd.service", "lnd-unopened.service": "lnd-unopened.service", "wireguard-wg-node.service": "wireguard-wg-node.service",
  "holdfast-secrets.service": "holdfast-secrets.service", "nix-bitcoin-secrets.target": "nix-bitcoin-secrets.target", "holdfast-identity.target": "holdfast-identity.target",
  "holdfast-gate.service": "holdfast-gate.service", "holdfast-backup.service": "holdfast-backup.service", "bunker.service": "bunker.service", "holdfast-firewall.service": "nftables.service", "ssh.service": "sshd.service",
};
const links = ["After", "Before", "Requires", "Wants", "PartOf", "Conflicts", "WantedBy", "RequiredBy"] as const;
type Link = (typeof links)[number];

/**
 * Every difference between the two systems, `what: rehearsal alone | NixOS alone`. docs/architecture.md lists the same lines, with the reason of each;
 * what is not in both is a failure.
 */
const differences: readonly string[] = [
  "bitcoind.service After: btcd-peer-0.socket network.target | network-online.target",
  "bitcoind.service Wants: btcd-peer-0.socket | network-online.target nix-bitcoin-secrets.target",
  "wireguard-wg-node.service After: nftables.service | –",
  "wireguard-wg-node.service Before: – | network.target",
  "wireguard-wg-node.service Wants: – | network.target",
  "holdfast-secrets.service After: – | systemd-tmpfiles-setup.service",
  "holdfast-gate.service WantedBy: multi-user.target | holdfast-node.target",
  "holdfast-backup.service After: – | nix-bitcoin-secrets.target",
  "bunker.service After: – | tor.service",
  "holdfast-firewall.service After: local-fs.target | –",
  "holdfast-firewall.service WantedBy: multi-user.target | sysinit.target",
  "ssh.service After: nftables.service | –",
  "wireguard-wg-node.service at a switch: X-ReloadIfChanged=true | –",
  "secrets: backup-password=root:root:400 backup-store-password=root:root:400 lnd-macaroon-root-key=root:root:400 | –",
  "sshd: AllowUsers=root PerSourcePenalties=no PrintMotd=no Subsystem=sftp internal-sftp UsePAM=yes | AllowUsers=root operator LogLevel=INFO",
];

interface RehearsalUnit {
  readonly Unit?: Readonly<Record<string, string | boolean | readonly string[]>>;
  readonly Service?: Readonly<Record<string, unknown>>;
  readonly wantedBy?: readonly string[];
  readonly requiredBy?: readonly string[];
}

/** The rehearsal's units, as its own modules make them. */
async function rehearsed(node: Settings): Promise<Readonly<Record<string, RehearsalUnit>>> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-parity-"));
  try {
    writeFileSync(join(folder, "settings.json"), JSON.stringify(node));
    const { stdout } = await execa("nix-instantiate", [
      "--eval", "--strict", "--json", "--readonly-mode", join(import.meta.dirname, "rehearsal.nix"), "--arg", "settings", join(folder, "settings.json"),
    ], { timeout: 60_000, stdin: "ignore" });
    return JSON.parse(stdout) as Readonly<Record<string, RehearsalUnit>>;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const listed = (value: unknown): readonly string[] => (value === undefined ? [] : Array.isArray(value) ? (value as string[]) : [value as string]);
const inRehearsal = (unit: RehearsalUnit, link: Link): readonly string[] =>
  link === "WantedBy" ? listed(unit.wantedBy) : link === "RequiredBy" ? listed(unit.requiredBy) : listed(unit.Unit?.[link]);
const inNixos = (unit: Unit, link: Link): readonly string[] => unit[`${link[0]!.toLowerCase()}${link.slice(1)}` as "after"];

/** What only one of them has, sorted; names of the rehearsal's units as NixOS calls them. */
function unlike(what: string, rehearsal: readonly string[], nixos: readonly string[]): string[] {
  const [ours, theirs] = [new Set(rehearsal.map((name) => units[name] ?? name)), new Set(nixos)];
  const alone = (one: ReadonlySet<string>, other: ReadonlySet<string>): string => [...one].filter((name) => !other.has(name)).sort().join(" ") || "–";
  const [left, right] = [alone(ours, theirs), alone(theirs, ours)];
  return left === "–" && right === "–" ? [] : [`${what}: ${left} | ${right}`];
}

/** The peers that the rehearsal's script sets, as NixOS would name their parts. */
function peersOf(script: string): unknown[] {
  return [...script.matchAll(/^wg set wg-node peer '([^']+)' preshared-key (\S+) allowed-ips (\S+)$/gm)].map(([, publicKey, presharedKeyFile, allowed]) => ({
    publicKey, presharedKeyFile, allowedIPs: allowed === "''" ? [] : [allowed],
  }));
}

/** What a switch may not do with a unit. */
const atSwitch = {
  rehearsal: ({ Unit = {} }: RehearsalUnit): string[] => Object.entries(Unit).filter(([key]) => key.startsWith("X-")).map(([key, value]) => `${key}=${String(value)}`),
  nixos: ({ unitConfig, restartIfChanged, reloadIfChanged }: Unit): string[] => [
    ...Object.entries(unitConfig).filter(([key]) => key.startsWith("X-")).map(([key, value]) => `${key}=${String(value)}`),
    ...(restartIfChanged ? [] : ["X-RestartIfChanged=false"]), ...(reloadIfChanged ? ["X-ReloadIfChanged=true"] : []),
  ],
};

/** sshd's settings, `Key=value`: as the rehearsal's file has them, and as NixOS would write them. */
const sshd = {
  rehearsal: ({ Service = {} }: RehearsalUnit): string[] =>
    [...(Service["ExecStart"] as string).replace(/^.* -f /, "").matchAll(/^(\w+) ([^\n]+)$/gm)].map(([, key, value]) => `${key}=${value!}`).filter((line) => !line.startsWith("AuthorizedKeysFile=")),
  nixos: ({ openssh: { ports, hostKeys, settings: written } }: Evaluated): string[] => [
    ...ports.map((port) => `Port=${port}`), ...hostKeys.map((key) => `HostKey=${key}`),
    ...Object.entries(written).filter(([, value]) => value !== null).map(([key, value]) => `${key === "UseDns" ? "UseDNS" : key}=${[value].flat().map((one) => (one === true ? "yes" : one === false ? "no" : String(one))).join(" ")}`),
  ],
};

/** The mode as nix-bitcoin writes it. */
const modeOf = (mode: string): string => mode.replace(/^0/, "");

function compared(rehearsal: Readonly<Record<string, RehearsalUnit>>, nixos: Evaluated): string[] {
  const ordering = Object.entries(units).flatMap(([name, theirs]) => links.flatMap((link) => unlike(`${name} ${link}`, inRehearsal(rehearsal[name]!, link), inNixos(nixos.units[theirs]!, link))));
  const bundle = secretsOf(settings.services, settings.tunnel!.peers.filter(({ presharedKey }) => presharedKey === undefined));
  const secrets = unlike("secrets",
    bundle.map(({ file, owner, group, mode }) => `${file}=${owner}:${group}:${modeOf(mode)}`),
    Object.entries(nixos.secrets).filter(([file]) => file !== "wg-psk-phone.2").map(([file, { owner, group, mode }]) => `${file}=${owner}:${group}:${mode}`));
  const switching = Object.entries(units).flatMap(([name, theirs]) => unlike(`${name} at a switch`, atSwitch.rehearsal(rehearsal[name]!), atSwitch.nixos(nixos.units[theirs]!)));
  const consumers = [...new Set(bundle.flatMap((secret) => secret.consumers))];
  const restarted = unlike("restarted by a changed secret", consumers.filter((unit) => unit in rehearsal), consumers.filter((unit) => unit in nixos.units));
  return [...ordering, ...switching, ...secrets, ...restarted, ...unlike("sshd", sshd.rehearsal(rehearsal["ssh.service"]!), sshd.nixos(nixos))];
}

describe.skipIf(announceMissing())("one specification, on the rehearsal's system and on NixOS", () => {
  it("gives the same secrets and the same ordering, but for what docs/architecture.md lists", async () => {
    const [rehearsal, nixos] = [await rehearsed(settings), await evaluate(settings)];
    expect(refusals(nixos)).toEqual([]);
    expect(compared(rehearsal, nixos)).toEqual(differences);
  });

  it("would show a difference that nobody has listed", async () => {
    const [rehearsal, nixos] = [await rehearsed(settings), await evaluate(settings)];
    const lnd = rehearsal["lnd.service"]!;
    const other = { ...rehearsal, "lnd.service": { ...lnd, Unit: { ...lnd.Unit, Requires: ["tor.service"] } } };
    expect(compared(other, nixos).filter((line) => !differences.includes(line))).toEqual(["lnd.service Requires: tor.service | nix-bitcoin-secrets.target"]);
  });

  it("confines the agent's units by the same file, and in no other way", async () => {
    const [ours, theirs] = ["rehearsal/system/confinement.nix", "nix/modules/agent/confinement.nix"].map((file) => readFileSync(file, "utf8"));
    expect(ours, "copy one over the other: each flake reaches its host alone").toBe(theirs);
    const [rehearsal, nixos] = [await rehearsed(settings), await evaluate(settings)];
    for (const unit of ["holdfast-secrets.service", "holdfast-gate.service", "holdfast-backup.service"]) {
      const [{ ExecStart: _, ...one }, { ExecStart: __, ...other }] = [rehearsal[unit]!.Service!, nixos.units[unit]!.serviceConfig!];
      expect(one, unit).toEqual(other);
    }
  });

  it("confines the bunker in the same way, but for what a machine in a namespace cannot have, and has the same configuration", async () => {
    const [rehearsal, nixos] = [await rehearsed(settings), await evaluate(settings)];
    const [{ ExecStart, Environment, ...ours }, { ExecStart: _, ...theirs }] = [rehearsal["bunker.service"]!.Service!, nixos.units["bunker.service"]!.serviceConfig!];
    const written = (value: unknown): string => JSON.stringify(value);
    expect(Object.entries(ours).filter(([key, value]) => written(value) !== written(theirs[key])).map(([key]) => key)).toEqual([]);
    expect(Object.keys(theirs).filter((key) => !(key in ours)).sort()).toEqual(["IPAddressAllow", "IPAddressDeny", "MemoryDenyWriteExecute", "PrivateUsers"]);
    expect((Environment as string[]).every((one) => Object.entries(nixos.units["bunker.service"]!.environment).some(([key, value]) => one === `${key}=${value}`))).toBe(true);
    expect(ExecStart).toBe(`/bunker/bin/holdfast-bunker start --config ${nixos.files.find(({ path }) => path.endsWith("-nsecbunker.json"))!.text}`);
  });

  it("gives the same tunnel: address, port, key, peers", async () => {
    const [rehearsal, nixos] = [await rehearsed(settings), await evaluate(settings)];
    const script = rehearsal["wireguard-wg-node.service"]!.Service!["ExecStart"] as string;
    const tunnel = nixos.wireguard["wg-node"]!;
    const peers = peersOf(script);
    expect(peers).toHaveLength(settings.tunnel!.peers.length);
    expect(peers).toEqual(tunnel.peers.map(({ publicKey, presharedKeyFile, allowedIPs }) => ({ publicKey, presharedKeyFile, allowedIPs })));
    expect(script).toContain(`wg set wg-node listen-port ${tunnel.listenPort} private-key ${tunnel.privateKeyFile}`);
    expect(script).toContain(`ip address replace ${tunnel.ips[0]} dev wg-node`);
  });

  it("gives the same firewall, to the letter", async () => {
    const [rehearsal, nixos] = [await rehearsed(settings), await evaluate(settings)];
    const loads = rehearsal["holdfast-firewall.service"]!.Service!["ExecStart"] as string;
    expect(loads).toContain(`nft --file ${settings.firewall.ruleset}`);
    expect(nixos.nftables.ruleset.trimEnd()).toBe(settings.firewall.ruleset.trimEnd());
  });

  it("gives a node without a tunnel none, the same rules, and LND's REST on loopback alone", async () => {
    const bare = stackNode({ network: "regtest", bitcoinPeers: ["10.231.0.1:18444"], tunnel: "none" });
    const [rehearsal, nixos] = [await rehearsed(bare), await evaluate(bare)];
    expect(refusals(nixos)).toEqual([]);
    expect([Object.keys(rehearsal), Object.keys(nixos.units)].map((names) => names.filter((name) => name.startsWith("wireguard")))).toEqual([[], []]);
    expect(Object.entries(rehearsal).filter(([, unit]) => JSON.stringify(unit).includes("wg-node.service")).map(([name]) => name)).toEqual([]);
    expect(nixos.nftables.ruleset.trimEnd()).toBe(bare.firewall.ruleset.trimEnd());
    expect((rehearsal["holdfast-firewall.service"]!.Service!["ExecStart"] as string)).toContain(`nft --file ${bare.firewall.ruleset}`);
    expect(JSON.stringify(rehearsal["lnd.service"]).match(/restlisten=[^\\]*/g)).toEqual(["restlisten=127.0.0.1:8080"]);
  });

  it("differs in nothing that docs/architecture.md does not tell, and in all that it tells", () => {
    const section = readFileSync("docs/architecture.md", "utf8").split(/^## /m).find((part) => part.startsWith("Rehearsal and NixOS"));
    const rows = [...section!.matchAll(/^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| [^|]{10,} \|$/gm)].map(([, what, ours, theirs]) => `${what}: ${ours} | ${theirs}`);
    expect(rows).toEqual(differences);
  });
});
