import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { placeOfIdentity } from "../../../agent/gate/identityFiles.js";
import { lndFiles, openedUnit, unopenedUnit } from "../../../agent/gate/host.js";
import { hostLayout } from "../../../formats/hostLayout.js";
import { networks } from "../../../formats/place.js";
import { announceMissing, evaluate, type Evaluated } from "./evaluate.js";
import { everything, gated, nodeWith, pulledIn } from "./nodes.js";

const target = hostLayout.identityTarget;
const secrets = hostLayout.secretsTarget;

/** Of each daemon: its links, each name once, sorted. */
const expected = {
  "lnd.service": {
    after: ["bitcoind.service", "lnd-unopened.service", secrets, "wireguard-wg-node.service"], requires: [secrets], wants: ["bitcoind.service"],
    wantedBy: [target], requiredBy: [], partOf: [target], conflicts: ["lnd-unopened.service"],
  },
  "lnd-unopened.service": { after: ["bitcoind.service", secrets], requires: [secrets], wants: ["bitcoind.service"], wantedBy: [], requiredBy: [], partOf: [], conflicts: [] },
  "clightning.service": { after: ["bitcoind.service", secrets], requires: [secrets], wants: ["bitcoind.service"], wantedBy: [target], requiredBy: [], partOf: [target], conflicts: [] },
  "lightning-loop.service": { after: ["lnd.service", secrets], requires: ["lnd.service", secrets], wants: [], wantedBy: [target], requiredBy: [], partOf: [target], conflicts: [] },
  "rtl.service": {
    after: ["clightning.service", "lnd.service", secrets], requires: [secrets], wants: ["clightning.service", "lnd.service"], wantedBy: [target], requiredBy: [], partOf: [target], conflicts: [],
  },
  "bitcoind.service": {
    after: ["network-online.target", secrets], requires: [secrets], wants: ["network-online.target", secrets], wantedBy: ["multi-user.target"], requiredBy: [], partOf: [], conflicts: [],
  },
  "btcpayserver.service": {
    after: ["lnd.service", "nbxplorer.service", secrets, "postgresql.target"], requires: [secrets, "postgresql.target"], wants: ["nbxplorer.service"],
    wantedBy: ["multi-user.target"], requiredBy: [], partOf: [], conflicts: [],
  },
} as const;

/** All scripts that a unit runs, its own and those in the store that it names, and theirs. */
function scriptsOf({ units, files }: Evaluated, unit: string): string {
  const texts = [units[unit]!.text];
  for (let index = 0; index < texts.length; index++) {
    for (const file of files) if (texts[index]!.includes(file.path) && !texts.includes(file.text)) texts.push(file.text);
  }
  return texts.slice(1).join("\n");
}

describe.skipIf(announceMissing())("daemons that hold an identity", () => {
  it("have these links", async () => {
    const { units, assertions } = await evaluate(nodeWith(everything));
    expect(assertions).toEqual([]);
    for (const [name, links] of Object.entries(expected)) {
      const found = Object.fromEntries(Object.keys(links).map((key) => [key, [...new Set(units[name]![key as keyof typeof links])].sort()]));
      expect(found, name).toEqual(links);
    }
  });

  it("are started by nothing that boots, whatever else is on the node", async () => {
    const { units } = await evaluate(nodeWith(everything));
    const booted = pulledIn(units, "holdfast-node.target");
    expect(booted).toEqual(expect.arrayContaining(["multi-user.target", "bitcoind.service", "btcpayserver.service", "holdfast-gate.service", "tor.service"]));
    expect(gated.filter((name) => booted.includes(name))).toEqual([]);
    expect(pulledIn(units, target).filter((name) => gated.some((one) => one === name))).toEqual(gated.filter((name) => name !== "lnd-unopened.service").sort());
  });

  it("are left alone by a switch", async () => {
    const { units } = await evaluate(nodeWith(everything));
    for (const name of gated) expect(units[name]!.unitConfig["X-OnlyManualStart"], name).toBe(true);
  });

  it("would be started without our modules: the graph is followed rightly", async () => {
    const { units } = await evaluate(nodeWith(everything), `{ lib, ... }: { holdfast.lnd-identity.enable = lib.mkForce false; holdfast.cln-identity.enable = lib.mkForce false; holdfast.backup.enable = lib.mkForce false; }`);
    expect(pulledIn(units, "multi-user.target")).toEqual(expect.arrayContaining(["lnd.service", "clightning.service", "rtl.service", "lightning-loop.service"]));
  });
});

