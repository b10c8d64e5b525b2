import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { cacheFolder } from "../../cli/places.js";
import { runOnHost } from "../../components/host/ssh.js";
import { installSystem } from "../../components/system/install.js";
import { inspectCommand, seenHost } from "../../components/system/installationCommands.js";
import { installNixos } from "../../components/system/installation.js";
import { nixosAnywhere, startInstaller } from "../../components/system/nixosAnywhere.js";
import { nixosSchema, type Settings } from "../../formats/settings.js";
import type { Connection } from "../../formats/step.js";
import { leftovers } from "../../rehearsal/machines/leftovers.js";
import { createMachine, deleteMachine } from "../../rehearsal/machines/machine.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-provision-"));
const state = join(folder, "state");
const said: string[] = [];
const { PATH, HOME } = process.env;
let host: Connection;

const agent = vi.hoisted(() => `/tmp/holdfast-provision-agent-${process.pid}.mjs`);
vi.mock("../../components/system/sources.js", () => ({ programsOf: () => ({ "agent.mjs": agent }) }));

/** nixos-anywhere's own sources, at the commit that the product names: what this runs is real, and none of it lies in this repository. */
const checkout = join(cacheFolder(), "nix-sources", "nixos-anywhere", "src", "nixos-anywhere.sh");
const unavailable = !existsSync(checkout) ? `${checkout} is missing: a checkout of ${nixosAnywhere.flake}` : !existsSync("/usr/bin/ssh-copy-id") ? "ssh-copy-id is not installed (openssh-client)" : undefined;
if (unavailable !== undefined) process.stderr.write(`nixos-anywhere itself is not tried here: ${unavailable}.\n`);

/**
 * Stands for nixos-anywhere where its own sources are not at hand. It trusts the one key that it was told of, and uses the options that it was given as nixos-anywhere
 * does: once with `ssh`, once as `nix copy` does, from a text split at blanks.
 */
const fake = (): string => `#!/bin/bash
set -u
args=(-o IdentitiesOnly=yes -o UserKnownHostsFile=${folder}/inner -o StrictHostKeyChecking=yes)
echo "called" >> ${folder}/called
while [ $# -gt 0 ]; do case "$1" in
  --ssh-option) args+=(-o "$2"); shift ;;
  --ssh-port) args+=(-p "$2"); shift ;;
  -i) args=(-i "$2" "\${args[@]}"); shift ;;
  --target-host) target=$2; shift ;;
esac; shift; done
ssh "\${args[@]}" "$target" 'echo "inner from $SSH_CONNECTION"; cat /etc/ssh/ssh_host_ed25519_key.pub' || exit 7
NIX_SSHOPTS="\${args[*]}"
ssh $NIX_SSHOPTS "$target" 'echo as nix copy does' || exit 8
`;

/** Between the first look and the first connection, another host takes the address: the key that is pinned is another one from here on. */
const taken = (): string => `for argument in "$@"; do case "$argument" in ProxyCommand=*) proxy=\${argument#*=} ;; esac; done
known=$(grep -o "UserKnownHostsFile=[^']*" "$proxy" | cut -d= -f2); sed -i 's#ssh-ed25519 .*#${stranger()}#' "$known"
`;

const command = (text: string): void => {
  writeFileSync(join(folder, "bin", "nixos-anywhere"), text);
  chmodSync(join(folder, "bin", "nixos-anywhere"), 0o755);
};
function stranger(): string {
  const key = join(folder, `stranger-${Math.random()}`);
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key]);
  return readFileSync(`${key}.pub`, "utf8").trim();
}
const called = (): boolean => existsSync(join(folder, "called"));
const on = (text: string, to = host): Promise<string> => runOnHost(to, text, { deadline: 30_000, channel: "fresh" });
const withDisk = (disks: unknown): Settings => ({ place: { environment: "dev", network: "regtest", node: "alice", generation: 1 }, nixos: nixosSchema.parse({ disks }) }) as Settings;
const single = withDisk({ layout: "single", disk: "/dev/disk/by-id/virtio-none" });

beforeAll(async () => {
  const key = join(folder, "key");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key]);
  const { generation: _, ...made } = await createMachine({ cache: cacheFolder(), state, name: "fresh", address: "10.231.247.11", authorizedKey: readFileSync(`${key}.pub`, "utf8"), report: () => undefined });
  host = { ...made, identityFile: key };
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "inner"), `${host.address} ${host.hostKey}\n`);
  writeFileSync(agent, "agent");
  // ssh-copy-id works below it.
  process.env["HOME"] = join(folder, "home");
});
beforeEach(() => {
  process.env["PATH"] = `${join(folder, "bin")}:${PATH}`;
  command(fake());
  said.length = 0;
  rmSync(join(folder, "called"), { force: true });
  vi.spyOn(process.stderr, "write").mockImplementation((line) => said.push(String(line)) > 0);
});
afterEach(() => {
  process.env["PATH"] = PATH;
  vi.restoreAllMocks();
});
afterAll(async () => {
  process.env["HOME"] = HOME;
  await deleteMachine(state, "fresh", { forget: "generation" });
  expect(leftovers(state)).toEqual([]);
  rmSync(folder, { recursive: true });
  rmSync(agent);
});

