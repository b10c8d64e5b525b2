import { describe, expect, it } from "vitest";
import { services, type Service } from "../../../formats/services.js";
import { announceMissing, evaluate } from "./evaluate.js";
import { ownersThatAreNot, scriptFaults, secretsThatAreNot, unitFaults, unitsThatAreNot } from "./lints.js";
import { evaluateShowing, everything, refusals, stackNode, type Change } from "./stackNode.js";

const isolated = (change: Change = {}) => stackNode({ ...change, tunnel: "none", nixos: { isolation: "netns", ...change.nixos } });
const withoutTunnel: readonly Service[] = everything.filter((service) => service !== "wireguard");

/** What no stack would hand over. */
const withTunnel = { ...stackNode(), nixos: isolated().nixos, firewall: isolated().firewall };
const withNftables = { ...isolated(), firewall: stackNode({ tunnel: "none" }).firewall };

describe.skipIf(announceMissing())("a node without a tunnel whose services are in network namespaces", () => {
  it.each<[string, Change]>([
    ["as every node is", {}],
    ["with every service", { services: withoutTunnel }],
    ["on the clear net beside Tor", { services: withoutTunnel, nixos: { tor: "optional" } }],
    ["hardened", { nixos: { preset: "hardened-extended" } }],
    ["on signet", { network: "signet" }],
  ])("is refused by no assertion, and sound in its units, owners, secrets and scripts: %s", async (_, change) => {
    const evaluated = await evaluate(isolated(change));
    expect({ refused: refusals(evaluated), undeclared: evaluated.undeclared }).toEqual({ refused: [], undeclared: [] });
    expect([...unitsThatAreNot(evaluated), ...ownersThatAreNot(evaluated), ...secretsThatAreNot(evaluated), ...await scriptFaults(evaluated), ...await unitFaults(evaluated)]).toEqual([]);
  });

  it("has neither interface nor secret nor unit of WireGuard, and no service that waits for one", async () => {
    const evaluated = await evaluate(isolated({ services: services.filter((service) => withoutTunnel.includes(service)) }));
    expect(evaluated.wireguard).toEqual({});
    expect(Object.keys(evaluated.secrets).filter((name) => name.startsWith("wg-"))).toEqual([]);
    expect(Object.entries(evaluated.units).filter(([name, { text }]) => /wireguard|wg-node/.test(name + text)).map(([name]) => name)).toEqual([]);
  });

  it("has its services in namespaces of their own, and LND's REST in LND's alone", async () => {
    const { units, files, shown } = await evaluateShowing(isolated(), "{ inherit (lnd) restAddress; inherit (lnd.tor) enforce; }");
    expect(shown).toEqual({ restAddress: "169.254.1.14", enforce: true });
    for (const service of ["bitcoind", "lnd", "lnd-unopened"]) {
      expect(units[`${service}.service`]!.serviceConfig!["NetworkNamespacePath"], service).toBe(`/var/run/netns/nb-${service.replace("-unopened", "")}`);
    }
    expect(files.find(({ path }) => path.endsWith("-lnd.conf"))!.text.match(/^restlisten=.*$/gm)).toEqual(["restlisten=169.254.1.14:8080"]);
  });

  it("has NixOS's firewall of iptables, made from the stack's policy and of nothing else", async () => {
    const settings = isolated();
    const { firewall, nftables: table, units } = await evaluate(settings, "{ networking.firewall.allowedTCPPorts = [ 10009 ]; networking.firewall.allowedUDPPorts = [ 53 ]; }");
    expect(firewall).toMatchObject({ enable: true, tcp: [], udp: [], tcpRanges: [], udpRanges: [], trustedInterfaces: ["lo"] });
    expect(Object.entries(firewall.interfaces).map(([name, { tcp, udp }]) => [name, tcp, udp])).toEqual([["nb-br", [7656, 9050], []]]);
    const rules = firewall.extraCommands.split("\n").filter((line) => line.startsWith("ip46tables "));
    expect(rules.map((line) => line.replace("ip46tables ", ""))).toEqual(settings.firewall.ruleset.trim().split("\n"));
    expect(rules.filter((line) => line.includes("--dport")).map((line) => /--dport (\d+)/.exec(line)![1])).toEqual(["22", "9735"]);
    // The namespaces' way out makes the host a router, which must not be one for others.
    expect(firewall.extraCommands).toMatch(/-A holdfast-forward -i nb-br -j RETURN\n.*ESTABLISHED,RELATED -j RETURN\n.*-A holdfast-forward -j DROP/);
    expect([table.enable, units["nftables.service"], units["firewall.service"] !== undefined]).toEqual([false, undefined, true]);
  });

  it("is refused with WireGuard, and with nftables, each by its own assertion", async () => {
    expect(refusals(await evaluate(withTunnel))).toEqual(["holdfast.wireguard and nix-bitcoin.netns-isolation are both on, and the namespaces would hide every service from the tunnels."]);
    const { assertions } = await evaluate(withNftables);
    expect(assertions).toHaveLength(1);
    expect(assertions[0]).toMatch(/^holdfast\.firewall \(nftables\) and nix-bitcoin\.netns-isolation are both on: .*iptables.*\nTurn one of them off: `isolation: none` in the stack file keeps nftables/);
    expect(refusals(await evaluate(isolated(), "{ networking.nftables.enable = true; }"))).toContainEqual(expect.stringMatching(/^networking\.nftables\.enable and nix-bitcoin\.netns-isolation are both on/));
  });

  it.each<[string, string, RegExp]>([
    ["a command that opens more", 'networking.firewall.extraCommands = "iptables -I INPUT -j ACCEPT";', /^networking\.firewall\.extraCommands has more than the stack's policy/],
    ["a port on another interface", "networking.firewall.interfaces.eth0.allowedTCPPorts = [ 10009 ];", /^networking\.firewall\.interfaces opens ports on eth0, of which the stack's policy knows nothing/],
  ])("is refused %s", async (_, extra, words) => {
    expect(refusals(await evaluate(isolated(), `{ ${extra} }`))).toEqual([expect.stringMatching(words)]);
  });
});

describe.skipIf(announceMissing())("a node without a tunnel and without namespaces", () => {
  it("keeps nftables and its policy's table, and LND's REST on loopback", async () => {
    const settings = stackNode({ tunnel: "none" });
    const evaluated = await evaluate(settings);
    expect({ refused: refusals(evaluated), undeclared: evaluated.undeclared, wireguard: evaluated.wireguard }).toEqual({ refused: [], undeclared: [], wireguard: {} });
    expect(unitsThatAreNot(evaluated)).toEqual([]);
    expect(evaluated.nftables.ruleset.trim()).toBe(settings.firewall.ruleset.trim());
    expect(evaluated.nftables.ruleset.match(/dport \d+/g)).toEqual(["dport 22", "dport 9735"]);
    expect(evaluated.files.find(({ path }) => path.endsWith("-lnd.conf"))!.text.match(/^restlisten=.*$/gm)).toEqual(["restlisten=127.0.0.1:8080"]);
  });

  it("is refused where its settings still name WireGuard among the services", async () => {
    const settings = stackNode({ tunnel: "none" });
    expect(refusals(await evaluate({ ...settings, services: [...settings.services, "wireguard"] }))).toEqual(["holdfast.wireguard is on, and has no address inside the tunnels: the settings name the service wireguard and no tunnel."]);
  });
});
