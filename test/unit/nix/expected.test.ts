import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { announceMissing, evaluate, nixFolder, type Evaluated, type Unit } from "./evaluate.js";
import { everything, stackNode } from "./stackNode.js";

const nodes = {
  default: stackNode(),
  everything: stackNode({ services: everything, nixos: { published: ["btcpayserver", "rtl", "mempool"] } }),
  "hardened-extended": stackNode({ nixos: { preset: "hardened-extended" } }),
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
  nftables: { ruleset: evaluated.nftables.ruleset.split("\n"), tables: evaluated.nftables.tables },
  openssh: evaluated.openssh,
  units: Object.fromEntries(Object.entries(evaluated.units).sort(([a], [b]) => a.localeCompare(b)).map(([name, unit]) => [name, unitFacts(unit)])),
  assertions: evaluated.assertions,
});

// The expectations are data: nix/checks/expected/. A change there is a change of what runs, to be read; `npx vitest run -u test/unit/nix/expected.test.ts` writes them.
describe.skipIf(announceMissing())("a node's order, confinement, owners and rules are as nix/checks/expected says", () => {
  it.each(Object.entries(nodes))("%s", async (name, settings) => {
    const found = `${JSON.stringify(facts(await evaluate(settings)), null, 1)}\n`;
    await expect(found).toMatchFileSnapshot(join(nixFolder, `checks/expected/${name}.json`));
  });
});
