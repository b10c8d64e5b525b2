import { beforeAll, describe, expect, it } from "vitest";
import { placeOfIdentity } from "../../../agent/gate/identityFiles.js";
import { bunkerUnit } from "../../../agent/gate/host.js";
import { hostLayout } from "../../../formats/hostLayout.js";
import type { Service } from "../../../formats/services.js";
import { announceMissing, evaluate, type Evaluated } from "./evaluate.js";
import { ownersThatAreNot, secretsInStore, secretsThatAreNot, unitFaults, unitsThatAreNot } from "./lints.js";
import { pulledIn } from "./nodes.js";
import { evaluateShowing, refusals, stackNode, type Change } from "./stackNode.js";

const services: readonly Service[] = ["bitcoind", "lnd", "bunker", "wireguard", "offsite-backup"];
const admin = "npub1sg6plzptd64u62a878hep2kev88swjh3tw00gjsfl8f237lmu63q0uf63m";
const relays = ["wss://relay.example.org", "wss://nos.example.org/path"];
const bunker = (change: Change = {}) => stackNode({ services, bunker: { relays, admins: [admin] }, ...change });
const nsec = [{ kind: "nsec" as const, name: "shop", publicIdentity: "ab".repeat(32) }];

describe.skipIf(announceMissing())("the bunker's module", () => {
  let evaluated: Evaluated;
  beforeAll(async () => { evaluated = await evaluate({ ...bunker(), identities: nsec }); });
  const unit = (): Evaluated["units"][string] => evaluated.units[bunkerUnit]!;

  it("is refused by no assertion, and sound in its units, owners and secrets", async () => {
    expect({ refused: refusals(evaluated), undeclared: evaluated.undeclared, warnings: evaluated.warnings }).toEqual({ refused: [], undeclared: [], warnings: [] });
    expect([...unitsThatAreNot(evaluated), ...ownersThatAreNot(evaluated), ...secretsThatAreNot(evaluated), ...secretsInStore(evaluated), ...await unitFaults(evaluated)]).toEqual([]);
  });

  it("is confined as nix-bitcoin confines its own, but for V8's memory, and reaches no address but this host's", async () => {
    const { shown } = await evaluateShowing(bunker(), "{ inherit (config.nix-bitcoin.lib) defaultHardening allowTor; }");
    const { defaultHardening, allowTor } = shown as Record<string, Record<string, unknown>>;
    expect(unit().serviceConfig).toMatchObject({ ...defaultHardening, ...allowTor, MemoryDenyWriteExecute: false, SystemCallFilter: [...defaultHardening!["SystemCallFilter"] as string[], "@pkey"] });
    expect(unit().serviceConfig).toMatchObject({ User: "bunker", StateDirectory: "bunker", StateDirectoryMode: "0700", RuntimeDirectory: "bunker", RuntimeDirectoryMode: "0700", UMask: "0077", LimitCORE: 0 });
    expect(unit().environment["NSECBUNKER_PROXY"]).toBe("socks5h://127.0.0.1:9050");
    expect(unit().after).toContain("tor.service");
    expect(evaluated.tor).toMatchObject({ enable: true, client: true });
  });

  it("tells systemd when it is ready and that it lives, through a program that may", () => {
    expect(unit().serviceConfig).toMatchObject({ Type: "notify", NotifyAccess: "all", WatchdogSec: 120, Restart: "on-failure" });
    expect(unit().environment["NSECBUNKER_SYSTEMD_NOTIFY"]).toMatch(/\/bin\/systemd-notify$/);
  });

  it("has passphrase and key as credentials, which root alone can read besides, and never in its environment", () => {
    expect(unit().serviceConfig!["LoadCredential"]).toEqual([`passphrase:${hostLayout.secrets}/bunker-passphrase`, `admin-key:${hostLayout.secrets}/bunker-admin-key`]);
    expect(unit().environment).toMatchObject({ NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: "%d/passphrase", NSECBUNKER_ADMIN_KEY_FILE: "%d/admin-key" });
    for (const file of ["bunker-passphrase", "bunker-admin-key"]) expect(evaluated.secrets[file]).toEqual({ owner: "root", group: "root", mode: "400" });
    expect(unit()).toMatchObject({ requires: [hostLayout.secretsTarget] });
    expect(unit().after).toContain(hostLayout.secretsTarget);
  });

  it("waits for the gate, which finds a folder of its own to place identities in", () => {
    expect(unit()).toMatchObject({ wantedBy: [hostLayout.identityTarget], requiredBy: [], partOf: [hostLayout.identityTarget], unitConfig: { "X-OnlyManualStart": true } });
    expect(pulledIn(evaluated.units, "holdfast-node.target")).not.toContain(bunkerUnit);
    const { path, owner } = placeOfIdentity(hostLayout, nsec[0]!, "mainnet");
    expect(path.startsWith(`${hostLayout.bunker}/`)).toBe(true);
    expect(evaluated.tmpfiles).toContain(`d '${hostLayout.bunker}' 0700 ${owner} ${owner} - -`);
    expect(evaluated.units["holdfast-gate.service"]!.serviceConfig!["ReadWritePaths"]).toContain(`-${hostLayout.bunker}`);
  });

  it("is told its relays and admins, and nothing that is secret, in nsecbunkerd's form", () => {
    const file = evaluated.files.find(({ path }) => path.endsWith("-nsecbunker.json"))!;
    expect(JSON.parse(file.text)).toEqual({ nostr: { relays }, admin: { npubs: [admin], adminRelays: [] }, keys: {} });
    expect(unit().serviceConfig!["ExecStart"]).toMatch(new RegExp(`/bin/holdfast-bunker start --config ${file.path}$`));
    expect(evaluated.files.find(({ path }) => path.endsWith("/bin/holdfast-bunker"))!.text).toMatch(/exec \S+-nodejs_22\/bin\/node \S+-bunker\.mjs "\$@"/);
  });

  it("speaks on the clear net where the stack says so, and then may reach any address", async () => {
    const { units, ...other } = await evaluate(bunker({ nixos: { tor: "optional" }, bunker: { relays: ["ws://10.10.0.2:7777", "wss://relay.example.org"], admins: [] } }));
    expect(refusals({ units, ...other })).toEqual([]);
    expect(units[bunkerUnit]!.environment).not.toHaveProperty("NSECBUNKER_PROXY");
    expect(units[bunkerUnit]!.serviceConfig!["IPAddressAllow"]).toBe("any");
  });

  it("asks Tor at the bridge where services are in network namespaces", async () => {
    const { units, ...other } = await evaluate(bunker({ tunnel: "none", nixos: { isolation: "netns" } }));
    expect(refusals({ units, ...other })).toEqual([]);
    expect(units[bunkerUnit]!.environment["NSECBUNKER_PROXY"]).toMatch(/^socks5h:\/\/169\.254\.\d+\.\d+:9050$/);
  });

  it("runs another program that the node's owner names, in the same confinement", async () => {
    const { units } = await evaluate(bunker(), "{ pkgs, ... }: { holdfast.bunker = { package = pkgs.writers.writeBashBin \"nsecbunkerd\" \"exec true\"; executable = \"nsecbunkerd\"; }; }");
    const { ExecStart: _, ...ours } = unit().serviceConfig!;
    const { ExecStart: theirs, ...confined } = units[bunkerUnit]!.serviceConfig!;
    expect(theirs).toMatch(/\/bin\/nsecbunkerd start --config /);
    expect(confined).toEqual(ours);
  });

  it("is not there, with no user, folder or secret, on a node that has none", async () => {
    const { units, users, secrets, tmpfiles } = await evaluate(stackNode());
    expect([bunkerUnit in units, "bunker" in users, Object.keys(secrets).filter((name) => name.startsWith("bunker")), tmpfiles.filter((rule) => rule.includes("bunker"))]).toEqual([false, false, [], []]);
  });

  it.each<[string, Change, string, string]>([
    ["a passphrase in its environment", {}, '{ systemd.services.bunker.environment.NSECBUNKER_AUTOUNLOCK_PASSPHRASE = "open sesame"; }', "The environment of bunker.service has NSECBUNKER_AUTOUNLOCK_PASSPHRASE: a passphrase there is in the Nix store and in `systemctl show`, for everybody."],
    ["a passphrase in its environment, in systemd's own words and the fork's", {}, '{ systemd.services.bunker.serviceConfig.Environment = [ "NSEC_BUNKER_AUTOUNLOCK_PASSPHRASE=open sesame" ]; }', "The environment of bunker.service has NSEC_BUNKER_AUTOUNLOCK_PASSPHRASE: "],
    ["a bunker that nobody finds", {}, "{ lib, ... }: { holdfast.bunker.relays = lib.mkForce [ ]; }", "holdfast.bunker.relays is empty: nobody would find the bunker."],
    ["a relay in clear", { bunker: { relays: ["ws://relay.example.org"], admins: [] } }, "{ }", "holdfast.bunker.relays has ws://relay.example.org: not encrypted on its way"],
    ["a relay that Tor does not carry", { bunker: { relays: ["ws://127.0.0.1:7777"], admins: [] } }, "{ }", "Tor is enforced (nixos.tor), and holdfast.bunker.relays has ws://127.0.0.1:7777, which Tor does not carry"],
    ["an onion address without Tor", { nixos: { tor: "optional" }, bunker: { relays: ["ws://abcdefgh.onion"], admins: [] } }, "{ }", "holdfast.bunker.relays has ws://abcdefgh.onion, and holdfast.bunker.tor.enforce is off: "],
  ])("refuses %s", async (_, change, extra, words) => {
    const refused = refusals(await evaluate(bunker(change), extra));
    expect(refused).toHaveLength(1);
    expect(refused[0]).toContain(words);
  });

  it("refuses signers' identities where there is no bunker", async () => {
    expect(refusals(await evaluate({ ...stackNode(), identities: nsec }))).toEqual([expect.stringContaining("The stack names identities of the kind nsec (shop), and the node has no bunker that would take them")]);
  });

  it.each([
    ["metrics for everybody", '{ holdfast.bunker.metrics = "0.0.0.0:9100"; }', /holdfast\.bunker\.metrics/],
    ["admin who is nobody", '{ holdfast.bunker.admins = [ "alice" ]; }', /holdfast\.bunker\.admins/],
  ])("takes no %s", async (_, extra, words) => {
    await expect(evaluate(bunker(), extra)).rejects.toThrow(words);
  });
});
