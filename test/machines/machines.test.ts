import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cacheFolder } from "../../cli/places.js";
import { ensureImage } from "../../rehearsal/machines/image.js";
import { leftovers } from "../../rehearsal/machines/leftovers.js";
import { createMachine, deleteMachine, listMachines, restartMachine, type HostFile } from "../../rehearsal/machines/machine.js";
import { namesOf } from "../../rehearsal/machines/names.js";
import { isRunning } from "../../rehearsal/machines/nspawn.js";
import { attempt, until, type Finished } from "../../rehearsal/run.js";
import { waitForSsh } from "../../rehearsal/machines/ssh.js";
import { createStranger, deleteStranger } from "../../rehearsal/machines/stranger.js";
import { runIn } from "../../rehearsal/machines/namespace.js";
import { bringUpTunnel, takeDownTunnel } from "../../rehearsal/machines/tunnel.js";

const cache = cacheFolder();
const folder = mkdtempSync(join(tmpdir(), "holdfast-machines-"));
const state = join(folder, "state");
const key = join(folder, "key");
const report = (line: string): void => {
  if (process.env["VERBOSE"]) console.log(line);
};
let authorizedKey = "";
const made = (name: string, address: string): Promise<HostFile> => createMachine({ cache, state, name, address, authorizedKey, programs: folder, report });

function on(name: string, address: string, command: string): Promise<Finished> {
  return attempt(["ssh", "-F", "none", "-i", key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", `UserKnownHostsFile=${join(namesOf(state, name).folder, "known_hosts")}`, `root@${address}`, "--", command]);
}
async function output(name: string, address: string, command: string): Promise<string> {
  const { exitCode, stdout, stderr } = await on(name, address, command);
  expect(exitCode, stderr).toBe(0);
  return stdout;
}
const wgKeys = (): { privateKey: string; publicKey: string } => {
  const privateKey = execFileSync("wg", ["genkey"]).toString().trim();
  return { privateKey, publicKey: execFileSync("wg", ["pubkey"], { input: privateKey }).toString().trim() };
};

beforeAll(async () => {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key]);
  authorizedKey = readFileSync(`${key}.pub`, "utf8");
  await ensureImage({ cache, report });
}, 900_000);

afterAll(async () => {
  for (const { name } of await listMachines(state)) await deleteMachine(state, name, { forget: "generation" });
  await deleteStranger(state, "peer");
  expect(leftovers(state)).toEqual([]);
  rmSync(folder, { recursive: true });
}, 120_000);

