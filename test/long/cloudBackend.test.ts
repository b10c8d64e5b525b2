import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cacheFolder } from "../../cli/places.js";
import type { FilterRule, ServerPlan } from "../../rehearsal/cloud/backend.js";
import { cloudBackend } from "../../rehearsal/cloud/backend/backend.js";
import { CLOUD_RECIPE } from "../../rehearsal/cloud/backend/image.js";
import { ensureImage } from "../../rehearsal/machines/image.js";
import { runIn } from "../../rehearsal/machines/namespace.js";
import { createStranger, deleteStranger, type Stranger } from "../../rehearsal/machines/stranger.js";
import { attempt, until } from "../../rehearsal/run.js";
import { knockUdp, scanTcp } from "../machines/outside.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-cloud-"));
const state = join(folder, "state");
const programs = join(folder, "programs");
const report = (line: string): void => {
  if (process.env["VERBOSE"]) console.log(line);
};
const cloud = cloudBackend({ cache: cacheFolder(), state, programs, report });

const [key, hostKey] = [join(folder, "key"), join(folder, "hostKey")];
const knownHosts = join(folder, "known_hosts");
const [home, away, moving] = [{ ipv4: "10.231.207.11", ipv6: "fd23:1:207:11::1" }, "10.231.207.12", "10.231.207.13"];
const VOLUME = "/dev/disk/by-id/scsi-0HC_Volume_5";
const everyone = ["0.0.0.0/0", "::/0"];
const ssh: FilterRule = { protocol: "tcp", port: "22", sources: everyone };
let stranger: Stranger;
let authorizedKey = "";

/** Logs in where the user's own host key answers, and nowhere else. */
const on = (address: string, command: string, hostKeys = knownHosts): ReturnType<typeof attempt> => attempt([
  "ssh", "-F", "none", "-i", key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", `UserKnownHostsFile=${hostKeys}`, "-o", "ConnectTimeout=2", `root@${address}`, "--", command,
]);
async function output(address: string, command: string): Promise<string> {
  const { exitCode, stdout, stderr } = await on(address, command);
  expect(exitCode, stderr).toBe(0);
  return stdout;
}
const answers = (address: string, deadline = 20_000): Promise<boolean> => until(async () => (await on(address, "true")).exitCode === 0, deadline, 100);
const pings = async (address: string): Promise<boolean> => (await runIn(stranger.namespace, ["node", "-e", PING, address])).stdout === "answered";
const bootId = (address: string): Promise<string> => output(address, "cat /proc/sys/kernel/random/boot_id");

/** A refusal is an answer: only a machine that is there refuses. */
const PING = 'const s = require("net").connect({ host: process.argv[1], port: 9, timeout: 1000 }); s.on("error", (e) => { console.log(e.code === "ECONNREFUSED" ? "answered" : "silent"); s.destroy(); }).on("timeout", () => { console.log("silent"); s.destroy(); })';

function userData(): string {
  return `#cloud-config\n${JSON.stringify({
    ssh_keys: { ed25519_private: readFileSync(hostKey, "utf8"), ed25519_public: readFileSync(`${hostKey}.pub`, "utf8") },
    write_files: [{ path: "/etc/given", content: "by the user's data\n", permissions: "0640" }],
    users: ["default", { name: "pilot", ssh_authorized_keys: [authorizedKey.trim()] }],
    runcmd: ["echo once >> /root/first-boots"],
  })}\n`;
}
const plan = (more: Partial<ServerPlan> = {}): ServerPlan => ({ id: 1, name: "alice", image: "debian-13", userData: userData(), sshKeys: [authorizedKey], addresses: home, volumes: [], power: "on", ...more });

beforeAll(async () => {
  for (const file of [key, hostKey]) execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file]);
  authorizedKey = readFileSync(`${key}.pub`, "utf8");
  const pinned = readFileSync(`${hostKey}.pub`, "utf8").split(" ").slice(0, 2).join(" ");
  writeFileSync(knownHosts, [home.ipv4, home.ipv6, away, moving].map((address) => `${address} ${pinned}\n`).join(""));
  execFileSync("mkdir", ["-p", programs]);
  await ensureImage({ cache: cacheFolder(), recipe: CLOUD_RECIPE, report });
  stranger = await createStranger({ state, name: "stranger", address: "10.231.207.99" });
}, 900_000);

afterAll(async () => {
  await cloud.raze();
  await deleteStranger(state, "stranger");
  expect(await cloud.leftovers()).toEqual([]);
  rmSync(folder, { recursive: true });
}, 120_000);