describe("what carries nixos-anywhere", () => {
  it("reaches the host that has the pinned key, from that host's own loopback", async () => {
    await startInstaller(host);
    expect(said.join("")).toMatch(/inner from 127\.0\.0\.1 \d+ 127\.0\.0\.1 22/);
    expect(said.join("")).toContain(host.hostKey);
    expect(said.join("")).toContain("as nix copy does");
  });

  it("starts nothing for a host with another key", async () => {
    await expect(startInstaller({ ...host, hostKey: stranger() })).rejects.toThrow(/Host key verification failed[^]*Nothing was done/);
    expect(called()).toBe(false);
  });

  it("reaches nothing when another host answers in between", async () => {
    command(fake().replace("set -u\n", `set -u\n${taken()}`));
    await expect(startInstaller(host)).rejects.toThrow("failed (exit 7)");
    // The outer connection's own word, by the name under which it pins.
    expect(said.join("")).toMatch(/host key for holdfast-[0-9a-f]{16} has changed/i);
    expect(said.join("")).not.toContain("inner from");
  });

  it("starts nothing where the host's sshd forwards nothing", async () => {
    await on("echo 'AllowTcpForwarding no' > /etc/ssh/sshd_config.d/00-test.conf; systemctl reload ssh");
    await expect(startInstaller(host)).rejects.toThrow(/administratively prohibited[^]*AllowTcpForwarding/);
    expect(called()).toBe(false);
    await on("rm /etc/ssh/sshd_config.d/00-test.conf; systemctl reload ssh");
  });
});

describe("an installation", () => {
  it("sees the host over its pinned key, and refuses a disk that it does not have before anything is started", async () => {
    const seen = seenHost(await on(inspectCommand));
    expect(seen).toMatchObject({ system: "other", uid: 0, mark: "" });
    expect(seen.memory).toBeGreaterThan(100_000);
    await expect(installNixos({ connection: host, generation: 1, node: "alice", flake: "./nix", settings: single })).rejects.toThrow(/no disk was touched:[^]*virtio-none is not on this host/);
    expect(called()).toBe(false);
  });

  it("does not take a host that calls itself NixOS for one that it has installed", async () => {
    await on("rm /etc/os-release; printf 'ID=nixos\\n' > /etc/os-release");
    await expect(installNixos({ connection: host, generation: 4, node: "alice", flake: "./nix", settings: single })).rejects.toThrow(/NixOS already, and not of the disks[^]*virtio-none is not on this host[^]*layout: kept/);
    expect(called()).toBe(false);
  });
});

describe("the system of a host that is NixOS and keeps its disks", () => {
  const flake = join(folder, "flake");
  const build = (): ReturnType<typeof installSystem> => installSystem({ connection: host, node: "alice", flake, settings: withDisk({ layout: "kept" }) });
  const builtFrom = async ({ toplevel }: { readonly toplevel: string }): Promise<string> => on(`cat ${toplevel}`);

  beforeAll(() => {
    mkdirSync(flake);
    // A system that says what hardware it was evaluated with.
    writeFileSync(join(flake, "flake.nix"), `{
      inputs.handover = { url = "path:./none"; flake = false; };
      outputs = { handover, ... }: let
        hardware = import (handover + "/hardware-configuration.nix") { };
        imported = map (path: import path { }) (hardware.imports or [ ]);
      in { holdfastSystems.alice = derivation {
        name = "hardware"; system = "${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux"; builder = "/bin/sh"; args = [ "-c" "echo $device $loader > $out" ];
        device = hardware.fileSystems."/".device; loader = map (one: one.boot.loader.grub.device) imported;
      }; };
    }`);
  });

  it("cannot be made without a hardware configuration, and the error says so", async () => {
    await expect(build()).rejects.toThrow(/neither \/etc\/nixos\/hardware-configuration\.nix nor nixos-generate-config/);
  });

  it("has the one that NixOS's own program makes, made once", async () => {
    await on(`printf '%s\\n' '#!/bin/sh' '[ "$*" = --show-hardware-config ] || exit 3' 'echo "{ ... }: { fileSystems.\\"/\\".device = \\"/dev/made-$(cat /proc/sys/kernel/random/uuid)\\"; }"' > /usr/local/bin/nixos-generate-config; chmod 755 /usr/local/bin/nixos-generate-config`);
    const first = await build();
    expect(await builtFrom(first)).toMatch(/^\/dev\/made-[0-9a-f-]{36}\n$/);
    expect(await build()).toEqual(first);
    expect(said.join("")).toContain("NixOS has made one");
  });

  it("has the host's own with what it imports, and changes when that changes", async () => {
    await on(`mkdir -p /etc/nixos/boot; printf '%s\\n' '{ ... }: { imports = [ ./boot ]; fileSystems."/" = { device = "/dev/disk/by-uuid/1234"; fsType = "ext4"; }; }' > /etc/nixos/hardware-configuration.nix`);
    await expect(build()).rejects.toThrow("/etc/nixos/boot/default.nix is imported");
    await on(`echo '{ ... }: { boot.loader.grub.device = "/dev/vda"; }' > /etc/nixos/boot/default.nix; echo secret > /etc/nixos/other`);
    const built = await build();
    expect(await builtFrom(built)).toBe("/dev/disk/by-uuid/1234 /dev/vda\n");
    expect(Object.keys(built.hardware!)).toEqual(["boot/default.nix", "hardware-configuration.nix"]);
    expect(await on("ls /var/lib/holdfast/sources/*/handover"), "nothing else of /etc/nixos").not.toContain("other");
    await on(`sed -i s/vda/vdb/ /etc/nixos/boot/default.nix`);
    expect(await builtFrom(await build())).toContain("/dev/vdb");
  });
});

