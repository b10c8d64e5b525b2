import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { worksOn } from "../../../config/combinations.js";
import { networks } from "../../../formats/place.js";
import { announceMissing, evaluate, nixFolder, type Evaluated, type Unit } from "./evaluate.js";
import { everything, stackNode } from "./stackNode.js";

const nodes = {
  default: stackNode(),
  everything: stackNode({ services: everything, nixos: { published: ["btcpayserver", "rtl", "mempool"] } }),
  "hardened-extended": stackNode({ nixos: { preset: "hardened-extended" } }),
  bunker: stackNode({ services: ["bitcoind", "lnd", "bunker", "wireguard", "offsite-backup"], bunker: { relays: ["wss://relay.example.org"], admins: [] } }),
  netns: stackNode({ tunnel: "none", nixos: { isolation: "netns" } }),
};

/** Settings of [Service] by which a unit is confined, and by which it is given secrets. */
const confinement = /^(User|Group|DynamicUser|LoadCredential|EnvironmentFile|CapabilityBoundingSet|AmbientCapabilities|NoNewPrivileges|Protect\w+|Private\w+|Restrict\w+|IPAddress(Allow|Deny)|MemoryDenyWriteExecute|SystemCall\w+|ReadWritePaths|SupplementaryGroups|Type|Restart)$/;
const dependencies = ["after", "before", "requires", "wants", "bindsTo", "partOf", "conflicts", "wantedBy", "requiredBy"] as const;
const sorted = (values: Iterable<string>) => [...new Set(values)].sort();

const unitFacts = (unit: Unit) => ({
  ...Object.fromEntries(dependencies.flatMap((kind) => (unit[kind].length === 0 ? [] : [[kind, sorted(unit[kind])]]))),
  ...Object.fromEntries(Object.entries(unit.serviceConfig ?? {}).filter(([key]) => confinement.test(key)).sort(([a], [b]) => a.localeCompare(b))),
});

/** What decides about a node's security and order, and nothing that changes with a version. */
const facts = (evaluated: Evaluated) => ({
  secrets: evaluated.secrets,
  users: Object.fromEntries(Object.entries(evaluated.users).map(([name, { group, extraGroups }]) => [name, sorted([group, ...extraGroups])])),
  onionServices: evaluated.onionServices,
  wireguard: evaluated.wireguard,
  ...(evaluated.firewall.enable && { firewall: { ...evaluated.firewall, extraCommands: evaluated.firewall.extraCommands.split("\n") } }),
  nftables: { ruleset: evaluated.nftables.ruleset.split("\n"), tables: evaluated.nftables.tables },
  openssh: evaluated.openssh,
  units: Object.fromEntries(Object.entries(evaluated.units).sort(([a], [b]) => a.localeCompare(b)).map(([name, unit]) => [name, unitFacts(unit)])),
  assertions: evaluated.assertions,
});

/** What a daemon runs and reads, without the parts of store paths that change with any version. */
const plain = (text: string): string => text.replaceAll(/\/nix\/store\/[0-9a-z]{32}-/g, "/nix/store/-").trim();
const configurations = ["lnd.conf", "config", "elements.conf"];

/** What a network decides: configurations, commands, and that nothing of it is refused or on its way out. */
const networkFacts = (evaluated: Evaluated) => ({
  warnings: evaluated.warnings, assertions: evaluated.assertions, undeclared: evaluated.undeclared, onionServices: evaluated.onionServices,
  configurations: Object.fromEntries(evaluated.files.filter(({ path }) => configurations.some((name) => path.endsWith(`-${name}`)))
    .map(({ path, text }) => [path.replace(/.*\/[0-9a-z]{32}-/, ""), plain(text).split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.trim())])),
  commands: Object.fromEntries(Object.entries(evaluated.units).sort(([a], [b]) => a.localeCompare(b)).flatMap(([name, { serviceConfig }]) =>
    (typeof serviceConfig?.["ExecStart"] === "string" && serviceConfig["User"] !== undefined ? [[name, plain(serviceConfig["ExecStart"]).split(/\s+/).filter((word) => word !== "\\").join(" ")]] : []))),
});

// The expectations are data: nix/checks/expected/. A change there is a change of what runs, to be read; `npx vitest run -u test/unit/nix/expected.test.ts` writes them.
describe.skipIf(announceMissing())("a node's order, confinement, owners and rules are as nix/checks/expected says", () => {
  it.each(Object.entries(nodes))("%s", async (name, settings) => {
    const found = `${JSON.stringify(facts(await evaluate(settings)), null, 1)}\n`;
    await expect(found).toMatchFileSnapshot(join(nixFolder, `checks/expected/${name}.json`));
  });
});

describe.skipIf(announceMissing())("everything that can go together on a network runs and reads what nix/checks/expected says, without a warning", () => {
  it.each(networks)("%s", async (network) => {
    const services = everything.filter((service) => worksOn[service]?.includes(network) ?? true);
    const evaluated = await evaluate(stackNode({ network, services }));
    // nix-bitcoin warns of its deprecated and renamed options.
    expect(evaluated.warnings).toEqual([]);
    await expect(`${JSON.stringify(networkFacts(evaluated), null, 1)}\n`).toMatchFileSnapshot(join(nixFolder, `checks/expected/everything-on-${network}.json`));
  });
});

describe.skipIf(announceMissing())("an option that nix-bitcoin has renamed", () => {
  it("is warned of: the look at warnings can fail", async () => {
    const { warnings } = await evaluate(stackNode(), '{ services.lnd.rpclisten = "127.0.0.1"; }');
    expect(warnings.join("\n")).toMatch(/rpclisten/);
  });
});
