import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { combinationFindings, needs, worksOn } from "../../../config/combinations.js";
import { bitcoinPorts, servicePorts } from "../../../config/ports.js";
import { nodeSchema } from "../../../config/schema.js";
import { networks, type Network } from "../../../formats/place.js";
import type { Service } from "../../../formats/services.js";
import type { NixosSettings } from "../../../formats/settings.js";
import { announceMissing, evaluate, nixFolder } from "./evaluate.js";
import { evaluateShowing, everything, refusals, stackNode } from "./stackNode.js";

const hostKey = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"h".repeat(43)}`;
interface Combination {
  readonly services: readonly Service[];
  readonly network?: Network;
  readonly lightning?: { readonly p2pPort?: number; readonly clightningPort?: number; readonly restPort?: number };
  readonly published?: NixosSettings["published"];
}

/** What the stack says of a combination in preview. */
const inPreview = ({ services, network = "mainnet", lightning = {}, published = [] }: Combination): string[] => combinationFindings("alice", nodeSchema.parse({
  host: { commodity: { address: "10.231.9.10", hostKey } }, identity: "seed.json", backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: "p" },
  services, lightning, nixos: { published },
}), network).map(({ path, wanted }) => `${path} ${wanted}`);

/** What Nix says of the same about services, its first lines. */
async function inNix({ services, network = "mainnet", lightning = {}, published = [] }: Combination): Promise<string[]> {
  const settings = stackNode({ network, services: ["bitcoind", ...services, "wireguard", "offsite-backup"], nixos: { published } });
  return aboutServices(refusals(await evaluate({ ...settings, lightning: { ...settings.lightning, ...lightning } })));
}
const aboutServices = (lines: readonly string[]): string[] => lines.filter((line) => /^holdfast\.services|is on, and holdfast\.network\.name/.test(line));
/** An assertion, whatever it found this time. */
const kindOf = (line: string): string => line.replace(/holdfast\.network\.name is \w+:.*/, "").replace(/^(holdfast\.services: ).*/, "$1").replace(/^(holdfast\.services\.published names ).*, which/, "$1, which");

/** Every combination that is refused: from the stack's own tables, and the others by hand. */
type Case = readonly [string, Combination, RegExp];
const baseOf = (service: Service): readonly Service[] => (needs[service]?.includes("lnd") ?? true ? [] : needs[service]!.slice(0, 1));
const cases: readonly Case[] = [
  ...(Object.keys(needs) as Service[]).map((service): Case => [`${service} alone`, { services: needs[service]!.includes("lnd") ? [service] : ["lnd", service] }, /stands on|has no lnd/]),
  ...(Object.entries(worksOn) as [Service, readonly Network[]][]).flatMap(([service, works]) => networks.filter((network) => !works.includes(network)).map((network): Case =>
    [`${service} on ${network}`, { network, services: ["lnd", ...baseOf(service), service] }, new RegExp(`does not work on ${network}`)])),
  ["two Electrum servers", { services: ["lnd", "electrs", "fulcrum"] }, /serve Electrum/],
  ["no LND", { services: ["clightning"] }, /has no lnd/],
  ["a page of nothing", { services: ["lnd"], published: ["rtl"] }, /is not among the services/],
  ["LND and Core Lightning on one port", { services: ["lnd", "clightning"], lightning: { clightningPort: 9735 } }, /is the port of lightning\.p2pPort/],
  ["REST on Loop's port", { services: ["lnd", "lightning-loop"], lightning: { restPort: 8081 } }, /is the port of lightning-loop/],
  ["LND on bitcoind's", { services: ["lnd"], network: "signet", lightning: { p2pPort: 38333 } }, /is the port of bitcoind/],
];

describe("what the stack refuses in preview and Nix asserts", () => {
  it("stands on one table of what needs what", () => {
    expect(JSON.parse(readFileSync(join(nixFolder, "modules/services/needs.json"), "utf8"))).toEqual(needs);
  });
});

describe.skipIf(announceMissing())("a combination of services that is refused", () => {
  const seen = new Set<string>();

  it.each(cases)("is so in preview and in Nix: %s", async (_, combination, words) => {
    expect(inPreview(combination).join("\n")).toMatch(words);
    const refused = await inNix(combination);
    expect(refused).not.toEqual([]);
    for (const line of refused) seen.add(kindOf(line));
  });

  it("is one of those above: Nix has no other assertion about services", async () => {
    const { shown } = await evaluateShowing(stackNode(), `map ({ message, ... }: builtins.head (builtins.filter builtins.isString (builtins.split "\\n" message))) config.assertions`);
    const known = aboutServices(shown as unknown as string[]).map(kindOf);
    // Published pages without a tunnel: test/unit/nix/services.test.ts, for here every node has one.
    expect(known.filter((line) => !seen.has(line) && !line.includes("there is no tunnel"))).toEqual([]);
    expect(known.length).toBeGreaterThan(12);
  });

  it("is none of what may go together, on any network", async () => {
    for (const network of networks) {
      const services = everything.filter((service) => (worksOn[service]?.includes(network) ?? true) && !["bitcoind", "wireguard", "offsite-backup"].includes(service));
      expect(inPreview({ services, network }), network).toEqual([]);
      expect(await inNix({ services, network }), network).toEqual([]);
    }
  });
});

describe.skipIf(announceMissing())("the ports of services", () => {
  it.each(networks)("are on %s what the stack keeps free of others", async (network) => {
    const services = everything.filter((service) => worksOn[service]?.includes(network) ?? true);
    const found = async (some: readonly Service[]): Promise<Record<string, number[]>> =>
      ((await evaluateShowing(stackNode({ network, services: some }), "config.holdfast.services.ports")).shown as Record<string, number[]>);
    const evaluated = { ...await found([...services.filter((service) => service !== "fulcrum" && service !== "mempool"), "electrs"]), ...await found(services) };
    const rpc = { mainnet: 8332, testnet4: 48332, signet: 38332, regtest: 18443 }[network];
    const sorted = (ports: readonly number[]): number[] => [...ports].sort((a, b) => a - b);
    for (const [service, ports] of Object.entries(evaluated)) {
      const own = service === "bitcoind" ? [bitcoinPorts[network], rpc] : [];
      // bitcoind has its second door for NBXplorer alone.
      const wanted = servicePorts[service as Service]!.filter((port) => port !== 8335 || services.includes("btcpayserver"));
      expect(sorted(ports), service).toEqual(sorted([...wanted, ...own]));
    }
    expect(Object.keys(servicePorts).filter((service) => !(service in evaluated) && (worksOn[service as Service]?.includes(network) ?? true))).toEqual([]);
  });
});
