import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { DISK_KEY, UNLOCK_PORT } from "../../../components/system/installationCommands.js";
import { hostLayout } from "../../../formats/hostLayout.js";
import type { settingsSchema } from "../../../formats/settings.js";
import { announceMissing, evaluate, nixFolder, type Evaluated } from "./evaluate.js";

type Given = z.input<typeof settingsSchema>;
const example = JSON.parse(readFileSync(new URL("../../../nix/example/settings.json", import.meta.url), "utf8")) as Given;
const [one, two, data] = ["/dev/disk/by-id/one", "/dev/disk/by-id/two", "/dev/disk/by-id/data"];

/** As nix/node.nix hands the settings over. */
const HANDED_OVER = `{ settings, ... }: { imports = [ ${nixFolder}/disks ]; holdfast.disks = settings.nixos.disks // { dataVolume = settings.nixos.dataVolume or null; }; }`;
const withDisks = (nixos: NonNullable<Given["nixos"]>): Promise<Evaluated> => evaluate({ ...example, nixos: { ...example.nixos, ...nixos } }, HANDED_OVER);
const ours = ({ assertions, undeclared }: Evaluated): unknown => ({ assertions: assertions.filter((text) => text.includes("holdfast.disks")), undeclared });

describe.skipIf(announceMissing())("the disks of an installed host", () => {
  it("boot by BIOS and by UEFI in every layout", async () => {
    for (const disks of [{ layout: "single", disk: one }, { layout: "hetzner", disk: one }, { layout: "mirror", disks: [one, two] }] as const) {
      const evaluated = await withDisks({ disks: disks.layout === "mirror" ? { ...disks, disks: [one, two] } : disks });
      expect(ours(evaluated), disks.layout).toEqual({ assertions: [], undeclared: [] });
      expect(evaluated.boot.grub).toMatchObject({ enable: true, efiSupport: true, efiInstallAsRemovable: true });
      const devices = evaluated.disko["disk"] as Record<string, { device: string; content: { partitions: Record<string, { type?: string }> } }>;
      expect(Object.values(devices).map(({ device }) => device)).toEqual(disks.layout === "mirror" ? [one, two] : [one]);
      for (const { content } of Object.values(devices)) expect([content.partitions["bios"]!.type, content.partitions["ESP"]!.type]).toEqual(["EF02", "EF00"]);
    }
  });

  it("that are encrypted wait for their key over SSH, with a host key of their own, for those who may log in later", async () => {
    const evaluated = await withDisks({ disks: { layout: "mirror", disks: [one, two], encrypted: true } });
    expect(ours(evaluated)).toEqual({ assertions: [], undeclared: [] });
    expect(evaluated.boot.initrd.ssh).toMatchObject({ enable: true, port: UNLOCK_PORT, hostKeys: ["/etc/holdfast-initrd/ssh_host_ed25519_key"], authorizedKeys: example.authorizedKeys });
    expect(JSON.stringify(evaluated.disko)).toContain(`"passwordFile":"${DISK_KEY}"`);
    expect((await withDisks({ disks: { layout: "single", disk: one } })).boot.initrd.ssh.enable).toBe(false);
  });

  it("of a host that is NixOS already are its own", async () => {
    const evaluated = await withDisks({ disks: { layout: "kept" } });
    expect(ours(evaluated)).toEqual({ assertions: [], undeclared: [] });
    expect(evaluated.disko).toEqual({});
  });

  it("never include the data volume, which opens under its secret before what lies on it starts", async () => {
    const evaluated = await withDisks({ disks: { layout: "single", disk: one }, dataVolume: data });
    expect(JSON.stringify(evaluated.disko)).not.toContain(data);
    const opens = evaluated.units["holdfast-data-volume.service"]!;
    expect(opens.requires).toContain(hostLayout.secretsTarget);
    expect(opens.after).toContain(hostLayout.secretsTarget);
    expect(opens.script).toContain(`key=${hostLayout.secrets}/data-volume-key`);
    execFileSync("bash", ["-n"], { input: opens.script! });
    expect(evaluated.units["bitcoind.service"]!.requires).toContain("holdfast-data-volume.service");
    expect(evaluated.units["bitcoind.service"]!.after).toContain("holdfast-data-volume.service");
  });

  it.each([
    ["a data volume on a wiped disk", { disks: { layout: "single", disk: one }, dataVolume: `${one}-part2` } as const, "Give the data volume a disk of its own"],
    ["a mirror of one disk", { disks: { layout: "mirror", disks: [one, one] as [string, string] } } as const, "two different disks"],
  ])("are refused with %s", async (_, nixos, words) => {
    expect((await withDisks(nixos)).assertions.join()).toContain(words);
  });
});