describe("a server of the local cloud", () => {
  it("boots with the user's data applied, and is made only once", async () => {
    const begun = Date.now();
    await cloud.createServer(plan());
    const ran = Date.now() - begun;
    expect(await answers(home.ipv4)).toBe(true);
    console.log(`a server ran after ${ran} ms, and answered SSH with the user's host key after ${Date.now() - begun} ms`);
    expect(await output(home.ipv4, "cloud-init status --wait; hostname; cat /etc/given; stat -c %a /etc/given; id -un pilot; ls -d /opt/rehearsal")).toBe("status: done\nalice\nby the user's data\n640\npilot\n/opt/rehearsal");
    expect(await output(home.ipv4, "systemctl is-system-running --wait; systemctl --failed --no-legend")).toBe("running");
    const boot = await bootId(home.ipv4);
    await cloud.createServer(plan());
    expect(await bootId(home.ipv4)).toBe(boot);
    expect(await output(home.ipv6, "echo over IPv6")).toBe("over IPv6");
  });

  it("shows a volume the moment it is attached", async () => {
    await cloud.createVolume(5, 1);
    await cloud.createVolume(5, 1);
    await cloud.attachVolume(5, 1);
    await cloud.attachVolume(5, 1);
    await output(home.ipv4, `mkfs.ext4 -q ${VOLUME} && mkdir -p /data && mount ${VOLUME} /data && echo precious > /data/file`);
    expect(statSync(join(state, "cloud/volumes/5.img")).blocks * 512).toBeLessThan(100e6);
    await cloud.resizeVolume(5, 2);
    // Growing a mounted file system needs CAP_SYS_RESOURCE, which not every deploy machine has to give.
    expect(await output(home.ipv4, `blockdev --getsize64 ${VOLUME}; umount /data; e2fsck -fp ${VOLUME} > /dev/null; resize2fs ${VOLUME} 2> /dev/null > /dev/null; mount ${VOLUME} /data; df --output=size -BG /data | tail -1`)).toMatch(/^2147483648\n\s+2G$/);
    await expect(cloud.resizeVolume(5, 1)).rejects.toThrow("cannot become smaller");
  });

  it("keeps its disk, its volume and its addresses when its power goes and comes", async () => {
    const before = await bootId(home.ipv4);
    for (const to of ["off", "off"] as const) await cloud.power(1, to);
    expect([await cloud.state(1), await pings(home.ipv4)]).toEqual(["off", false]);
    for (const to of ["on", "on"] as const) await cloud.power(1, to);
    expect(await answers(home.ipv4)).toBe(true);
    expect(await cloud.state(1)).toBe("running");
    expect(await output(home.ipv4, `cat /root/first-boots; mount ${VOLUME} /data && cat /data/file; cloud-init status --wait`)).toBe("once\nprecious\nstatus: done");
    expect(await bootId(home.ipv4)).not.toBe(before);
  });

  it("reboots by itself with its volume, and is off and silent when it shut itself down", async () => {
    const before = await bootId(home.ipv4);
    await on(home.ipv4, "systemctl reboot");
    expect(await until(async () => (await on(home.ipv4, `test -b ${VOLUME} && cat /proc/sys/kernel/random/boot_id`)).stdout.length === before.length && (await bootId(home.ipv4)) !== before, 20_000, 200)).toBe(true);
    await on(home.ipv4, "systemctl poweroff");
    expect(await until(async () => (await cloud.state(1)) === "off", 10_000)).toBe(true);
    expect(await pings(home.ipv4)).toBe(false);
    await cloud.power(1, "reboot");
    expect(await answers(home.ipv4)).toBe(true);
    await cloud.power(1, "shutdown");
    expect(await cloud.state(1)).toBe("off");
  });

  it("opens a LUKS volume without a device mapper, and has its data again after its power went", async () => {
    await cloud.createVolume(6, 1);
    await cloud.attachVolume(6, 1);
    const volume = VOLUME.replace("_5", "_6");
    const opened = async (format: string, command: string): Promise<string> => {
      await cloud.power(1, "on");
      expect(await answers(home.ipv4)).toBe(true);
      return output(home.ipv4, `set -e; umask 077; printf secret > /run/key; ${format}
        mknod /dev/loop-control c 10 237; for i in $(seq 0 31); do mknod /dev/loop$i b 7 $i; done
        mkdir -p /run/plain /luks; systemd-run -q nbdfuse /run/plain/disk --socket-activation nbdkit --filter=luks file ${volume} passphrase=+/run/key
        until [ -e /run/plain/disk ]; do sleep 0.05; done; [ -z '${format}' ] || mkfs.ext4 -q /run/plain/disk; mount -o loop /run/plain/disk /luks; ${command}; sync`);
    };
    await opened(`cryptsetup luksFormat --type luks1 --batch-mode --pbkdf-force-iterations 1000 --key-file /run/key ${volume}`, "echo well-known words > /luks/file");
    await cloud.power(1, "off");
    expect(await opened("", "cat /luks/file")).toBe("well-known words");
    await cloud.power(1, "off");
    const isOnDisk = (words: string, id: number): boolean => spawnSync("grep", ["-qaF", words, join(state, `cloud/volumes/${id}.img`)]).status === 0;
    expect([isOnDisk("well-known words", 6), isOnDisk("precious", 5)]).toEqual([false, true]);
    await cloud.deleteVolume(6);
    expect((await cloud.leftovers()).filter((one) => one.startsWith("loop device"))).toHaveLength(1);
  });

  it("boots once, and only once, into a rescue system that has its disk", async () => {
    await cloud.rescue(1, [authorizedKey]);
    await cloud.power(1, "on");
    // Its key is nobody's but its own: read where it was made.
    const rescueHosts = join(folder, "rescue_hosts");
    writeFileSync(rescueHosts, `${home.ipv4} ${readFileSync(join(state, "cloud/machines/server-1/rescue/upper/etc/ssh/ssh_host_ed25519_key.pub"), "utf8")}`);
    const rescued = (command: string): ReturnType<typeof attempt> => on(home.ipv4, command, rescueHosts);
    expect(await until(async () => (await rescued("true")).exitCode === 0, 20_000, 100)).toBe(true);
    expect((await on(home.ipv4, "true")).stderr).toContain("Host key verification failed");
    expect((await rescued("hostname; cat /mnt/disk/etc/given; echo rescued > /mnt/disk/root/rescued; ls /etc/given 2>&1")).stdout).toBe("rescue\nby the user's data\nls: cannot access '/etc/given': No such file or directory");
    await rescued("systemctl reboot");
    expect(await answers(home.ipv4)).toBe(true);
    expect(await output(home.ipv4, "hostname; cat /root/rescued")).toBe("alice\nrescued");
    expect(existsSync(join(state, "cloud/machines/server-1/server.json"))).toBe(true);
  });

  it("has a new disk, the old volume and the old addresses after a rebuild", async () => {
    await output(home.ipv4, "touch /root/of-the-old-disk");
    await cloud.rebuild(plan({ volumes: [5] }));
    expect(await answers(home.ipv4)).toBe(true);
    expect(await output(home.ipv4, `ls /root; mkdir /data; mount ${VOLUME} /data && cat /data/file`)).toMatch(/^(first-boots\n)?precious$/);
  });
});

