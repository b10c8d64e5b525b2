import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { filtersAs, parseTunnel, policyMark, probe } from "../../../../agent/activation/probe.js";
import { rulesetOf } from "../../../../components/network/firewall.js";
import { nixosSchema, type Settings } from "../../../../formats/settings.js";
import { place, standIn, type Answer } from "../secrets/standIn.js";

const ruleset = (mark: string): string => `table inet holdfast\ndelete table inet holdfast\ntable inet holdfast {\n  comment "policy ${mark}"\n  chain input {\n    type filter hook input priority 0; policy drop;\n    tcp dport 22 accept comment "ssh"\n  }\n}\n`;
const listed = (mark: string): string => `table inet holdfast {\n\tcomment "policy ${mark}"\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\ttcp dport 22 accept comment "ssh"\n\t}\n}\n`;
const settings: Settings = {
  format: "holdfast-settings/1",
  place,
  authorizedKeys: ["ssh-ed25519 AAAA test"],
  lightning: { alias: "alice", nodePublicKey: `02${"a".repeat(64)}`, p2pPort: 9735, restPort: 8080 },
  services: ["bitcoind", "lnd", "wireguard", "offsite-backup"],
  nixos: nixosSchema.parse({}),
  identities: [],
  bitcoin: { peers: [], rpcUser: "privileged" },
  tunnel: { address: "10.10.0.1", prefixLength: 24, port: 51820, publicKey: "k", peers: [] },
  firewall: { policy: [], backend: "nftables", ruleset: ruleset("abc") },
  backup: { repository: "rest:https://192.0.2.1/", user: "alice" },
};
const dump = ["PRIVATE\tPUBLIC\t51820\toff", "p1\tPSK\t192.0.2.9:1000\t10.10.0.2/32\t1700000000\t1\t2\toff", "p2\tPSK\t(none)\t10.10.0.3/32\t0\t0\t0\toff", ""].join("\n");

async function probed(answers: Record<string, { stdout?: string; exitCode?: number }>, firewall: Settings["firewall"] = settings.firewall): Promise<{ told: unknown; commands: string[] }> {
  const answer: Answer = (argv) => answers[argv[0]!];
  const { site, commands } = await standIn(answer);
  await mkdir(dirname(site.layout.settings), { recursive: true });
  await writeFile(site.layout.settings, JSON.stringify({ ...settings, firewall }));
  return { told: await probe("", site), commands: commands.sort() };
}

describe("probe", () => {
  it("tells failed units, tunnel and firewall, and no key", async () => {
    const { told, commands } = await probed({
      systemctl: { stdout: "lnd.service      loaded failed failed LND\nholdfast-activation.service loaded failed failed x\n" },
      nft: { stdout: listed("abc") },
      wg: { stdout: dump },
    });
    expect(told).toEqual({ system: "none", failedUnits: ["lnd.service"], firewallLoaded: true, tunnel: { publicKey: "PUBLIC", port: 51820, peers: 2, lastHandshake: 1700000000, handshakes: { p1: 1700000000, p2: 0 } }, secretsVersion: null });
    expect(commands).toEqual(["nft list table inet holdfast", "systemctl list-units --failed --plain --no-legend --full --no-pager", "wg show wg-node dump"]);
    expect(JSON.stringify(told)).not.toMatch(/PRIVATE|PSK/);
  });

  it("answers, rather than fails, where tunnel and firewall are missing", async () => {
    const { told } = await probed({ systemctl: { stdout: "" }, nft: { exitCode: 1 }, wg: { exitCode: 1 } });
    expect(told).toMatchObject({ firewallLoaded: false, tunnel: null, failedUnits: [] });
  });

  it("does not take another policy's table for this one", async () => {
    const { told } = await probed({ systemctl: { stdout: "" }, nft: { stdout: listed("abd") }, wg: { exitCode: 1 } });
    expect(told).toMatchObject({ firewallLoaded: false });
  });
});

