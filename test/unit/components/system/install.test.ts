import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RemoteFailure } from "../../../../components/host/ssh.js";
import { filesCommand, hardwareCommand, type Hardware } from "../../../../components/system/hostHardware.js";
import { installSystem } from "../../../../components/system/install.js";
import { buildCommand, settingsCommand, unpackCommand } from "../../../../components/system/nixCommands.js";
import { nixosSchema, type Settings } from "../../../../formats/settings.js";
import type { Connection } from "../../../../formats/step.js";

const toplevel = `/nix/store/${"a".repeat(32)}-nixos-system-alice`;
const place = { environment: "prod", network: "mainnet", node: "alice-1", generation: 2 } as const;
const settingsWith = (disks: unknown, generation = 2): Settings => ({ place: { ...place, generation }, nixos: nixosSchema.parse({ disks }) }) as Settings;
const [kept, single] = [{ layout: "kept" }, { layout: "single", disk: "/dev/disk/by-id/one" }];
const connection: Connection = { user: "root", address: "10.231.9.10", port: 22, hostKey: "ssh-ed25519 AAAAhost" };

const asked: string[] = [];
const archived: (Hardware | undefined)[] = [];
let host: (command: string) => string;

vi.mock("../../../../components/host/ssh.js", async (original) => ({
  ...await original<object>(),
  runOnHost: async (_: Connection, command: string, { deadline }: { deadline: number }) => {
    if (!(deadline > 0)) throw new Error("a wait without a deadline");
    asked.push(command);
    return host(command);
  },
}));
vi.mock("../../../../components/system/installationArchive.js", () => ({
  archiveOf: (_: string, __: string, hardware: Hardware | undefined) => {
    archived.push(hardware);
    return Promise.resolve({ id: "0123456789abcdef", tar: new Uint8Array([1]) });
  },
}));

const agent = vi.hoisted(() => `${process.env["TMPDIR"] ?? "/tmp"}/holdfast-agent-${process.pid}.mjs`);
vi.mock("../../../../components/system/sources.js", () => ({ programsOf: () => ({ "agent.mjs": agent }) }));
writeFileSync(agent, "agent");
afterAll(() => rmSync(agent));

let present = "";
let build: () => string;
let state = "present";
beforeEach(() => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  [asked.length, archived.length, present, state] = [0, 0, "", "present"];
  build = () => `${toplevel}\n`;
  host = (command) => {
    if (command === settingsCommand) return present;
    if (command === hardwareCommand) return `${state}\n`;
    if (command.includes("base64")) return `file hardware-configuration.nix ${Buffer.from("{ }").toString("base64")}\n`;
    return command.includes("nix --extra") ? build() : "";
  };
});
afterEach(() => vi.restoreAllMocks());
const install = (settings: Settings) => installSystem({ connection, node: "alice-1", flake: "./nix", settings });

describe("the system of a host that keeps its disks", () => {
  it("is built with the host's own hardware configuration, and tells which", async () => {
    expect(await install(settingsWith(kept))).toEqual({ toplevel, hardware: { "hardware-configuration.nix": "{ }" } });
    expect(archived).toEqual([{ "hardware-configuration.nix": "{ }" }]);
    expect(asked).toEqual([settingsCommand, hardwareCommand, filesCommand(["hardware-configuration.nix"]), unpackCommand("0123456789abcdef"), buildCommand("0123456789abcdef", "alice-1")]);
  });

  it("is its flake's own business where the host is no NixOS", async () => {
    state = "other";
    expect(await install(settingsWith(kept))).toEqual({ toplevel });
    expect(archived).toEqual([undefined]);
  });

  it("that misses its boot loader says where that belongs", async () => {
    build = () => { throw new RemoteFailure("nix", 1, "error: Failed assertions: You must set the option ‘boot.loader.grub.devices’"); };
    await expect(install(settingsWith(kept))).rejects.toThrow(/boot\.loader\.grub\.devices[^]*hardware-configuration\.nix has to say[^]*configuration\.nix/);
    build = () => { throw new RemoteFailure("nix", 1, "error: no space left"); };
    await expect(install(settingsWith(kept))).rejects.toThrow(/no space left$/);
  });
});

describe("the system of a host that was installed", () => {
  it("has its disks from the settings, and asks the host for nothing", async () => {
    expect(await install(settingsWith(single))).toEqual({ toplevel });
    expect(asked).not.toContain(hardwareCommand);
  });

  it.each<[string, unknown, unknown]>([["kept", single, kept], ["another disk", single, { ...single, disk: "/dev/disk/by-id/two" }], ["encrypted", single, { ...single, encrypted: true }], ["installed", kept, single]])(
    "is not built when its disks became %s within a generation", async (_, before, after) => {
      present = JSON.stringify({ ...settingsWith(before), format: "holdfast-settings/1" });
      await expect(install(settingsWith(after))).rejects.toThrow(/nixos\.disks of alice-1 is \{ layout: .* and generation 2 of its host was set up with \{ layout: .*nothing was done/);
      expect(asked).toEqual([settingsCommand]);
    });

  it("is built when another generation, another node or nothing of ours was there before", async () => {
    for (const before of [settingsWith(kept, 1), { ...settingsWith(kept), place: { ...place, node: "bob-1" } }, { place }, { place, nixos: {} }, { ...settingsWith(single) }]) {
      present = JSON.stringify(before);
      expect(await install(settingsWith(single))).toEqual({ toplevel });
    }
    present = "motd";
    await expect(install(settingsWith(single))).rejects.toThrow(/settings\.json on the host is no JSON: "motd"/);
  });
});

describe("sources for the host", () => {
  it("hold its hardware configuration, and have another id when it changes", async () => {
    const { archiveOf } = await vi.importActual<typeof import("../../../../components/system/installationArchive.js")>("../../../../components/system/installationArchive.js");
    const folder = mkdtempSync(`${tmpdir()}/holdfast-flake-`);
    const archive = (hardware?: Hardware) => archiveOf(folder, settingsWith(single), hardware);
    const [none, one, again, other] = [await archive(), await archive({ "hardware-configuration.nix": "{ }", "disks/raid.nix": "{ }" }), await archive({ "disks/raid.nix": "{ }", "hardware-configuration.nix": "{ }" }), await archive({ "hardware-configuration.nix": "{ a = 1; }" })];
    expect(new Set([none.id, one.id, other.id]).size).toBe(3);
    expect(again.id).toBe(one.id);
    expect(Buffer.from(one.tar).toString("latin1")).toContain("handover/disks/raid.nix");
    rmSync(folder, { recursive: true });
  });
});
