import { describe, expect, it } from "vitest";
import { publishedPorts } from "../../../config/ports.js";
import { secretsOf } from "../../../components/secrets/registry.js";
import { networks } from "../../../formats/place.js";
import { services as known, type Service } from "../../../formats/services.js";
import { announceMissing, evaluate } from "./evaluate.js";
import { evaluateShowing, everything, refusals, stackNode } from "./stackNode.js";

const usual: readonly Service[] = ["bitcoind", "lnd", "wireguard", "offsite-backup"];
const pages = ["btcpayserver", "rtl", "mempool"] as const;
const enabled = `{ ${everything.filter((service) => !["nodeinfo", "wireguard", "offsite-backup"].includes(service)).map((service) => `${service} = config.services.${service}.enable;`).join(" ")} electrs = electrs.enable; }`;

describe.skipIf(announceMissing())("a node's services", () => {
  it.each<[Service, readonly Service[]]>([
    ["lnd", []], ["lightning-loop", []], ["clightning", []], ["electrs", []], ["fulcrum", []], ["btcpayserver", []], ["rtl", []], ["mempool", ["electrs"]], ["mempool", ["fulcrum"]],
    ["joinmarket", []], ["joinmarket-ob-watcher", ["joinmarket"]], ["liquidd", []], ["nodeinfo", []],
  ])("switches %s on with what it needs, and NixOS takes it", async (service, also) => {
    const services = [...new Set([...usual, service, ...also])];
    const evaluated = await evaluateShowing(stackNode({ services }), enabled);
    expect({ refused: refusals(evaluated), undeclared: evaluated.undeclared }).toEqual({ refused: [], undeclared: [] });
    const on = Object.keys(evaluated.shown).filter((name) => evaluated.shown[name] === true).sort();
    expect(on).toEqual(services.filter((one) => !["nodeinfo", "wireguard", "offsite-backup"].includes(one)).sort());
  });

  it("has the secrets of all of them in its bundle, owned as nix-bitcoin wants them", async () => {
    const settings = stackNode({ services: everything });
    const { secrets } = await evaluate(settings);
    const bundle = new Map(secretsOf(everything, [{ name: "phone" }, { name: "laptop" }]).map((secret) => [secret.file, secret]));
    for (const [file, { owner, group }] of Object.entries(secrets)) {
      if (file === "wg-psk-phone.2") continue;
      expect({ file, owner: bundle.get(file)?.owner, group: bundle.get(file)?.group }).toEqual({ file, owner, group });
    }
  });

  it("lets the parts find each other: BTCPay and RTL with LND, mempool with its Electrum server", async () => {
    const { shown } = await evaluateShowing(stackNode({ services: everything }), `{
      btcpay = btcpayserver.lightningBackend; rtl = { lnd = rtl.nodes.lnd.enable; clightning = rtl.nodes.clightning.enable; }; mempool = mempool.electrumServer;
      ports = { lnd = lnd.port; clightning = clightning.port; };
    }`);
    expect(shown).toEqual({ btcpay: "lnd", rtl: { lnd: true, clightning: true }, mempool: "fulcrum", ports: { lnd: 9735, clightning: 9736 } });
  });

  it.each(networks)("has LND's watchtower client on by default, and shows the node's alias, on %s", async (network) => {
    const { files } = await evaluate(stackNode({ network }));
    const conf = files.find(({ path }) => path.endsWith("-lnd.conf"))!.text;
    expect(conf).toMatch(/^wtclient\.active=true$/m);
    expect(conf).toMatch(/^alias=alice$/m);
  });

  it("fetches BTCPay's exchange rates through Tor where that is enforced, and speaks to its own daemons directly", async () => {
    const environment = async (tor: "enforced" | "optional"): Promise<Record<string, string | null>> =>
      (await evaluate(stackNode({ services: everything, nixos: { tor, published: ["btcpayserver"] } }))).units["btcpayserver.service"]!.environment;
    expect(await environment("enforced")).toMatchObject({ ALL_PROXY: "socks5://127.0.0.1:9050", NO_PROXY: "127.0.0.1,::1,localhost,10.10.0.1" });
    expect(await environment("optional")).not.toHaveProperty("ALL_PROXY");
  });

  it("lets MariaDB and PostgreSQL answer on sockets and loopback alone", async () => {
    const { shown } = await evaluateShowing(stackNode({ services: everything }), "{ mysql = mysql.settings.mysqld.skip-networking; postgresql = postgresql.enableTCPIP; }");
    expect(shown).toEqual({ mysql: true, postgresql: false });
  });

  it("publishes a page inside the tunnel alone, on the port that the policy opens", async () => {
    const address = "{ btcpayserver = btcpayserver.address; rtl = rtl.address; mempool = mempool.frontend.address; ports = { btcpayserver = btcpayserver.port; rtl = rtl.port; mempool = mempool.frontend.port; }; }";
    const settings = stackNode({ services: everything, nixos: { published: [...pages] } });
    const { shown, units, onionServices } = await evaluateShowing(settings, address);
    expect(shown).toEqual({ btcpayserver: "10.10.0.1", rtl: "10.10.0.1", mempool: "10.10.0.1", ports: publishedPorts });
    for (const unit of ["btcpayserver", "rtl", "nginx"]) {
      expect(units[`${unit}.service`]!.after).toContain("wireguard-wg-node.service");
      expect(units[`${unit}.service`]!.serviceConfig!["IPAddressAllow"]).toContain("10.10.0.1/24");
    }
    for (const page of pages) expect(settings.firewall.policy.find(({ name }) => name === page)).toMatchObject({ port: publishedPorts[page], from: "tunnel" });
    expect(Object.keys(onionServices).filter((name) => /btcpay|rtl|mempool/.test(name))).toEqual([]);
    const { shown: closed, onionServices: none } = await evaluateShowing(stackNode({ services: everything }), address);
    expect(closed).toMatchObject({ btcpayserver: "127.0.0.1", rtl: "127.0.0.1", mempool: "127.0.0.1" });
    expect(Object.keys(none).filter((name) => /btcpay|rtl|mempool/.test(name))).toEqual([]);
  });

  it.each<[string, string, string]>([
    ["two Electrum servers", '"electrs" "fulcrum"', "holdfast.services.enabled has electrs and fulcrum, and both serve Electrum on port 50001."],
    ["mempool alone", '"mempool"', "holdfast.services.enabled has mempool, and nothing that it stands on."],
  ])("refuses %s", async (_, names, words) => {
    expect(refusals(await evaluate(stackNode(), `{ holdfast.services.enabled = [ "lnd" ${names} ]; }`)).filter((line) => line.startsWith("holdfast.services"))).toEqual([words]);
  });

  it("refuses to publish what is not there, and what no tunnel would carry", async () => {
    const refused = refusals(await evaluate({ ...stackNode({ services: ["bitcoind", "lnd", "offsite-backup"] }), services: ["bitcoind", "lnd", "offsite-backup"] }, '{ holdfast.services.published = [ "rtl" ]; }'));
    expect(refused).toEqual([
      "holdfast.services.published names rtl, which is not in holdfast.services.enabled.",
      "holdfast.services.published is not empty, and holdfast.wireguard is off: there is no tunnel that would carry the pages.",
    ]);
  });

  it("knows every service of the format, or leaves it to a module of ours", async () => {
    await expect(evaluate(stackNode(), '{ holdfast.services.enabled = [ "clightning-replication" ]; }')).rejects.toThrow(/holdfast\.services\.enabled/);
    const ours = ["wireguard", "offsite-backup", "data-volume", "encrypted-root", "bunker"];
    const withheld = ["clightning-replication", "backups"];
    const { undeclared } = await evaluate(stackNode(), `{ holdfast.services.enabled = [ ${known.filter((service) => ![...ours, ...withheld].includes(service)).map((service) => `"${service}"`).join(" ")} ]; }`);
    expect(undeclared).toEqual([]);
  });
});