describe("what is in front of a server", () => {
  it("lets through what its rules say, from the moment they are set, and stays silent otherwise", async () => {
    await output(home.ipv4, "for port in 80 443 8080; do systemd-run -q python3 -m http.server $port; done; systemd-run -q nft -f /dev/null; sleep 0.5");
    const seen = async (): Promise<readonly unknown[]> => {
      const { open, refused } = await scanTcp(stranger.namespace, home.ipv4, [1, 1000]);
      return [open, refused.length];
    };
    expect(await seen()).toEqual([[22, 80, 443], 997]);
    expect(await knockUdp(stranger.namespace, home.ipv4, 500)).toBe("refused");
    await cloud.setFilter(1, [ssh, { protocol: "tcp", port: "400-450", sources: ["10.231.207.0/24"] }, { protocol: "tcp", port: "80", sources: ["10.231.206.0/24", "fd23:1::/32"] }]);
    expect(await seen()).toEqual([[22, 443], 50]);
    expect(await knockUdp(stranger.namespace, home.ipv4, 500)).toBe("silent");
    await cloud.setFilter(1, [ssh, { protocol: "udp", port: "500", sources: everyone }]);
    expect(await seen()).toEqual([[22], 0]);
    expect(await knockUdp(stranger.namespace, home.ipv4, 500)).toBe("refused");
    expect(await output(home.ipv6, "curl -s -o /dev/null --max-time 5 http://10.231.0.1:9 2>&1; echo $?")).toBe("7");
    await cloud.setFilter(1, [{ ...ssh, sources: ["::/0"] }]);
    expect([(await on(home.ipv4, "true")).exitCode, await output(home.ipv6, "echo in")]).toEqual([255, "in"]);
    await cloud.setFilter(1, []);
    await cloud.setFilter(1, []);
    expect(await seen()).toEqual([[], 0]);
    await cloud.power(1, "reset");
    expect(await seen()).toEqual([[], 0]);
    await cloud.setFilter(1, undefined);
    expect(await answers(home.ipv4)).toBe(true);
    await expect(cloud.setFilter(1, [{ protocol: "tcp", port: "80 accept", sources: everyone }])).rejects.toThrow('"80 accept" is no port');
  });
});

