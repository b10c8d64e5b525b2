import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import type { settingsSchema } from "../../../formats/settings.js";
import { announceMissing, evaluate, sources, textOf } from "./evaluate.js";

const example = JSON.parse(readFileSync(new URL("../../../nix/example/settings.json", import.meta.url), "utf8")) as z.input<typeof settingsSchema>;

describe.skipIf(announceMissing())("the evaluation of a node", () => {
  it("names every option that does not exist, and where it was defined", async () => {
    const { undeclared } = await evaluate(example, `{ services.lnd.enabel = true; nix-bitcoin.misspelt.option = 1; }`);
    expect(undeclared.map(({ option }) => option)).toEqual(["nix-bitcoin.misspelt.option", "services.lnd.enabel"]);
    expect(undeclared[0]?.file).toMatch(/extra\.nix$/);
  });

  it("names an option that does not exist even where nothing switches it on", async () => {
    const { undeclared } = await evaluate(example, `{ lib, ... }: { services.lnd = lib.mkIf false { enabel = true; }; }`);
    expect(undeclared.map(({ option }) => option)).toEqual(["services.lnd.enabel"]);
  });

  it("refuses a value of the wrong type in NixOS's words", async () => {
    await expect(evaluate(example, `{ services.lnd.port = "nine"; }`)).rejects.toThrow(/services\.lnd\.port.*is not of type/);
  });

  it("refuses two definitions that contradict each other", async () => {
    await expect(evaluate(example, `{ lib, ... }: { networking.hostName = lib.mkForce "one"; imports = [ { networking.hostName = lib.mkForce "two"; } ]; }`))
      .rejects.toThrow(/networking\.hostName.*conflicting definition values/);
  });

  it("knows a misspelt setting inside a unit", async () => {
    await expect(evaluate(example, `{ systemd.services.x.wantedby = [ "multi-user.target" ]; }`)).rejects.toThrow(/systemd\.services\.x\.wantedby.*does not exist/);
  });

  it("knows a package that nixpkgs does not have", async () => {
    await expect(evaluate(example, `{ pkgs, ... }: { environment.systemPackages = [ pkgs.lndd ]; }`)).rejects.toThrow(/attribute 'lndd' missing/);
  });

  it("says in words that modules refer to each other in a circle", async () => {
    await expect(evaluate(example, `{ config, ... }: { boot.kernelParams = config.boot.blacklistedKernelModules; boot.blacklistedKernelModules = config.boot.kernelParams; }`)).rejects.toThrow(/does not evaluate.*\n.*infinite recursion/s);
  });

  it("fires nix-bitcoin's own assertions: two daemons on one port", async () => {
    const { assertions } = await evaluate(example, `{ services.clightning.enable = true; services.clightning.port = 9735; }`);
    expect(assertions.join("\n")).toMatch(/LND and clightning can't both bind to|clightning.*lnd.*port|same port/i);
  });

  it("fires NixOS's own assertions: a user without a group, iptables beside nftables, a one-shot that restarts for ever", async () => {
    const { assertions } = await evaluate(example, `{ lib, ... }: {
      users.users.stray.isSystemUser = true;
      networking.nftables.enable = true;
      networking.firewall = { enable = lib.mkOverride 1 true; extraCommands = "iptables -L"; };
      systemd.services.once = { script = "true"; serviceConfig = { Type = "oneshot"; Restart = "always"; }; };
    }`);
    for (const words of ["users.users.stray.group is unset", "extraCommands is incompatible with the nftables based firewall", "Service 'once.service' with 'Type=oneshot' cannot have 'Restart=always'"]) {
      expect(assertions.some((message) => message.startsWith(words)), words).toBe(true);
    }
  });

  it("fires our own assertion on WireGuard beside network namespaces", async () => {
    const { assertions } = await evaluate(example, `{ nix-bitcoin.netns-isolation.enable = true; }`);
    expect(assertions.some((message) => message.includes("holdfast.wireguard") && message.includes("netns-isolation"))).toBe(true);
  });

  it.skipIf(!existsSync(sources.disko))("knows disko's own types, and mounts and boots what disko makes", async () => {
    const { fileSystems, boot } = await evaluate(example);
    expect(Object.keys(fileSystems)).toEqual(["/", "/boot"]);
    expect(boot.grub.devices).toEqual(["/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_1"]);
    await expect(evaluate(example, `{ disko.devices.disk.main.content.partitions.root.content.format = 4; }`)).rejects.toThrow(/partitions\.root\.content\.format.*is not of type/);
  });

  it("gives the text of a script that a unit starts", async () => {
    const evaluated = await evaluate(example, `{ pkgs, ... }: { systemd.services.x.serviceConfig.ExecStart = pkgs.writers.writeBash "hello" "echo \${pkgs.jq}"; }`);
    expect(textOf(evaluated, evaluated.units["x.service"]?.serviceConfig?.["ExecStart"] as string)).toMatch(/^#!\/bin\/bash\necho \/nix\/store\/[0-9a-f]{32}-jq$/);
  });
});
