import { readdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { announceMissing, evaluate, evaluateWriting, nixFolder, type Evaluated } from "./evaluate.js";
import { ownersThatAreNot, rulesetFaults, scriptFaults, secretsInStore, secretsThatAreNot, unitFaults, unitsThatAreNot } from "./lints.js";
import { everything, stackNode } from "./stackNode.js";

const disk = "/dev/disk/by-id/scsi-0";
const nodes = {
  "as the stack has it by default": stackNode(),
  "with everything that can be switched on": stackNode({ services: everything, nixos: { published: ["btcpayserver", "rtl", "mempool"] } }),
  "with Core Lightning beside LND, and electrs": stackNode({ services: ["bitcoind", "lnd", "clightning", "electrs", "wireguard", "offsite-backup"] }),
  "hardened as far as it goes, with an encrypted disk": stackNode({ nixos: { preset: "hardened-extended", disks: { layout: "single", disk, encrypted: true } } }),
  "on the clear net, on two disks": stackNode({ nixos: { preset: "hardened", tor: "optional", disks: { layout: "mirror", disks: [disk, `${disk}-1`], encrypted: false } } }),
  "with a bunker": stackNode({ services: ["bitcoind", "lnd", "bunker", "wireguard", "offsite-backup"], bunker: { relays: ["wss://relay.example.org"], admins: [] } }),
  "on testnet4": stackNode({ network: "testnet4" }),
  "on signet": stackNode({ network: "signet" }),
};

describe.skipIf(announceMissing())("NixOS accepts without a word, and we do not, on a node", () => {
  describe.each(Object.entries(nodes))("%s,", (_, settings) => {
    let evaluated: Evaluated;
    beforeAll(async () => { evaluated = await evaluateWriting(settings); });

    it("what would be refused: assertions and options that do not exist", () => {
      const { assertions, undeclared, warnings } = evaluated;
      expect({ assertions, undeclared, warnings }).toEqual({ assertions: [], undeclared: [], warnings: [] });
    });

    it("dependencies on units, users, groups and secrets that are not there", () => {
      expect({ units: unitsThatAreNot(evaluated), owners: ownersThatAreNot(evaluated), secrets: secretsThatAreNot(evaluated) }).toEqual({ units: [], owners: [], secrets: [] });
    });

    it("what systemd, nft and bash would stumble over", async () => {
      expect({ units: await unitFaults(evaluated), rulesets: await rulesetFaults(evaluated), scripts: await scriptFaults(evaluated) }).toEqual({ units: [], rulesets: [], scripts: [] });
    });

    it("a secret's value or its place in the Nix store", () => {
      expect(secretsInStore(evaluated)).toEqual([]);
    });
  });
});

describe.skipIf(announceMissing())("the lints", () => {
  const faulty = (module: string) => evaluate(stackNode(), module);

  it("catch a dependency on a unit that does not exist", async () => {
    expect(unitsThatAreNot(await faulty(`{ systemd.services.x = { script = "true"; after = [ "bitcoin.service" ]; wants = [ "lnd.service" ]; }; }`))).toEqual(["x.service: after bitcoin.service"]);
  });

  it("catch users and groups that nobody makes, of units, secrets and tmpfiles", async () => {
    const evaluated = await faulty(`{
      systemd.services.x = { script = "true"; serviceConfig = { User = "ghost"; SupplementaryGroups = [ "lnd" "ghosts" ]; }; };
      nix-bitcoin.secrets.stray.user = "nobody-made-me";
      systemd.tmpfiles.rules = [ "d '/var/lib/x y' 0700 phantom - - -" ];
    }`);
    expect(ownersThatAreNot(evaluated)).toEqual([
      "x.service: User=ghost", "x.service: Group=ghosts", "secret stray: owner nobody-made-me", "secret stray: group nobody-made-me",
      "tmpfiles «d '/var/lib/x y' 0700 phantom - - -»: user phantom",
    ]);
  });

  it("catch a secret that is read and not declared", async () => {
    const evaluated = await faulty(`{ systemd.services.x = { script = "cat /etc/nix-bitcoin-secrets/lnd-key /etc/nix-bitcoin-secrets/forgotten"; }; }`);
    expect(secretsThatAreNot(evaluated)).toEqual(expect.arrayContaining(["x.service script: forgotten"]));
    expect(secretsThatAreNot(evaluated).join()).not.toContain("lnd-key");
  });

  it("catch a secret that would lie in the store, wherever it is put", async () => {
    const evaluated = await evaluateWriting(stackNode(), `{ lib, pkgs, ... }: {
      networking.wireguard.interfaces.wg-node = { privateKey = "poison"; privateKeyFile = lib.mkForce null; };
      services.bitcoind.extraConfig = "rpcpassword=poison";
      environment.etc.key.text = "-----BEGIN OPENSSH PRIVATE KEY-----";
      systemd.services.x = { script = "age --identity <(echo AGE-SECRET-KEY-1POISON)"; environment.RESTIC_PASSWORD = "poison"; };
      systemd.services.y.serviceConfig.ExecStart = pkgs.writeText "peer" "PresharedKey = poison";
    }`);
    expect(secretsInStore(evaluated).map((found) => found.replace(/^\S*\/nix\/store\/\w+-/, ""))).toEqual(expect.arrayContaining([
      "wg-node: privateKey", "bitcoin.conf: rpcpassword=p", "/etc/key: -----BEGIN OPENSSH PRIVATE KEY-----", "x.service script: AGE-SECRET-KEY-", "x.service: the variable RESTIC_PASSWORD", "peer: PresharedKey = p",
    ]));
  });

  it("catch what would have to be built before a node can be evaluated: nothing is, so that it fails", async () => {
    const built = `derivation { name = "settings"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo 22 > $out" ]; }`;
    for (const module of [`{ services.openssh.ports = [ (builtins.fromJSON (builtins.readFile (${built}))) ]; }`, `{ imports = [ (import (${built})) ]; }`]) {
      await expect(faulty(module)).rejects.toThrow(/settings\.drv' is not valid/);
      await expect(evaluateWriting(stackNode(), module)).rejects.toThrow(/import-from-derivation/);
    }
  });

  it("catch a script that bash cannot read", async () => {
    expect((await scriptFaults(await faulty(`{ systemd.services.x.script = "if true; then"; }`))).join()).toMatch(/x\.service script: .*syntax error/);
  });

  it("catch a ruleset that nft cannot read", async () => {
    expect((await rulesetFaults(await faulty(`{ networking.nftables.tables.x = { family = "inet"; content = "chain y { typo }"; }; }`))).join()).toMatch(/table inet x: .*Error/s);
  });

  it("catch settings that systemd does not know, in the section where they stand, and a unit with nothing to start", async () => {
    const faults = await unitFaults(await faulty(`{
      systemd.services.x = { script = "true"; serviceConfig.StopPropagatedFrom = "y.service"; };
      systemd.services.y.serviceConfig.User = "root";
    }`));
    expect(faults.join("\n")).toMatch(/x\.service:\d+: Unknown key (name )?'StopPropagatedFrom' in section/);
    expect(faults.join("\n")).toMatch(/y\.service: Service has no ExecStart/);
  });

  it("see every module's folder: none stands there and is part of no node", async () => {
    const node = readFileSync(`${nixFolder}/node.nix`, "utf8");
    expect(readdirSync(`${nixFolder}/modules`).filter((module) => !node.includes(`./modules/${module}\n`))).toEqual([]);
  });
});
