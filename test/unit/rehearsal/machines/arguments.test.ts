import { describe, expect, it } from "vitest";
import { diskFiles, isMounted, mountArguments } from "../../../../rehearsal/machines/disk.js";
import { namesOf } from "../../../../rehearsal/machines/names.js";
import { inNamespaceArguments } from "../../../../rehearsal/machines/namespace.js";
import { launchArguments, nspawnArguments } from "../../../../rehearsal/machines/nspawn.js";
import { attachCommands, bridgeCommands, listensAtBridge } from "../../../../rehearsal/machines/plumbing.js";
import { knownHostsLine, proofArguments } from "../../../../rehearsal/machines/ssh.js";

const alice = namesOf("/s", "alice");

describe("a machine's programs get exactly these arguments:", () => {
  it("systemd-nspawn", () => {
    expect(nspawnArguments(alice, { root: "/s/machines/alice/root", programs: "/programs" })).toEqual([
      "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--directory=/s/machines/alice/root", `--machine=${alice.namespace}`, "--hostname=alice",
      `--network-namespace-path=/run/netns/${alice.namespace}`, "--capability=CAP_NET_ADMIN", "--bind=/dev/net/tun", "--bind-ro=/programs:/opt/rehearsal",
      "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only", "--settings=no",
    ]);
    expect(nspawnArguments(alice, { root: "/r" }).join(" ")).not.toContain("/opt/rehearsal");
  });
  it("the shell that starts it in its cgroups, again after a reboot", () => {
    expect(launchArguments(["systemd-nspawn", "-x"], ["/c/a", "/c/b"])).toEqual([
      "sh", "-c", 'while :; do (echo 0 > /c/a/cgroup.procs; echo 0 > /c/b/cgroup.procs; exec "$@"); [ $? = 133 ] || exit; done', "machine", "systemd-nspawn", "-x",
    ]);
  });
  it("systemd-nspawn and its shell, for a machine with another name, more folders, and a first boot of another root", () => {
    expect(nspawnArguments(alice, { root: "/r", hostname: "shop", binds: ["/a:/b"] })).toEqual(expect.arrayContaining(["--hostname=shop", "--bind=/a:/b"]));
    expect(launchArguments(["systemd-nspawn", "-x"], ["/c/a"], { firstRoot: "/f", afterwards: "down" })).toEqual([
      "sh", "-c", 'first=$1; shift; while :; do (echo 0 > /c/a/cgroup.procs; exec "$@" ${first:+"$first"}); [ $? = 133 ] || { down; exit; }; first=; done', "machine", "--directory=/f", "systemd-nspawn", "-x",
    ]);
  });
  it("mount", () => {
    expect(mountArguments(alice, "/image")).toEqual([
      "mount", "-t", "overlay", alice.namespace, "-o", "lowerdir=/image,upperdir=/s/machines/alice/upper,workdir=/s/machines/alice/work", "/s/machines/alice/root",
    ]);
  });
  it("ip, for the bridge and for a namespace on it", () => {
    expect(bridgeCommands()).toEqual([
      ["ip", "link", "add", "hf0", "address", "02:68:0a:e7:00:01", "type", "bridge"],
      ["ip", "link", "set", "hf0", "addrgenmode", "none"],
    ]);
    expect(attachCommands(alice, "10.231.250.11")).toEqual([
      ["ip", "netns", "add", alice.namespace],
      ["ip", "link", "add", alice.link, "type", "veth", "peer", "name", "host0", "address", "02:68:0a:e7:fa:0b", "netns", alice.namespace],
      ["ip", "link", "set", alice.link, "addrgenmode", "none", "master", "hf0", "up"],
      ["ip", "-n", alice.namespace, "link", "set", "lo", "up"],
      ["ip", "-n", alice.namespace, "address", "add", "10.231.250.11/16", "dev", "host0"],
      ["ip", "-n", alice.namespace, "link", "set", "host0", "addrgenmode", "none", "up"],
    ]);
    expect(inNamespaceArguments("hf-0000-peer", ["wg", "show"])).toEqual(["ip", "netns", "exec", "hf-0000-peer", "wg", "show"]);
  });
  it("ssh, which trusts the pinned key and offers none of the user's", () => {
    expect(proofArguments("10.231.250.11", 22, "/k")).toEqual([
      "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=/k", "-o", "GlobalKnownHostsFile=/dev/null",
      "-o", "HostKeyAlgorithms=ssh-ed25519", "-o", "PreferredAuthentications=none", "-o", "IdentityAgent=none", "-o", "ControlPath=none", "-o", "ConnectTimeout=2",
      "-o", "LogLevel=ERROR", "-p", "22", "root@10.231.250.11", "--", "true",
    ]);
  });
});

describe("a machine's disk", () => {
  it("has the machine's name, address, and the one key that may log in", () => {
    const files = diskFiles(alice, { address: "10.231.250.11", generation: 1, authorizedKey: "ssh-ed25519 AAAA me\n" });
    expect(files["etc/hostname"]).toBe("alice\n");
    expect(files["etc/systemd/network/05-host0.network"]).toBe("[Match]\nName=host0\n\n[Network]\nAddress=10.231.250.11/16\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n");
    expect(files["root/.ssh/authorized_keys"]).toBe("ssh-ed25519 AAAA me\n");
  });
  it("has another machine id in each generation", () => {
    const id = (generation: number): string => diskFiles(alice, { address: "10.231.250.11", generation, authorizedKey: "" })["etc/machine-id"]!;
    expect(id(1)).toMatch(/^[0-9a-f]{32}\n$/);
    expect(id(1)).not.toBe(id(2));
  });
  it("is found in mountinfo, with a space in its path too", () => {
    const table = "36 35 98:0 / /mnt/a\\040b rw - overlay x rw\n37 35 98:0 / /mnt/c rw - overlay x rw\n";
    expect(isMounted("/mnt/a b", table)).toBe(true);
    expect(isMounted("/mnt/a", table)).toBe(false);
    expect(isMounted("/mnt/c", table)).toBe(true);
  });
});

describe("known_hosts", () => {
  it("names the port only when it is not 22", () => {
    expect(knownHostsLine("10.231.0.2", 22, "ssh-ed25519 K")).toBe("10.231.0.2 ssh-ed25519 K\n");
    expect(knownHostsLine("10.231.0.2", 2222, "ssh-ed25519 K")).toBe("[10.231.0.2]:2222 ssh-ed25519 K\n");
  });
});

describe("the bridge", () => {
  const row = (local: string, state: string): string => `  sl  local_address rem_address   st\n   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n`;
  it("is in use while something listens at its address", () => expect(listensAtBridge(row("0100E70A:1F40", "0A"))).toBe(true));
  it("is not in use for a listener elsewhere, nor for a connection", () => {
    expect(listensAtBridge(row("00000000:0016", "0A"))).toBe(false);
    expect(listensAtBridge(row("0100E70A:1F40", "01"))).toBe(false);
  });
});