describe("two servers", () => {
  it("hand over an address and a volume within a second", async () => {
    await cloud.setAddresses(1, { ...home, ipv4: moving });
    await cloud.setAddresses(1, { ...home, ipv4: moving });
    await cloud.createServer(plan({ id: 2, name: "bob", addresses: { ipv4: away } }));
    expect(await answers(away)).toBe(true);
    expect(await output(moving, "hostname")).toBe("alice");
    expect((await on(home.ipv4, "true")).exitCode).not.toBe(0);
    const pinged = async (): Promise<boolean> => (await on(moving, `ping -c 1 -W 1 ${away}`)).exitCode === 0;
    await cloud.setFilter(2, [ssh]);
    expect(await pinged()).toBe(false);
    await cloud.setFilter(2, [ssh, { protocol: "icmp", sources: ["10.231.0.0/16"] }]);
    expect(await pinged()).toBe(true);
    await expect(cloud.setAddresses(2, { ipv4: moving })).rejects.toThrow("take it from there first");
    await expect(cloud.createServer(plan({ id: 3, name: "carol", volumes: [5], addresses: {} }))).rejects.toThrow("attached to server 1");
    await expect(cloud.attachVolume(5, 2)).rejects.toThrow("attached to server 1");
    await output(moving, `mountpoint -q /data || mount ${VOLUME} /data; echo more >> /data/file; sync`);
    await cloud.setAddresses(1, {});
    await cloud.setAddresses(2, { ipv4: moving, ipv6: home.ipv6 });
    const begun = Date.now();
    expect(await output(moving, "hostname")).toBe("bob");
    expect(await output(home.ipv6, "hostname")).toBe("bob");
    expect(Date.now() - begun).toBeLessThan(2_000);
    await cloud.detachVolume(5);
    await cloud.detachVolume(5);
    await cloud.attachVolume(5, 2);
    expect(await output(moving, `mkdir -p /data; mount ${VOLUME} /data; cat /data/file`)).toBe("precious\nmore");
  });

  it("leave their volume behind when they are deleted, and nothing else", async () => {
    for (const id of [1, 2, 2, 3]) await cloud.deleteServer(id);
    expect(await cloud.state(2)).toBe("absent");
    expect(await cloud.leftovers()).toEqual(["volume 5"]);
    await cloud.deleteVolume(5);
    await cloud.deleteVolume(5);
    expect(await cloud.leftovers()).toEqual([]);
  });
});

describe("a cloud that is killed", () => {
  const program = join(dirname(fileURLToPath(import.meta.url)), `.cloudKilled-${process.pid}.mjs`);
  beforeAll(() => build({ entryPoints: [join(dirname(fileURLToPath(import.meta.url)), "cloudKilled.ts")], outfile: program, bundle: true, platform: "node", format: "esm", packages: "external", logLevel: "error" }));
  afterAll(() => rmSync(program, { force: true }));
  const killed = (what: "make" | "rebuild" | "raze", after: number): NodeJS.Signals | null =>
    spawnSync(process.execPath, [program, what, cacheFolder(), state, String(after), authorizedKey], { stdio: ["ignore", "inherit", "inherit"], timeout: 60_000 }).signal;

  it.each([1, 90, 200, 300])("%s ms into a server's and a volume's making leaves what the next raze removes", async (after) => {
    killed("make", after);
    await cloud.raze();
    expect(await cloud.leftovers()).toEqual([]);
  });

  it.each([40, 200])("%s ms into a rebuild leaves what the next one finishes", async (after) => {
    await cloud.createVolume(5, 1);
    await cloud.createServer(plan({ volumes: [5] }));
    killed("rebuild", after);
    await cloud.rebuild(plan({ volumes: [5] }));
    expect(await answers(home.ipv4)).toBe(true);
    killed("raze", after);
    await cloud.raze();
    expect(await cloud.leftovers()).toEqual([]);
  });
});
