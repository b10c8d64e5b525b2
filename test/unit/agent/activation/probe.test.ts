import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { parseTunnel, policyMark, probe } from "../../../../agent/activation/probe.js";
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
  firewall: { policy: [], ruleset: ruleset("abc") },
  backup: { repository: "rest:https://192.0.2.1/", user: "alice" },
};
const dump = ["PRIVATE\tPUBLIC\t51820\toff", "p1\tPSK\t192.0.2.9:1000\t10.10.0.2/32\t1700000000\t1\t2\toff", "p2\tPSK\t(none)\t10.10.0.3/32\t0\t0\t0\toff", ""].join("\n");

async function probed(answers: Record<string, { stdout?: string; exitCode?: number }>): Promise<{ told: unknown; commands: string[] }> {
  const answer: Answer = (argv) => answers[argv[0]!];
  const { site, commands } = await standIn(answer);
  await mkdir(dirname(site.layout.settings), { recursive: true });
  await writeFile(site.layout.settings, JSON.stringify(settings));
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
