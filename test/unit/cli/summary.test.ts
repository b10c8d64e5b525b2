import { describe, expect, it } from "vitest";
import type { NodeStatus } from "../../../cli/nodes.js";
import { summary } from "../../../cli/summary.js";

const now = new Date("2026-11-21T12:00:00Z");
const key = `02${"ab".repeat(32)}`;
const status: NodeStatus = {
  name: "alice", address: "10.231.9.10", generation: 2, nodePublicKey: key,
  gate: { format: "holdfast-gate/1", state: "open", decision: "restore", phase: "open", nodePublicKey: key, changed: now.toISOString() },
  system: { state: "committed", toplevel: "/nix/store/x-rehearsal-alice", previous: "none" },
  probe: {
    system: "/nix/store/x-rehearsal-alice", failedUnits: [], firewallLoaded: true, secretsVersion: 1,
    tunnel: { publicKey: "K=", port: 51820, peers: 2, lastHandshake: now.getTime() / 1000 - 7, handshakes: {} },
  },
  ports: [
    { port: 22, name: "ssh", wanted: "open", answer: "open" }, { port: 9735, name: "lightning", wanted: "open", answer: "refused" },
    { port: 10009, name: "lnd-grpc", wanted: "closed", answer: "silent" },
  ],
};
const { gate: _gate, system: _system, probe: _probe, ...away } = status;

describe("a node's summary", () => {
  it("says who the node is, how its gate, system and tunnel are, and where the peers' configurations are", () => {
    const text = summary(status, ["phone", "laptop"], now);
    for (const words of [key, "10.231.9.10 (host generation 2)", "open (restore)", "committed /nix/store/x-rehearsal-alice", "up on UDP 51820, 2 peers, last handshake 7 s ago",
      "holdfast wg show phone; holdfast wg show laptop"]) expect(text).toContain(words);
  });

  it("says in words that a node has no tunnel, and marks one that should not be there", () => {
    const bare = { ...status, probe: { ...status.probe!, tunnel: null } };
    expect(summary(bare, undefined, now)).toMatch(/tunnel +none: this node has no tunnel$/m);
    expect(summary(bare, [], now)).toMatch(/tunnel +.*down/);
    expect(summary(status, undefined, now)).toMatch(/tunnel +.*up on UDP 51820, and the stack gives this node none/);
    expect(summary(status, undefined, now)).not.toContain("wg show");
  });

  it("marks a port whose answer is not the wanted one, and only that", () => {
    const ports = summary(status, [], now).split("\n").find((line) => line.includes("from outside"))!;
    expect(ports).toContain("9735 lightning refused (wanted open)");
    expect(ports).toContain("10009 lnd-grpc closed");
    expect(ports.match(/wanted/g)).toHaveLength(1);
    const leak = summary({ ...status, ports: [{ port: 10009, name: "lnd-grpc", wanted: "closed", answer: "refused" }] }, [], now);
    expect(leak).toContain("10009 lnd-grpc refused (wanted closed)");
  });

  it("says why a gate is shut and what to do", () => {
    const text = summary({ ...status, gate: { ...status.gate!, state: "stop", reason: "the wallet is another node's", remedy: "Put its disk back." } }, [], now);
    expect(text).toContain("stop: the wallet is another node's");
    expect(text).toContain("Put its disk back.");
  });

  it("says how old the last backup is, and what keeps a newer one from being sent", () => {
    const backup = { format: "holdfast-backup-report/1" as const, lastBackup: "2026-11-21T11:59:20Z", sequence: 7 };
    expect(summary({ ...status, backup }, [], now)).toMatch(/backup +40 s ago \(sequence 7\)$/m);
    expect(summary({ ...status, backup: { ...backup, lastBackup: "2026-11-18T11:00:00Z" } }, [], now)).toContain("3 days ago (sequence 7)");
    expect(summary({ ...status, backup: { ...backup, pendingSince: "2026-11-21T11:00:00Z", trouble: "the store does not answer" } }, [], now)).toContain("a newer one waits since 60 minutes ago: the store does not answer");
    expect(summary({ ...status, backup: { format: "holdfast-backup-report/1" } }, [], now)).toMatch(/backup +none yet/);
    expect(summary({ ...status, backupUnknown: "wants one of: contact\nmore" }, [], now)).toMatch(/backup +unknown: wants one of: contact$/m);
  });

  it("says so when a host is away, its tunnel down, or nobody was asked", () => {
    expect(summary({ ...away, unreachable: "no answer in time" }, [], now)).toContain("no answer in time");
    expect(summary({ ...status, probe: { ...status.probe!, tunnel: null } }, [], now)).toMatch(/tunnel +down/);
    expect(summary({ ...away, known: { gate: "open", decision: "fresh", system: "/nix/store/y" } }, [], now)).toContain("open (fresh), at the last change");
  });
});
