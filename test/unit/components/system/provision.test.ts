import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RemoteFailure } from "../../../../components/host/ssh.js";
import { installNixos } from "../../../../components/system/installation.js";
import { diskoCommand, inspectCommand, installCommand, rebootCommand, seenHost, unlockKeyCommand } from "../../../../components/system/installationCommands.js";
import { diskFaults, presentFaults, requireSameDisks, type SeenDisks } from "../../../../components/system/nixosDisks.js";
import { nixosSchema, type Settings } from "../../../../formats/settings.js";
import type { Connection } from "../../../../formats/step.js";

const [one, two, volume] = ["/dev/disk/by-id/one", "/dev/disk/by-id/two", "/dev/disk/by-id/volume"];
const empty = { type: "disk", fstype: null, pttype: null };
const used = { name: "/dev/sda", type: "disk", fstype: null, pttype: "gpt", children: [{ name: "/dev/sda1", type: "part", fstype: "ext4", pttype: null }, { name: "/dev/sda2", type: "part", fstype: null, pttype: null }] };
const disks = (changes: Partial<SeenDisks> = {}): SeenDisks => ({
  links: { [one]: "/dev/sda", [`${one}-part1`]: "/dev/sda1", "/dev/disk/by-id/wwn-1": "/dev/sda", [two]: "/dev/sdb", [volume]: "/dev/sdc" },
  devices: [{ ...empty, name: "/dev/sda" }, { ...empty, name: "/dev/sdb" }, { ...empty, name: "/dev/sdc" }, { name: "/dev/sr0", type: "rom", fstype: null, pttype: null }], ...changes,
});
const single = nixosSchema.parse({ disks: { layout: "single", disk: one } });
const mirror = (first: string, second: string) => nixosSchema.parse({ disks: { layout: "mirror", disks: [first, second] } });
const plain = { generation: 2, wipe: undefined, ours: false };

describe("disks", () => {
  it("that are named, whole and empty may be formatted", () => {
    expect(diskFaults(single, disks(), plain)).toEqual([]);
    expect(diskFaults(mirror(one, two), disks(), plain)).toEqual([]);
    expect(diskFaults({ ...single, dataVolume: volume }, disks(), plain)).toEqual([]);
  });

  it.each([
    ["are not there, and are told what is", nixosSchema.parse({ disks: { layout: "single", disk: "/dev/disk/by-id/three" } }), disks(), /three is not on this host\. It has \/dev\/disk\/by-id\/one, .*two/],
    ["are partitions", nixosSchema.parse({ disks: { layout: "single", disk: `${one}-part1` } }), disks({ devices: [used] }), /one-part1 is no whole disk but \/dev\/sda1, a part/],
    ["hold partitions", single, disks({ devices: [used] }), /one \(\/dev\/sda\) holds \/dev\/sda1 \(ext4\), \/dev\/sda2 \(part\)\. .*wipe: \{ generation: 2, disks: \[\/dev\/disk\/by-id\/one\] \}/],
    ["hold a file system without a table", single, disks({ devices: [{ ...empty, name: "/dev/sda", fstype: "crypto_LUKS" }] }), /holds crypto_LUKS/],
    ["hold a table alone", single, disks({ devices: [{ ...empty, name: "/dev/sda", pttype: "gpt" }] }), /an empty partition table \(gpt\)/],
    ["are one disk by two names", mirror(one, "/dev/disk/by-id/wwn-1"), disks(), /wwn-1 is \/dev\/sda, and so is \/dev\/disk\/by-id\/one: a mirror wants two/],
    ["hold the data volume", { ...single, dataVolume: `${one}-part1` }, disks({ devices: [used] }), /one-part1, the data volume, is \/dev\/sda1, on \/dev\/sda, which the installation would wipe/],
    ["lack the data volume", { ...single, dataVolume: "/dev/disk/by-id/gone" }, disks(), /gone, the data volume, is not on this host/],
  ])("are refused when they %s", (_, nixos, seen, words) => {
    expect(diskFaults(nixos, seen, plain).join("\n")).toMatch(words);
  });

  it("that hold something are wiped on the operator's word for this disk and this generation, and on no other", () => {
    const seen = disks({ devices: [used] });
    const word = (generation: number, ...names: string[]): number => diskFaults(single, seen, { generation: 2, wipe: { generation, disks: names }, ours: false }).length;
    expect([word(2, one), word(1, one), word(2, two)]).toEqual([0, 1, 1]);
    expect(diskFaults(single, seen, { generation: 2, wipe: { generation: 1, disks: [one] }, ours: false }).join()).toContain("what stands there is for generation 1");
    expect(diskFaults({ ...single, dataVolume: `${one}-part1` }, seen, { generation: 2, wipe: { generation: 2, disks: [one] }, ours: true }), "no word reaches the data volume").toHaveLength(1);
  });
});

