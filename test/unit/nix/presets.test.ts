import { describe, expect, it } from "vitest";
import type { NixosSettings } from "../../../formats/settings.js";
import { announceMissing, evaluate } from "./evaluate.js";
import { evaluateShowing, everything, refusals, stackNode } from "./stackNode.js";

const daemons = ["bitcoind", "lnd", "lightning-loop", "clightning", "fulcrum", "btcpayserver", "nbxplorer", "rtl", "mempool", "joinmarket", "joinmarket-ob-watcher", "liquidd"];
const tor = `{ ${daemons.map((name) => `${name} = config.services.${name}.tor.enforce;`).join(" ")} }`;

describe.skipIf(announceMissing())("a node's preset", () => {
  const sysctls = ["kernel.kptr_restrict", "net.ipv4.tcp_sack"];
  it.each<[NixosSettings["preset"], readonly string[]]>([
    ["secure-node", []], ["hardened", sysctls.slice(0, 1)], ["hardened-extended", sysctls],
  ])("%s has what the one before it has", async (preset, hardening) => {
    const evaluated = await evaluateShowing(stackNode({ nixos: { preset } }), "{ doas = config.security.doas.enable; nodeinfo = config.nix-bitcoin.nodeinfo.enable; modules = config.boot.kernelModules; }");
    expect({ refused: refusals(evaluated), undeclared: evaluated.undeclared }).toEqual({ refused: [], undeclared: [] });
    expect(evaluated.shown).toMatchObject({ doas: true, nodeinfo: true });
    expect(sysctls.filter((name) => name in evaluated.boot.sysctl)).toEqual(hardening);
    // The hardened profile locks modules: what a later activation needs is there by then.
    if (hardening.length > 0) expect(evaluated.shown["modules"]).toEqual(expect.arrayContaining(["wireguard", "nf_tables", "dm_crypt"]));
  });

  it("leaves bitcoind's cache to whoever forces another", async () => {
    const { shown } = await evaluateShowing(stackNode(), "{ inherit (bitcoind) dbCache; }", "{ lib, ... }: { services.bitcoind.dbCache = lib.mkForce 300; }");
    expect(shown).toEqual({ dbCache: 300 });
  });

});

describe.skipIf(announceMissing())("Tor", () => {
  it("is enforced for every daemon by default, BTCPay's too", async () => {
    const { shown, assertions } = await evaluateShowing(stackNode({ services: everything }), tor);
    expect(assertions).toEqual([]);
    expect(Object.entries(shown).filter(([, enforced]) => enforced !== true)).toEqual([]);
  });

  it("is beside the clear net by choice: daemons listen and dial there, and reach onion addresses through it", async () => {
    const { shown, assertions, undeclared } = await evaluateShowing(stackNode({ services: everything, nixos: { tor: "optional" } }), `{
      enforced = ${tor}; lnd = { inherit (lnd) address extraConfig; }; clightning = { inherit (clightning) address always-use-proxy proxy; }; bitcoind = { inherit (bitcoind) proxy extraConfig; };
    }`);
    expect({ assertions, undeclared }).toEqual({ assertions: [], undeclared: [] });
    expect(Object.values(shown["enforced"] as object)).toEqual(daemons.map(() => false));
    expect(shown).toMatchObject({
      lnd: { address: "0.0.0.0", extraConfig: expect.stringContaining("tor.skip-proxy-for-clearnet-targets=true") },
      clightning: { address: "0.0.0.0", "always-use-proxy": false, proxy: "127.0.0.1:9050" },
      bitcoind: { proxy: null, extraConfig: expect.stringContaining("onion=127.0.0.1:9050") },
    });
  });

  it.each<[string, string, string]>([
    ["a daemon that would leave it", "{ services.lnd.tor.enforce = false; }", "Tor is enforced (nixos.tor), and tor.enforce is off for lnd: it would speak on the clear net under the node's own address."],
    ["a daemon that listens on the clear net", '{ services.lnd.address = "0.0.0.0"; }', "Tor is enforced (nixos.tor), and lnd would listen on an address of the clear net, where systemd lets nothing through and everybody sees the port."],
    ["a daemon that tells its address", '{ services.lnd.getPublicAddressCmd = "echo 192.0.2.1"; }', "Tor is enforced (nixos.tor), and getPublicAddressCmd of lnd would tell everybody the node's address."],
  ])("enforced refuses %s, and says how it would be meant", async (_, extra, words) => {
    const evaluated = await evaluate(stackNode(), extra);
    expect(refusals(evaluated)).toEqual([words]);
    expect(evaluated.assertions[0]).toContain("`tor: optional`");
    expect(refusals(await evaluate(stackNode({ nixos: { tor: "optional" } }), extra))).toEqual([]);
  });

  it("allows an announced onion address", async () => {
    const announcing = '{ services.lnd.getPublicAddressCmd = "echo x.onion"; }';
    expect(refusals(await evaluate(stackNode(), announcing))).toHaveLength(1);
    const identities = [{ kind: "onion-key" as const, name: "lnd", publicIdentity: `${"a".repeat(56)}.onion` }];
    expect(refusals(await evaluate({ ...stackNode(), identities }))).toEqual([]);
  });
});

describe.skipIf(announceMissing())("what is for the host alone", () => {
  it.each<[string, string]>([
    ['services.bitcoind.rpc.address = "0.0.0.0"', "services.bitcoind.rpc.address is 0.0.0.0"],
    ['services.bitcoind.rpc.allowip = [ "10.10.0.0/24" ]', "services.bitcoind.rpc.allowip lets 10.10.0.0/24 speak to bitcoind's RPC"],
    ['services.lnd.rpcAddress = "10.10.0.1"', "services.lnd.rpcAddress is 10.10.0.1"],
    ['services.lnd.restAddress = "0.0.0.0"', "services.lnd.restAddress is 0.0.0.0"],
    ['services.lightning-loop.restAddress = "0.0.0.0"', "services.lightning-loop.restAddress is 0.0.0.0"],
    ['services.clightning.plugins.clnrest.address = "0.0.0.0"', "services.clightning.plugins.clnrest.address is 0.0.0.0"],
    ['services.fulcrum.address = "0.0.0.0"', "services.fulcrum.address is 0.0.0.0"],
    ['services.liquidd.rpc.address = "0.0.0.0"', "services.liquidd.rpc.address is 0.0.0.0"],
    ['services.rtl.address = "0.0.0.0"', "services.rtl.address is 0.0.0.0"],
    ['services.btcpayserver.address = "192.0.2.7"', "services.btcpayserver.address is 192.0.2.7"],
    ['services.mempool.frontend.address = "0.0.0.0"', "services.mempool.frontend.address is 0.0.0.0"],
  ])("is refused elsewhere, with a remedy: %s", async (definition, words) => {
    for (const choice of ["enforced", "optional"] as const) {
      const { assertions } = await evaluate(stackNode({ services: everything, nixos: { tor: choice } }), `{ ${definition}; }`);
      expect(assertions).toHaveLength(1);
      expect(assertions[0]).toContain(words);
      expect(assertions[0]).toMatch(/\nLeave it at 127\.0\.0\.1[,:]/);
    }
  });
});
