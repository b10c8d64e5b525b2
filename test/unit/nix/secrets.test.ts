import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { registry, secretsOf } from "../../../components/secrets/registry.js";
import { hostLayout } from "../../../formats/hostLayout.js";
import type { Service } from "../../../formats/services.js";
import { announceMissing, evaluate, nixFolder } from "./evaluate.js";
import { everything, nodeWith } from "./nodes.js";

const target = hostLayout.secretsTarget;

describe("the list of secrets for Nix", () => {
  it("is the registry's", () => {
    const ours = [...registry].sort((one, other) => (one.file < other.file ? -1 : 1)).map(({ file, owner, group, services }) => ({ file, owner, group, services }));
    const lines = ours.map((secret) => `  ${JSON.stringify(secret)}`).join(",\n");
    expect(readFileSync(join(nixFolder, "modules/secrets/registry.json"), "utf8")).toBe(`[\n${lines}\n]\n`);
  });
});

/** A node's services as a stack may combine them, by what is tried with them. */
const nodes: Readonly<Record<string, readonly Service[]>> = {
  LND: ["lnd"], "LND and Core Lightning": ["lnd", "clightning"], electrs: ["lnd", "electrs"], "a shop": ["lnd", "btcpayserver", "rtl"], everything,
};

describe.skipIf(announceMissing())("the secrets' module", () => {
  it.each(Object.entries(nodes))("wants, with %s, exactly what the node's bundle brings: files, owners and modes", async (_, services) => {
    const settings = nodeWith(services);
    const { secrets, users, groups, assertions } = await evaluate(settings);
    expect(assertions).toEqual([]);
    const brought = secretsOf(settings.services as Service[], settings.tunnel!.peers);
    const oursAlone = ["lnd-macaroon-root-key", "backup-password", "backup-store-password"];
    const bundle = Object.fromEntries(brought.filter(({ file }) => !oursAlone.includes(file)).map(({ file, owner, group, mode }) => [file, { owner, group, mode: mode.replace(/^0/, "") }]));
    expect(secrets).toEqual(bundle);
    expect(brought.filter(({ owner, group }) => !(owner in users && group in groups))).toEqual([]);
  });

  it.each(Object.entries(nodes))("starts nobody who reads a secret, with %s, before they are there", async (_, services) => {
    const settings = nodeWith(services);
    const { units } = await evaluate(settings);
    const consumers = new Set(secretsOf(settings.services as Service[], settings.tunnel!.peers).flatMap((secret) => secret.consumers).filter((name) => name in units));
    expect([...consumers]).toEqual(expect.arrayContaining(["bitcoind.service", "lnd.service", "wireguard-wg-node.service", "holdfast-backup.service"]));
    for (const name of consumers) {
      expect(units[name]!.requires, name).toContain(target);
      expect(units[name]!.after, name).toContain(target);
    }
  });

  it("leaves restarts to the agent: no secret is among a unit's triggers", async () => {
    const { units } = await evaluate(nodeWith(everything));
    expect(Object.entries(units).filter(([, { restartTriggers }]) => restartTriggers.some((trigger) => trigger.includes(hostLayout.secrets))).map(([name]) => name)).toEqual([]);
  });

  it("has the agent install them before the target, once, and nothing of nix-bitcoin's", async () => {
    const { units, secretsDirectory } = await evaluate(nodeWith());
    expect(secretsDirectory).toBe(hostLayout.secrets);
    expect(units).not.toHaveProperty(["setup-secrets.service"]);
    const install = units["holdfast-secrets.service"]!;
    expect(install).toMatchObject({ before: [target], requiredBy: [target], wantedBy: [], restartIfChanged: false });
    expect(install.serviceConfig).toMatchObject({ Type: "oneshot", RemainAfterExit: true, ProtectSystem: "strict", NoNewPrivileges: true, RestrictAddressFamilies: "AF_UNIX" });
    expect(install.serviceConfig!["ExecStart"]).toMatch(/\/bin\/holdfast-agent install-secrets$/);
    expect(units[target]!.wantedBy).toEqual(["multi-user.target"]);
  });

  it.each([
    ["a secret that no bundle brings", `{ nix-bitcoin.secrets.shop-key.user = "lnd"; }`, /secrets that the bundle of this node does not bring: shop-key\.\nName their service/],
    ["a service that the stack does not name", `{ services.liquidd.enable = true; }`, /does not bring: liquid-rpcpassword\./],
    ["another owner", `{ services.bitcoind.user = "satoshi"; }`, /bitcoin-HMAC-privileged \(bundle: bitcoin:bitcoin, nix-bitcoin: satoshi:satoshi\)/],
    ["an owner that nobody makes", `{ holdfast.secrets.services = [ "bitcoind" "lnd" "wireguard" "rtl" ]; }`, /users or groups that its configuration does not make: rtl-password \(rtl:rtl\)/],
    ["secrets that nix-bitcoin generates", `{ nix-bitcoin.generateSecrets = true; }`, /nix-bitcoin\.generateSecrets would make or change them beside it\.\nLeave/],
    ["owners that nix-bitcoin sets", `{ nix-bitcoin.setupSecrets = true; }`, /nix-bitcoin\.setupSecrets would make or change them beside it/],
    ["another directory", `{ lib, ... }: { nix-bitcoin.secretsDir = lib.mkForce "/run/keys"; }`, /and nix-bitcoin\.secretsDir is \/run\/keys\.\nTake/],
    ["nix-bitcoin's own WireGuard preset", `{ nix-bitcoin.secrets.wg-server-private-key = { }; }`, /does not bring: wg-server-private-key/],
  ])("refuses %s, in words that name it and the remedy", async (_, extra, message) => {
    const { assertions } = await evaluate(nodeWith(), extra);
    expect(assertions.join("\n")).toMatch(message);
  });
});