describe("probe, where the settings name iptables", () => {
  const policy = [{ name: "ssh", protocol: "tcp", port: 22, from: "internet" }, { name: "lightning", protocol: "tcp", port: 9735, from: "internet" }] as const;
  const firewall: Settings["firewall"] = { policy: [...policy], backend: "iptables", ruleset: rulesetOf(policy, "iptables") };
  // As NixOS's firewall.service leaves them, with nix-bitcoin's opening for its namespaces.
  const rules = (own = firewall.ruleset): string => [
    "-P INPUT ACCEPT", "-P FORWARD ACCEPT", "-P OUTPUT ACCEPT", "-N nixos-fw", "-N nixos-fw-accept", "-N nixos-fw-log-refuse", "-N nixos-fw-refuse",
    "-A INPUT -j nixos-fw", "-A nixos-fw -i lo -j nixos-fw-accept", "-A nixos-fw -m conntrack --ctstate RELATED,ESTABLISHED -j nixos-fw-accept",
    "-A nixos-fw -i nb-br -p tcp -m tcp --dport 9050 -j nixos-fw-accept", ...own.trim().split("\n"), "-A nixos-fw -j nixos-fw-log-refuse",
    "-A nixos-fw-accept -j ACCEPT", '-A nixos-fw-log-refuse -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j LOG --log-prefix "refused connection: " --log-level 6',
    "-A nixos-fw-log-refuse -m pkttype ! --pkt-type unicast -j nixos-fw-refuse", "-A nixos-fw-log-refuse -j nixos-fw-refuse", "-A nixos-fw-refuse -j DROP", "",
  ].join("\n");
  const loaded = async (ip4: string, ip6 = ip4): Promise<unknown> =>
    ((await probed({ systemctl: { stdout: "" }, iptables: { stdout: ip4 }, ip6tables: { stdout: ip6 }, wg: { exitCode: 1 } }, firewall)).told as { firewallLoaded: boolean }).firewallLoaded;

  it("asks iptables for both families, and never nftables", async () => {
    const { told, commands } = await probed({ systemctl: { stdout: "" }, iptables: { stdout: rules() }, ip6tables: { stdout: rules() }, wg: { exitCode: 1 } }, firewall);
    expect(told).toMatchObject({ firewallLoaded: true, tunnel: null });
    expect(commands).toEqual(["ip6tables -w -S", "iptables -w -S", "systemctl list-units --failed --plain --no-legend --full --no-pager", "wg show wg-node dump"]);
  });

  it.each<[string, (rules: string) => string]>([
    ["another policy", () => rules(rulesetOf([...policy, { name: "more", protocol: "tcp", port: 1, from: "internet" }], "iptables"))],
    ["no mark of ours", (text) => text.replace(/^.*"policy .*\n/m, "")],
    ["one rule less", (text) => text.replace(/^.*--dport 9735 .*\n/m, "")],
    ["one opening more", (text) => text.replace("-A nixos-fw -j nixos-fw-log-refuse", "-A nixos-fw -p tcp -m tcp --dport 10009 -j nixos-fw-accept\n-A nixos-fw -j nixos-fw-log-refuse")],
    ["an opening on another interface", (text) => text.replace("-i nb-br", "-i eth0")],
    ["a chain that nothing enters", (text) => text.replace("-A INPUT -j nixos-fw\n", "")],
    ["a rule before the chain", (text) => text.replace("-A INPUT -j nixos-fw", "-A INPUT -j ACCEPT\n-A INPUT -j nixos-fw")],
    ["no end", (text) => text.replace("-A nixos-fw -j nixos-fw-log-refuse\n", "")],
    ["an end that lets through", (text) => text.replace("-A nixos-fw-refuse -j DROP", "-A nixos-fw-refuse -j ACCEPT")],
    ["nothing at all", () => "-P INPUT ACCEPT\n"],
  ])("does not take %s for the policy, in either family", async (_, spoil) => {
    expect(await loaded(rules())).toBe(true);
    expect(await loaded(spoil(rules()))).toBe(false);
    expect(await loaded(rules(), spoil(rules()))).toBe(false);
  });

  it("reads what a real iptables prints of the same rules, in either family", ({ skip }) => {
    const script = (program: string): string => [
      "set -e", `program=${program}`, ...rules().split("\n").filter((line) => line.startsWith("-N ")).map((line) => `$program -w ${line}`),
      // NixOS's script writes the interface behind the jump.
      ...rules().split("\n").filter((line) => line.startsWith("-A ")).map((line) => `$program -w ${line.replace("-i nb-br -p tcp -m tcp --dport 9050 -j nixos-fw-accept", "-p tcp --dport 9050 -j nixos-fw-accept -i nb-br")}`),
      "$program -w -S",
    ].join("\n");
    for (const program of ["iptables", "ip6tables"]) {
      if (process.getuid!() !== 0 || spawnSync(program, ["--version"]).error !== undefined) return skip(`needs root and ${program}`);
      const printed = execFileSync("unshare", ["--net", "sh", "-c", script(program)], { timeout: 20_000 }).toString();
      expect(filtersAs(firewall.ruleset, printed), printed).toBe(true);
    }
  });

  it("says no where there is no iptables, whatever nftables has loaded", async () => {
    const { told } = await probed({ systemctl: { stdout: "" }, nft: { stdout: listed("abc") }, iptables: { exitCode: 1 }, ip6tables: { exitCode: 1 }, wg: { exitCode: 1 } }, firewall);
    expect(told).toMatchObject({ firewallLoaded: false });
  });
});

describe("policyMark", () => {
  it("is the table's own comment, never a rule's", () => {
    expect(policyMark(ruleset("abc"))).toBe("policy abc");
    expect(policyMark(listed("abc"))).toBe("policy abc");
    expect(policyMark(listed("abc").replace('\tcomment "policy abc"\n', ""))).toBeUndefined();
  });

  it("survives nft's own check and listing", ({ skip }) => {
    let checked: string;
    try {
      checked = execFileSync("unshare", ["--net", "sh", "-c", "nft -f - && nft list table inet holdfast"], { input: ruleset("abc"), stdio: ["pipe", "pipe", "pipe"] }).toString();
    } catch (error) {
      if (process.getuid!() === 0 && (error as NodeJS.ErrnoException).code !== "ENOENT" && !/not found/.test(String((error as { stderr?: unknown }).stderr))) throw error;
      return skip("needs root, unshare and nft");
    }
    expect(policyMark(checked)).toBe("policy abc");
  });
});

describe("parseTunnel", () => {
  it("knows an interface without peers, and one whose peers never called", () => {
    expect(parseTunnel("PRIVATE\tPUBLIC\t51820\toff\n")).toEqual({ publicKey: "PUBLIC", port: 51820, peers: 0, lastHandshake: null, handshakes: {} });
    expect(parseTunnel(dump.replace("1700000000", "0"))?.lastHandshake).toBeNull();
  });
});