/** What an installation makes of `one`, with LUKS below the root. */
const installed = { ...used, children: [
  { name: "/dev/sda2", type: "part", fstype: "vfat", pttype: "gpt", partlabel: "disk-main-ESP", "maj:min": "8:2" },
  { name: "/dev/sda3", type: "part", fstype: "crypto_LUKS", pttype: "gpt", partlabel: "disk-main-root", "maj:min": "8:3", children: [{ name: "/dev/mapper/root", type: "crypt", fstype: "ext4", pttype: null, partlabel: null, "maj:min": "254:0" }] },
] };

describe("a host that is NixOS already", () => {
  it("is what an installation makes when its root lies on the partitions that disko names, encrypted and mirrored ones too", () => {
    expect(presentFaults(single, disks({ devices: [installed] }), "254:0")).toEqual([]);
    expect(presentFaults(single, disks({ devices: [installed] }), "8:3")).toEqual([]);
    const array = { name: "/dev/md127", type: "raid1", fstype: "ext4", pttype: null, "maj:min": "9:127" };
    const half = (name: string, label: string) => ({ ...empty, name, children: [{ name: `${name}3`, type: "part", fstype: "linux_raid_member", pttype: "gpt", partlabel: label, children: [array] }] });
    const both = disks({ devices: [half("/dev/sda", "disk-one-root"), half("/dev/sdb", "disk-two-root")] });
    expect(presentFaults(mirror(one, two), both, "9:127")).toEqual([]);
    expect(presentFaults(mirror(two, one), both, "9:127"), "the halves changed places").toHaveLength(2);
  });

  it.each([
    ["on another disk", disks({ devices: [installed, { ...empty, name: "/dev/sdb", "maj:min": "8:16" }] }), "8:16", "its root is not on /dev/sda3 (disk-main-root of /dev/disk/by-id/one)"],
    ["installed by somebody else", disks({ devices: [used] }), "8:1", "/dev/disk/by-id/one (/dev/sda) has no partition disk-main-root"],
    ["without that disk", disks({ links: {} }), "8:1", "/dev/disk/by-id/one is not on this host"],
  ])("is not, %s", (_, seen, root, words) => {
    expect(presentFaults(single, seen, root)).toEqual([words]);
  });
});

it("lays disks out once for a generation: other ones are refused with both settings and the way out", () => {
  expect(() => requireSameDisks("alice", 2, single.disks, single.disks)).not.toThrow();
  expect(() => requireSameDisks("alice", 2, single.disks, mirror(one, two).disks)).toThrow(
    /nixos\.disks of alice is \{ layout: mirror, disks: \[\/dev\/disk\/by-id\/one, \/dev\/disk\/by-id\/two\], encrypted: false \}, and generation 2 of its host was set up with \{ layout: single, disk: \/dev\/disk\/by-id\/one, encrypted: false \}[^]*raise host\.commodity\.generation to 3/);
});

it("looks at a host with a command that any shell runs, and reads its answer", () => {
  expect(seenHost(execFileSync("sh", ["-c", inspectCommand]).toString())).toMatchObject({ uid: process.getuid!(), mark: "", root: expect.stringMatching(/^\d+:\d+$/) as string });
  expect(() => seenHost("motd")).toThrow(/no JSON: "motd"/);
});

interface Asked { readonly command: string; readonly port: number; readonly hostKey: string; readonly input: string | Uint8Array; readonly channel: string }
const asked: Asked[] = [];
let host: (command: string, to: Connection) => string = () => "";
const startInstaller = vi.hoisted(() => vi.fn<(to: Connection) => Promise<void>>());

vi.mock("../../../../components/host/ssh.js", async (original) => ({
  ...await original<object>(),
  runOnHost: async (to: Connection, command: string, { input = "", channel = "update", deadline }: { input?: string; channel?: string; deadline: number }) => {
    if (!(deadline > 0)) throw new Error("a wait without a deadline");
    asked.push({ command, port: to.port, hostKey: to.hostKey, input, channel });
    return host(command, to);
  },
}));
vi.mock("../../../../components/system/nixosAnywhere.js", () => ({ startInstaller, SSH_PORT: 22 }));
vi.mock("../../../../components/system/installationArchive.js", () => ({ archiveOf: () => Promise.resolve({ id: "0123456789abcdef", tar: new Uint8Array([1]) }) }));
vi.mock("node:timers/promises", () => ({ setTimeout: (milliseconds: number) => Promise.resolve(void vi.setSystemTime(Date.now() + milliseconds)) }));