describe.skipIf(unavailable !== undefined)("nixos-anywhere itself, which checks no host key", () => {
  /** Its tar with the installer: this one's `run` notes that it ran, and stands for the reboot. */
  const installer = (run: string): string => {
    const tar = join(folder, "kexec.tar");
    mkdirSync(join(folder, "tar", "kexec"), { recursive: true });
    writeFileSync(join(folder, "tar", "kexec", "run"), `#!/bin/sh\n${run}`, { mode: 0o755 });
    execFileSync("tar", ["--create", "--file", tar, "--directory", join(folder, "tar"), "kexec"]);
    return tar;
  };
  const script = (tar: string): string => `exec bash ${checkout} --kexec ${tar} "$@"\n`;
  /** What somebody who got in would have left. The look itself is one login. */
  const traces = async (): Promise<{ logins: number; left: string }> => {
    const [logins, ...left] = (await on("journalctl --unit ssh --no-pager | grep -c 'Accepted publickey'; cat /root/.ssh/authorized_keys | sha256sum; ls -A /root")).trim().split("\n");
    return { logins: Number(logins), left: left.join(" ") };
  };

  beforeAll(async () => {
    // It wants cpio for its initrd, which is not made here.
    await on("command -v cpio >/dev/null || { printf '#!/bin/sh\\n' > /usr/local/bin/cpio; chmod 755 /usr/local/bin/cpio; }; rm /etc/os-release; printf 'ID=debian\\n' > /etc/os-release");
  });

  it("gets to no host with another key: no command, no file, no key", async () => {
    const before = await traces();
    command(`#!/bin/bash\n${taken()}${script(installer("echo ran > /root/ran"))}`);
    await expect(startInstaller(host, 8000)).rejects.toThrow("did not end within");
    expect(said.join("")).toContain("### Uploading install SSH keys ###");
    expect(said.join("")).toMatch(/host key for holdfast-[0-9a-f]{16} has changed/i);
    const after = await traces();
    // The first look of ours, while the right host answered, and this one.
    expect(after.logins - before.logins).toBe(2);
    expect(after.left).toBe(before.left);
  });

  it("would get to any without what carries it: the control", async () => {
    command(`#!/bin/bash\nkept=(); for argument in "$@"; do case "$argument" in ProxyCommand=*) kept+=(ProxyCommand=none) ;; *) kept+=("$argument") ;; esac; done; set -- "\${kept[@]}"\n${script(installer("echo ran > /root/ran"))}`);
    await expect(startInstaller(host, 60_000)).rejects.toThrow("failed (exit 1)");
    expect(await on("cat /root/ran; rm -r /root/ran /root/kexec")).toBe("ran\n");
  });

  it("brings its installer to the pinned host, and this is the host that comes back", async () => {
    command(`#!/bin/bash\n${script(installer([
      'echo "$0 $*" > /root/ran', "printf 'ID=nixos\\nVARIANT_ID=installer\\n' > /etc/os-release",
      "systemd-run --quiet sh -c 'sleep 2; systemctl stop ssh.socket ssh; sleep 5; systemctl start ssh'", "echo machine will boot into nixos in 2s",
    ].join("\n")))}`);
    await startInstaller(host, 120_000);
    expect(said.join("")).toContain("### Switching system into kexec ###");
    expect(await on("cat /root/ran")).toContain("kexec/kexec/run");
    expect(seenHost(await on(inspectCommand))).toMatchObject({ system: "installer", mark: "" });
    expect(await on("journalctl --unit ssh --no-pager | grep 'Accepted publickey' | grep -c 'from 127.0.0.1'"), "by its loopback").toMatch(/^[1-9]/);
  });
});