describe("machines", () => {
  const [alice, bob] = ["10.231.250.11", "10.231.250.12"];

  it("answer SSH, two at once, within seconds", async () => {
    const begun = Date.now();
    const hosts = await Promise.all([made("alice", alice), made("bob", bob)]);
    const taken = Date.now() - begun;
    console.log(`two machines answered SSH after ${taken} ms`);
    expect(taken).toBeLessThan(15_000);
    expect(await output("alice", alice, "hostname; ls /opt/rehearsal; cat /proc/1/comm")).toBe("alice\nkey\nkey.pub\nstate\nsystemd");
    expect(JSON.parse(readFileSync(namesOf(state, "alice").hostFile, "utf8"))).toEqual(hosts[0]);
    expect(Object.keys(hosts[0]!)).toEqual(["address", "port", "user", "hostKey", "generation"]);
    expect(hosts[0]!.generation).toBe(1);
  }, 60_000);

  it("run systemd with no failed unit, and have what a node needs", async () => {
    await output("bob", bob, "systemctl is-system-running --wait");
    await output("bob", bob, "nft list ruleset && wg --version && age --version && restic version && nix --version && ping -c1 -W2 10.231.0.1 && nix store ping");
    expect(await output("bob", bob, "systemctl --failed --no-legend")).toBe("");
  }, 60_000);

  it("show nothing of a machine when they are asked for again", async () => {
    const before = await output("alice", alice, "cat /proc/sys/kernel/random/boot_id; systemctl show -P ActiveEnterTimestampMonotonic ssh");
    expect(await made("alice", alice)).toEqual(JSON.parse(readFileSync(namesOf(state, "alice").hostFile, "utf8")));
    expect(await output("alice", alice, "cat /proc/sys/kernel/random/boot_id; systemctl show -P ActiveEnterTimestampMonotonic ssh")).toBe(before);
    await expect(made("alice", "10.231.250.13")).rejects.toThrow(`alice is a machine at ${alice}`);
  }, 60_000);

  it("are started again on their disk when they shall see other programs", async () => {
    const others = mkdtempSync(join(folder, "programs-"));
    writeFileSync(join(others, "newer"), "");
    const host = await createMachine({ cache, state, name: "bob", address: bob, authorizedKey, programs: others, report });
    expect(host).toEqual(JSON.parse(readFileSync(namesOf(state, "bob").hostFile, "utf8")));
    expect(await output("bob", bob, "ls /opt/rehearsal; touch /opt/rehearsal/x 2>&1 || true")).toBe("newer\ntouch: cannot touch '/opt/rehearsal/x': Read-only file system");
  }, 60_000);

  it("are refused at once when another host key answers", async () => {
    const wrong = join(folder, "wrong");
    const other = JSON.parse(readFileSync(namesOf(state, "bob").hostFile, "utf8")) as HostFile;
    writeFileSync(wrong, `${alice} ${other.hostKey}\n`);
    await expect(waitForSsh(alice, 22, wrong, 5_000)).rejects.toThrow("answered with another host key");
  });

  it("are refused an address that another machine has", async () => {
    await expect(made("mallory", bob)).rejects.toThrow(`${bob} is ${namesOf(state, "bob").namespace}'s`);
    await deleteMachine(state, "mallory", { forget: "generation" });
    expect((await listMachines(state)).map(({ name }) => name)).toEqual(["alice", "bob"]);
  }, 60_000);

  it("shut down in order and keep their disk when they are restarted", async () => {
    await output("alice", alice, "echo kept > /root/kept; printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=true\\nExecStop=/bin/sh -c \"echo stopped > /root/stopped\"\\n' > /etc/systemd/system/witness.service; systemctl start witness");
    const before = JSON.parse(readFileSync(namesOf(state, "alice").hostFile, "utf8"));
    expect(await restartMachine(state, "alice", report)).toEqual(before);
    expect(await output("alice", alice, "cat /root/kept /root/stopped")).toBe("kept\nstopped");
  }, 60_000);

  it("come back by themselves from a reboot that they asked for", async () => {
    const boot = "cat /proc/sys/kernel/random/boot_id";
    const before = await output("alice", alice, boot);
    await on("alice", alice, "systemctl reboot");
    expect(await until(async () => {
      const { exitCode, stdout } = await on("alice", alice, boot);
      return exitCode === 0 && stdout !== before;
    }, 30_000, 200)).toBe(true);
  }, 60_000);

  it("are started again on the same disk after their process died", async () => {
    const { nspawn } = pids("alice");
    process.kill(nspawn, "SIGKILL");
    expect(await until(() => !isRunning(namesOf(state, "alice")), 5_000)).toBe(true);
    expect((await made("alice", alice)).generation).toBe(1);
    expect(await output("alice", alice, "cat /root/kept")).toBe("kept");
  }, 60_000);

  it("carry a WireGuard tunnel to a peer's namespace", async () => {
    const [node, phone] = [wgKeys(), wgKeys()];
    const psk = execFileSync("wg", ["genpsk"]).toString().trim();
    await output("alice", alice, `set -e; export WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1; ip link add wg0 type wireguard 2>/dev/null || wireguard-go wg0 >/dev/null 2>&1
      umask 077; printf '[Interface]\\nPrivateKey = ${node.privateKey}\\nListenPort = 51820\\n[Peer]\\nPublicKey = ${phone.publicKey}\\nPresharedKey = ${psk}\\nAllowedIPs = 10.99.0.2/32\\n' > /run/wg0.conf
      wg setconf wg0 /run/wg0.conf; ip address add 10.99.0.1/24 dev wg0; ip link set wg0 up`);
    const { namespace } = await createStranger({ state, name: "peer", address: "10.231.250.21" });
    const reachesNode = async (): Promise<boolean> => (await runIn(namespace, ["timeout", "3", "bash", "-c", "read -r banner < /dev/tcp/10.99.0.1/22 && [[ $banner = SSH-* ]]"])).exitCode === 0;
    expect(await reachesNode()).toBe(false);
    const device = await bringUpTunnel(namespace, `[Interface]\nPrivateKey = ${phone.privateKey}\nAddress = 10.99.0.2/32\nDNS = 10.99.0.1\n\n[Peer]\nPublicKey = ${node.publicKey}\nPresharedKey = ${psk}\nEndpoint = ${alice}:51820\nAllowedIPs = 10.99.0.1/32\nPersistentKeepalive = 25\n`);
    expect(await reachesNode()).toBe(true);
    expect((await runIn(namespace, ["wg", "show", device, "latest-handshakes"])).stdout).toMatch(/\t[1-9]\d+$/);
    await takeDownTunnel(namespace);
    expect(await reachesNode()).toBe(false);
    await bringUpTunnel(namespace, `[Interface]\nPrivateKey = ${wgKeys().privateKey}\nAddress = 10.99.0.2/32\n[Peer]\nPublicKey = ${node.publicKey}\nPresharedKey = ${psk}\nEndpoint = ${alice}:51820\nAllowedIPs = 10.99.0.1/32\n`);
    expect(await reachesNode()).toBe(false);
    await deleteStranger(state, "peer");
    expect(leftovers(state).filter((one) => one.includes("peer"))).toEqual([]);
    expect(existsSync(`/run/wireguard/${device}.sock`)).toBe(false);
  }, 60_000);

  it("leave nothing but their generation when they are deleted, and have a new key when made again", async () => {
    const before = await made("bob", bob);
    await deleteMachine(state, "bob");
    await deleteMachine(state, "bob");
    expect(leftovers(state).filter((one) => one.includes("bob"))).toEqual([]);
    expect(readdirSync(join(state, "machines")).filter((name) => name.startsWith("bob"))).toEqual(["bob.generation"]);
    const after = await made("bob", bob);
    expect(after.generation).toBe(2);
    expect(after.hostKey).not.toBe(before.hostKey);
    await deleteMachine(state, "bob", { forget: "generation" });
    expect(readdirSync(join(state, "machines")).filter((name) => name.startsWith("bob"))).toEqual([]);
  }, 60_000);
});