const connection: Connection = { user: "root", address: "10.231.9.10", port: 22, hostKey: "ssh-ed25519 AAAAhost" };
const request = { connection, generation: 2, node: "alice-1", flake: "./nix", settings: { nixos: single } as Settings };
const boots = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002", "00000000-0000-4000-8000-000000000003"] as const;
const toplevel = `/nix/store/${"a".repeat(32)}-nixos-system`;

interface World { system: "debian" | "installer" | "nixos"; boot: number; memory: number; devices: SeenDisks["devices"]; mark: string; root: string; uid: number; unlockedAfter: number }
let world: World;
const account = (): string => JSON.stringify({
  id: world.system === "debian" ? "debian" : "nixos", variant: world.system === "installer" ? "installer" : "", uid: world.uid, bootId: boots[world.boot], memory: world.memory, mark: world.mark, root: world.root,
  links: disks().links, lsblk: { blockdevices: world.devices },
});
const away = new RemoteFailure("look", 255, "Connection refused");

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  asked.length = 0;
  world = { system: "debian", boot: 0, memory: 4_000_000, devices: disks().devices, mark: "", root: "8:1", uid: 0, unlockedAfter: 0 };
  startInstaller.mockReset().mockImplementation(() => {
    Object.assign(world, { system: "installer", boot: 1 });
    return Promise.resolve();
  });
  host = (command, to) => {
    if (command === inspectCommand) {
      if (world.boot === 2 && world.unlockedAfter > 0) throw away;
      return account();
    }
    if (command.startsWith("printf %s ")) world.mark = command.split(" ")[2]!;
    if (command.includes("nixos-install")) return command.includes("initrd") ? `${toplevel}\nssh-ed25519 AAAAinitrd\n` : `${toplevel}\n`;
    if (command === rebootCommand) Object.assign(world, { system: "nixos", boot: 2 });
    if (to.port === 2222) world.unlockedAfter -= 1;
    return "";
  };
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});
const refusal = (changes: Partial<Parameters<typeof installNixos>[0]> = {}): Promise<string> => installNixos({ ...request, ...changes }).then(() => "installed", (error: Error) => error.message);
const touched = (): boolean => asked.some(({ command }) => command.includes("diskoScript"));

