import { describe, expect, it } from "vitest";
import { announceMissing, evaluate } from "./evaluate.js";
import { evaluateShowing, refusals, stackNode } from "./stackNode.js";

describe.skipIf(announceMissing())("the node's end of its tunnels", () => {
  it("has every peer behind its own preshared key, and lets one that must still prove itself reach nothing", async () => {
    const { wireguard } = await evaluate(stackNode());
    expect(wireguard["wg-node"]).toMatchObject({
      ips: ["10.10.0.1/24"], listenPort: 51820, privateKey: null, privateKeyFile: "/etc/nix-bitcoin-secrets/wg-node-private-key", allowedIPsAsRoutes: false,
      peers: [
        { name: "phone", publicKey: `${"A".repeat(43)}=`, presharedKey: null, presharedKeyFile: "/etc/nix-bitcoin-secrets/wg-psk-phone", allowedIPs: ["10.10.0.2/32"] },
        { name: "laptop", publicKey: `${"B".repeat(43)}=`, presharedKeyFile: "/etc/nix-bitcoin-secrets/wg-psk-laptop", allowedIPs: ["10.10.0.3/32"] },
        { name: "phone-next", publicKey: `${"Z".repeat(43)}=`, presharedKeyFile: "/etc/nix-bitcoin-secrets/wg-psk-phone.2", allowedIPs: [] },
      ],
    });
  });

  it("comes after its secrets, not without them, and its peers come after it", async () => {
    const { units, secrets } = await evaluate(stackNode());
    const unit = units["wireguard-wg-node.service"]!;
    expect(unit.after).toContain("nix-bitcoin-secrets.target");
    expect(unit.requires).toContain("nix-bitcoin-secrets.target");
    for (const peer of ["phone", "laptop", "phone-next"]) expect(units[`wireguard-wg-node-peer-${peer}.service`]!.requires).toEqual(["wireguard-wg-node.service"]);
    for (const file of ["wg-node-private-key", "wg-psk-phone", "wg-psk-laptop", "wg-psk-phone.2"]) expect(secrets[file]).toEqual({ owner: "root", group: "root", mode: "400" });
  });

  it("carries LND's REST beside loopback, while Tor stays enforced for all the rest", async () => {
    const { units, files, shown } = await evaluateShowing(stackNode(), "{ inherit (lnd) restAddress; inherit (lnd.tor) enforce proxy; }");
    expect(shown).toEqual({ restAddress: "127.0.0.1", enforce: true, proxy: true });
    const lnd = units["lnd.service"]!;
    expect(lnd.after).toContain("wireguard-wg-node.service");
    expect(lnd.serviceConfig).toMatchObject({ IPAddressDeny: "any", IPAddressAllow: ["127.0.0.1/32", "::1/128", "169.254.0.0/16", "10.10.0.1/24"] });
    expect([...files.find(({ path }) => path.endsWith("-lnd.conf"))!.text.matchAll(/^restlisten=.*$/gm)].map(([line]) => line)).toEqual(["restlisten=127.0.0.1:8080", "restlisten=10.10.0.1:8080"]);
  });

  it("is refused together with network namespaces, in words that say what to turn off", async () => {
    const { assertions } = await evaluate(stackNode(), "{ nix-bitcoin.netns-isolation.enable = true; }");
    expect(assertions.find((message) => message.startsWith("holdfast.wireguard"))).toBe(
      "holdfast.wireguard and nix-bitcoin.netns-isolation are both on, and the namespaces would hide every service from the tunnels.\n"
      + "Turn one of them off in the stack file: `isolation: none` keeps the tunnels, `tunnel: none` the namespaces.\n");
  });

  it("is not there, and opens nothing, where the node has none", async () => {
    const evaluated = await evaluate(stackNode({ services: ["bitcoind", "lnd", "offsite-backup"] }));
    expect(refusals(evaluated)).toEqual([]);
    expect(evaluated.wireguard).toEqual({});
    expect(evaluated.units["lnd.service"]!.serviceConfig!["IPAddressAllow"]).toEqual(["127.0.0.1/32", "::1/128", "169.254.0.0/16"]);
  });
});