describe("a creator or deleter that is killed", () => {
  const address = "10.231.250.31";
  let program = "";
  beforeAll(async () => {
    program = join(dirname(fileURLToPath(import.meta.url)), `.killed-${process.pid}.mjs`);
    await build({ entryPoints: [resolve(dirname(fileURLToPath(import.meta.url)), "killed.ts")], outfile: program, bundle: true, platform: "node", format: "esm", packages: "external", logLevel: "error" });
  });
  afterAll(() => rmSync(program, { force: true }));
  const killed = (at: string, what = "create"): NodeJS.Signals | null =>
    spawnSync(process.execPath, [program, what, cache, state, "carol", address, authorizedKey, at], { stdio: ["ignore", "inherit", "inherit"], timeout: 60_000 }).signal;

  it.each(["making", "mounting", "connecting", "booting", "waiting", "500", "is ready"])("at \"%s\" leaves nothing that a delete does not find", async (at) => {
    expect(killed(at)).toBe("SIGKILL");
    expect((await listMachines(state)).map(({ name }) => name).includes("carol")).toBe(at !== "making");
    await deleteMachine(state, "carol", { forget: "generation" });
    expect(leftovers(state).filter((one) => one.includes("carol"))).toEqual([]);
    expect(readdirSync(join(state, "machines")).filter((name) => name.startsWith("carol"))).toEqual([]);
  }, 60_000);

  it("leaves what the same command finishes", async () => {
    expect(killed("booting")).toBe("SIGKILL");
    expect(await made("carol", address)).toMatchObject({ address, generation: 1 });
  }, 60_000);

  it("leaves a machine that outlives it", async () => {
    await deleteMachine(state, "carol", { forget: "generation" });
    expect(killed("is ready")).toBe("SIGKILL");
    expect(await output("carol", address, "hostname")).toBe("carol");
  }, 60_000);

  it.each(["20", "60", "120", "200", "280", "360"])("%s ms into a delete leaves what the next delete finishes", async (after) => {
    await made("carol", address);
    killed(after, "delete");
    await deleteMachine(state, "carol", { forget: "generation" });
    expect(leftovers(state).filter((one) => one.includes("carol"))).toEqual([]);
    expect(readdirSync(join(state, "machines")).filter((name) => name.startsWith("carol"))).toEqual([]);
  }, 60_000);
});

function pids(name: string): { readonly nspawn: number } {
  const found = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && existsSync(`/proc/${pid}/cmdline`)).find((pid) => {
    const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return argv[0] === "systemd-nspawn" && argv.includes(`--machine=${namesOf(state, name).namespace}`);
  });
  return { nspawn: Number(found) };
}