describe.skipIf(announceMissing())("LND", () => {
  it("never makes a seed or a wallet: nix-bitcoin's script for that is nowhere in its units", async () => {
    const evaluated = await evaluate(nodeWith());
    for (const unit of [openedUnit, unopenedUnit]) {
      expect(scriptsOf(evaluated, unit)).toContain("bitcoind.rpcpass=");
      expect(scriptsOf(evaluated, unit)).not.toMatch(/lndinit|gen-seed|init-wallet|lnd-seed-mnemonic/);
    }
  });

  it("would make one without our module: the script is looked for in the right place", async () => {
    const evaluated = await evaluate(nodeWith(), `{ lib, ... }: { holdfast.lnd-identity.enable = lib.mkForce false; holdfast.backup.enable = lib.mkForce false; }`);
    expect(scriptsOf(evaluated, openedUnit)).toMatch(/lndinit.*gen-seed/);
  });

  it.each(networks)("has its wallet where the gate looks for it, on %s", async (network) => {
    const evaluated = await evaluate(nodeWith(["lnd"], { place: { environment: "prod", network, node: "alice", generation: 1 } }));
    expect(evaluated.assertions).toEqual([]);
    expect(evaluated.units[openedUnit]!.preStart).toContain(`[[ -e ${lndFiles(hostLayout, network).wallet} ]]`);
    expect(scriptsOf(evaluated, openedUnit)).toContain(`bitcoin.${network}=1`);
    expect(scriptsOf(evaluated, openedUnit)).toContain(`datadir=${hostLayout.lnd}/data\n`);
  });

  it("is closed to all but the gate while its wallet is made: no auto-unlock, no peers, loopback alone", async () => {
    const { units } = await evaluate(nodeWith());
    const preStart = units[unopenedUnit]!.preStart!;
    const configuration = run(preStart, [
      "wallet-unlock-password-file=/etc/nix-bitcoin-secrets/lnd-wallet-password", "listen=127.0.0.1:9735", "restlisten=127.0.0.1:8080", "restlisten=10.10.0.1:8080", "rpclisten=127.0.0.1:10009", "bitcoin.mainnet=1",
    ]);
    expect(configuration).toEqual(["rpclisten=127.0.0.1:10009", "bitcoin.mainnet=1", "nolisten=true", "restlisten=127.0.0.1:8080"]);
    expect(units[unopenedUnit]!.serviceConfig).toMatchObject({ User: "lnd", Type: "notify", RuntimeDirectory: "lnd-unopened", RuntimeDirectoryMode: "0700", IPAddressDeny: "any", TimeoutStartSec: "infinity" });
    expect(units[unopenedUnit]!.serviceConfig!["ExecStart"]).toMatch(/\/bin\/lnd --configfile=\/run\/lnd-unopened\/lnd\.conf$/);
    for (const gone of ["ExecStartPost", "Restart"]) expect(units[unopenedUnit]!.serviceConfig).not.toHaveProperty(gone);
  });

  it("has a door for the agent where it is in a network namespace of its own", async () => {
    const { units, assertions } = await evaluate(nodeWith(), `{ lib, ... }: {
      nix-bitcoin.netns-isolation.enable = true;
      holdfast.firewall.enable = lib.mkForce false;
      holdfast.wireguard.enable = lib.mkForce false;
    }`);
    expect(assertions).toEqual([]);
    expect(units["holdfast-lnd-door.socket"]!.text).toContain("ListenStream=127.0.0.1:8080");
    expect(units["holdfast-lnd-door.service"]!.serviceConfig!["ExecStart"]).toMatch(/systemd-socket-proxyd 169\.254\.1\.14:8080$/);
    expect(units[unopenedUnit]!.serviceConfig!["NetworkNamespacePath"]).toBe("/var/run/netns/nb-lnd");
    expect(units[unopenedUnit]!.preStart).toContain("restlisten=169.254.1.14:8080");
    expect(units[unopenedUnit]!.bindsTo).toEqual(["netns-lnd.service"]);
    expect(pulledIn(units, "holdfast-node.target")).not.toContain("lnd.service");
  });

  it.each([
    ["another folder", `{ lib, ... }: { services.lnd.dataDir = lib.mkForce "/srv/lnd"; }`, /looks for LND's wallet in \/var\/lib\/lnd\/data\/chain\/bitcoin\/mainnet, and LND would keep it in \/srv\/lnd\/chain\/bitcoin\/mainnet\.\nLeave services\.lnd\.dataDir alone/],
    ["a gate without LND", `{ lib, ... }: { services.lnd.enable = lib.mkForce false; holdfast.backup.enable = lib.mkForce false; }`, /guards LND, and services\.lnd is off\.\nTurn it on/],
  ])("is refused with %s", async (_, extra, message) => {
    const { assertions } = await evaluate(nodeWith(), extra);
    expect(assertions.join("\n")).toMatch(message);
  });
});

/** What a unit's preparation makes of a configuration: run, with nix-bitcoin's own part replaced by these lines. */
function run(preStart: string, lines: readonly string[]): string[] {
  const ours = preStart.slice(preStart.indexOf("sed -i"));
  const script = `RUNTIME_DIRECTORY=$(mktemp -d); printf '%s\\n' ${lines.map((line) => `'${line}'`).join(" ")} > "$RUNTIME_DIRECTORY/lnd.conf"\n${ours}\ncat "$RUNTIME_DIRECTORY/lnd.conf"; rm -r "$RUNTIME_DIRECTORY"`;
  return execFileSync("bash", ["-euc", script], { encoding: "utf8" }).trim().split("\n");
}

describe.skipIf(announceMissing())("Core Lightning", () => {
  it.each(networks)("starts with the hsm_secret that the gate has placed, or not at all, on %s", async (network) => {
    const { units, assertions } = await evaluate(nodeWith(["lnd", "clightning"], { place: { environment: "prod", network, node: "alice", generation: 1 } }));
    expect(assertions).toEqual([]);
    const { preStart } = units["clightning.service"]!;
    const { path } = placeOfIdentity(hostLayout, { kind: "cln-hsm-secret", name: "main" }, network);
    expect(preStart!.startsWith(`[[ -e ${path} ]] || {`)).toBe(true);
    const guard = preStart!.slice(0, preStart!.indexOf("# Remove an existing socket"));
    expect(() => execFileSync("bash", ["-euc", guard], { stdio: "pipe" })).toThrow(/Core Lightning does not make one: the gate places it/);
    expect(() => execFileSync("bash", ["-euc", guard.replaceAll(path, "/etc/passwd")])).not.toThrow();
  });

  it("does not write an empty database over a replica", async () => {
    const { units } = await evaluate(nodeWith(["lnd", "clightning"]), `{ services.clightning.replication = { enable = true; local.directory = "/var/backup/cln"; }; }`);
    expect(units["clightning.service"]!.preStart).toContain("if [[ -e '/var/backup/cln/lightningd.sqlite3' && ! -e '/var/lib/clightning/bitcoin/lightningd.sqlite3' ]]; then");
  });

  it("is refused without an identity in the stack, and with another folder", async () => {
    const { assertions } = await evaluate(nodeWith(["lnd", "clightning"], { identities: [] }), `{ services.clightning.dataDir = "/srv/cln"; }`);
    expect(assertions).toEqual(expect.arrayContaining([
      expect.stringMatching(/names no identity of the kind cln-hsm-secret.*\nMake one/),
      expect.stringMatching(/hsm_secret in \/var\/lib\/clightning\/bitcoin, and Core Lightning would look for it in \/srv\/cln\/bitcoin\.\nLeave services\.clightning\.dataDir alone/),
    ]));
  });
});
