import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { policyMark } from "../../../agent/activation/probe.js";
import { announceMissing, evaluate } from "./evaluate.js";
import { evaluateShowing, everything, refusals, stackNode } from "./stackNode.js";

const all = stackNode({ services: everything, nixos: { published: ["btcpayserver", "rtl", "mempool"] } });

describe.skipIf(announceMissing())("the host's firewall", () => {
  it("is the stack's ruleset to the letter, mark and all, and nft takes it", async () => {
    const { nftables } = await evaluate(all);
    expect(nftables.enable).toBe(true);
    expect(nftables.ruleset.trimEnd()).toBe(all.firewall.ruleset.trimEnd());
    expect(policyMark(nftables.ruleset)).toMatch(/^policy [0-9a-f]{32}$/);
    execFileSync("nft", ["-c", "-f", "-"], { input: nftables.ruleset, stdio: ["pipe", "pipe", "pipe"] });
  });

  it("stands alone: NixOS's own is off, whatever module opens ports there, and other tables stay", async () => {
    const { firewall, nftables, shown } = await evaluateShowing(all, "{ inherit (config.networking.nftables) flushRuleset extraDeletions; }", "{ networking.firewall.allowedTCPPorts = [ 8332 ]; }");
    expect(firewall.enable).toBe(false);
    expect(Object.keys(nftables.tables)).toEqual([]);
    expect(shown).toEqual({ flushRuleset: false, extraDeletions: "table inet holdfast\ndelete table inet holdfast\n" });
  });

  it("is refused beside network namespaces, where it would filter nothing", async () => {
    const { assertions } = await evaluate(stackNode({ tunnel: "none" }), "{ nix-bitcoin.netns-isolation.enable = true; }");
    expect(assertions.find((message) => message.startsWith("holdfast.firewall"))).toMatch(/call iptables.*\nTurn one of them off: `isolation: none`/);
  });

  it("is refused beside rules that a module would add to NixOS's own, which would do nothing", async () => {
    expect(refusals(await evaluate(all, '{ networking.firewall.extraCommands = "iptables -A nixos-fw -p tcp --dport 1 -j ACCEPT"; }'))).toEqual([
      "networking.firewall.extraCommands is set, and NixOS's own firewall is off: holdfast.firewall stands in its place.",
    ]);
  });
});