describe("an installation", () => {
  it("looks, starts the installer, looks again, formats, installs, restarts, and has seen NixOS start", async () => {
    expect(await installNixos(request)).toEqual({ state: "installed", generation: 2, disks: single.disks });
    const inspections = asked.filter(({ command }) => command === inspectCommand).length;
    expect(inspections).toBe(3);
    const id = "0123456789abcdef";
    expect(asked.map(({ command }) => command).filter((command) => command !== inspectCommand).slice(1)).toEqual([
      expect.stringMatching(/^printf %s [0-9a-f]{64} > \/run\/holdfast-installation$/), diskoCommand(id, "alice-1"), installCommand(id, "alice-1", "plain"), rebootCommand,
    ]);
    expect(new Set(asked.map(({ channel, hostKey }) => `${channel} ${hostKey}`))).toEqual(new Set([`fresh ${connection.hostKey}`]));
  });

  it("leaves a host alone that is NixOS on these disks, and refuses one on others", async () => {
    Object.assign(world, { system: "nixos", devices: [installed], root: "8:3" });
    expect(await installNixos(request)).toEqual({ state: "present", generation: 2, disks: single.disks });
    expect(asked).toHaveLength(1);
    world.root = "8:16";
    expect(await refusal()).toMatch(/NixOS already, and not of the disks[^]*its root is not on \/dev\/sda3[^]*layout: kept[^]*rescue system/);
    expect(asked).toHaveLength(2);
    expect(startInstaller).not.toHaveBeenCalled();
  });

  it.each<[string, () => void, Partial<typeof request>, string]>([
    ["whose disk holds something", () => { world.devices = [used]; }, {}, "holds /dev/sda1 (ext4)"],
    ["with too little memory", () => { world.memory = 1_900_000; }, {}, "1855 MiB of memory"],
    ["without root", () => { world.uid = 1000; }, {}, "root is not root there (uid 1000)"],
    ["at a port that NixOS will not have", () => undefined, { connection: { ...connection, port: 2200 } }, "its SSH port is 2200"],
    ["known by a key that NixOS will not show", () => undefined, { connection: { ...connection, hostKey: "ecdsa-sha2-nistp256 AAAA" } }, "ssh_host_ed25519_key.pub"],
  ])("refuses a host %s before its system is replaced", async (_, spoil, changes, words) => {
    spoil();
    const message = await refusal(changes);
    expect(message).toContain("no disk was touched");
    expect(message).toContain(words);
    expect(startInstaller).not.toHaveBeenCalled();
  });

  it("asks the installer once more, which may see other disks", async () => {
    startInstaller.mockImplementation(() => Promise.resolve(void Object.assign(world, { system: "installer", boot: 1, devices: [used] })));
    expect(await refusal()).toContain("holds /dev/sda1 (ext4)");
    expect(touched()).toBe(false);
  });

  it("stops when the host is not in the installer", async () => {
    startInstaller.mockResolvedValue();
    expect(await refusal()).toMatch(/did not come to NixOS's installer.*not touched/);
    expect(touched()).toBe(false);
  });

  it("that was cut short goes on in the same installer, and not after a restart of it", async () => {
    const install = host;
    host = (command, to) => { if (command.includes("nixos-install")) throw new RemoteFailure("install", 1, "no space"); return install(command, to); };
    expect(await refusal()).toContain("no space");
    host = install;
    world.devices = [used];
    const mark = world.mark;
    Object.assign(world, { mark: "" });
    expect(await refusal(), "another boot of the installer").toContain("holds /dev/sda1 (ext4)");
    world.mark = mark;
    expect(await refusal({ generation: 3 }), "another generation").toContain("holds /dev/sda1 (ext4)");
    expect(await refusal()).toBe("installed");
    expect(startInstaller).toHaveBeenCalledTimes(1);
  });

  it("is not done while the same boot answers, and ends at its deadline", async () => {
    const install = host;
    host = (command, to) => (command === rebootCommand ? "" : install(command, to));
    expect(await refusal()).toMatch(/did not come back as NixOS within 15 minutes: it did not go down/);
  });

  it("that comes back as something else says so at once", async () => {
    const install = host;
    host = (command, to) => { if (command !== rebootCommand) return install(command, to); Object.assign(world, { system: "debian", boot: 2 }); return ""; };
    expect(await refusal()).toMatch(/started another system.*rescue system switched off/);
  });

  describe("with an encrypted root", () => {
    const encrypted = { ...request, settings: { nixos: nixosSchema.parse({ disks: { layout: "single", disk: one, encrypted: true } }) } as Settings, diskKey: "k".repeat(64) };

    it("brings the key by stdin alone, and opens the waiting host that shows the initrd's own key", async () => {
      world.unlockedAfter = 2;
      expect(await installNixos(encrypted)).toEqual({ state: "installed", generation: 2, disks: encrypted.settings.nixos.disks, unlockKey: "ssh-ed25519 AAAAinitrd" });
      expect(asked.filter(({ port }) => port === 2222).map(({ hostKey, input }) => [hostKey, input])).toEqual([["ssh-ed25519 AAAAinitrd", `${encrypted.diskKey}\n`], ["ssh-ed25519 AAAAinitrd", `${encrypted.diskKey}\n`]]);
      expect(asked.some(({ input, port }) => input === encrypted.diskKey && port === 22)).toBe(true);
      expect(asked.some(({ command }) => command.includes(encrypted.diskKey))).toBe(false);
    });

    it("tells the waiting host's key again when nobody saw its installation end", async () => {
      Object.assign(world, { system: "nixos", devices: [installed], root: "254:0" });
      const before = host;
      host = (command, to) => (command === unlockKeyCommand ? "ssh-ed25519 AAAAinitrd\n" : before(command, to));
      expect(await installNixos(encrypted)).toMatchObject({ state: "present", unlockKey: "ssh-ed25519 AAAAinitrd" });
    });

    it("that does not answer may be waiting, and the error says how to look", async () => {
      host = () => { throw away; };
      expect(await refusal(encrypted)).toMatch(/Connection refused[^]*holdfast unlock NODE --host-key/);
      expect(await refusal()).not.toContain("unlock");
    });

    it("is refused without a key", async () => {
      const { diskKey: _, ...without } = encrypted;
      expect(await refusal(without)).toContain("no key for them");
      expect(startInstaller).not.toHaveBeenCalled();
    });
  });
});
