import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { cacheFolder } from "../../cli/places.js";
import { runOnHost } from "../../components/host/ssh.js";
import { inspectCommand, seenHost, unlockCommand } from "../../components/system/installationCommands.js";
import { installNixos } from "../../components/system/installation.js";
import { startInstaller } from "../../components/system/nixosAnywhere.js";
import { nixosSchema, type Settings } from "../../formats/settings.js";
import type { Connection } from "../../formats/step.js";
import { leftovers } from "../../rehearsal/machines/leftovers.js";
import { createMachine, deleteMachine } from "../../rehearsal/machines/machine.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-provision-"));
const state = join(folder, "state");
const said: string[] = [];
const PATH = process.env["PATH"];
let host: Connection;

/**
 * Trusts whoever answers, on purpose, and only a machine that this test made: nixos-anywhere says "StrictHostKeyChecking no", and accept-new over an empty file is the same.
 * That the pinned proxy refuses a wrong key all the same is what is tested here.
 *
 * Reaches the host as nixos-anywhere does: its own options first; then what it was given. Once with `ssh`, once as `nix copy` does, from a text split at blanks.
 */
const FAKE = `#!/bin/bash
set -u
args=(-o IdentitiesOnly=yes -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=accept-new)
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

const stranger = (): string => {
  const key = join(folder, `stranger-${Math.random()}`);
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key]);
  return readFileSync(`${key}.pub`, "utf8").trim();
};
const called = (): boolean => { try { return readFileSync(join(folder, "called"), "utf8") !== ""; } catch { return false; } };

beforeAll(async () => {
  const key = join(folder, "key");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key]);
  const { generation: _, ...made } = await createMachine({ cache: cacheFolder(), state, name: "fresh", address: "10.231.247.11", authorizedKey: readFileSync(`${key}.pub`, "utf8"), report: () => undefined });
  host = { ...made, identityFile: key };
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin", "nixos-anywhere"), FAKE);
  chmodSync(join(folder, "bin", "nixos-anywhere"), 0o755);
});
beforeEach(() => {
  process.env["PATH"] = `${join(folder, "bin")}:${PATH}`;
  said.length = 0;
  rmSync(join(folder, "called"), { force: true });
  vi.spyOn(process.stderr, "write").mockImplementation((line) => said.push(String(line)) > 0);
});
afterEach(() => {
  process.env["PATH"] = PATH;
  vi.restoreAllMocks();
});
afterAll(async () => {
  await deleteMachine(state, "fresh", { forget: "generation" });
  expect(leftovers(state)).toEqual([]);
  rmSync(folder, { recursive: true });
});

describe("nixos-anywhere, which checks no host key itself", () => {
  it("reaches the host that has the pinned key, from that host's own loopback", async () => {
    await startInstaller(host);
    expect(said.join("")).toMatch(/inner from 127\.0\.0\.1 \d+ 127\.0\.0\.1 22/);
    expect(said.join("")).toContain(host.hostKey);
    expect(said.join("")).toContain("as nix copy does");
  });

  it("is not even started for a host with another key", async () => {
    await expect(startInstaller({ ...host, hostKey: stranger() })).rejects.toThrow(/Host key verification failed[^]*Nothing was done/);
    expect(called()).toBe(false);
  });

  it("reaches nothing when another host answers in between", async () => {
    // The banner is asked for while the pinned key answers; what nixos-anywhere then uses pins another.
    writeFileSync(join(folder, "bin", "nixos-anywhere"), FAKE.replace("set -u", `set -u\nfor proxy in $(echo "$@" | grep -o 'ProxyCommand=[^ ]*' | cut -d= -f2); do known=$(grep -o "UserKnownHostsFile=[^']*" $proxy | cut -d= -f2); cp $known ${folder}/saved; sed -i 's#ssh-ed25519 .*#${stranger()}#' $known; done`));
    await expect(startInstaller(host)).rejects.toThrow("failed (exit 7)");
    expect(said.join("")).toContain("Host key verification failed");
    expect(said.join("")).not.toContain("inner from");
    writeFileSync(join(folder, "bin", "nixos-anywhere"), FAKE);
  });

  it("would reach a host with any key without this: the control", async () => {
    const out = execFileSync("ssh", ["-F", "none", "-i", host.identityFile!, "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=accept-new", `root@${host.address}`, "echo reached"], { stdio: ["ignore", "pipe", "ignore"] });
    expect(out.toString()).toBe("reached\n");
  });

  it("is not started where the host's sshd forwards nothing", async () => {
    const sshd = (command: string): Promise<string> => runOnHost(host, command, { deadline: 20_000, channel: "fresh" });
    await sshd("echo 'AllowTcpForwarding no' > /etc/ssh/sshd_config.d/00-test.conf; systemctl reload ssh");
    await expect(startInstaller(host)).rejects.toThrow(/administratively prohibited[^]*AllowTcpForwarding/);
    expect(called()).toBe(false);
    await sshd("rm /etc/ssh/sshd_config.d/00-test.conf; systemctl reload ssh");
  });
});

describe("an installation", () => {
  it("sees the host over its pinned key, and refuses a disk that it does not have before anything is started", async () => {
    const disk = "/dev/disk/by-id/virtio-none";
    const seen = seenHost(await runOnHost(host, inspectCommand, { deadline: 20_000, channel: "fresh" }));
    expect(seen).toMatchObject({ system: "other", uid: 0, mark: "" });
    expect(seen.memory).toBeGreaterThan(100_000);
    const settings = { nixos: nixosSchema.parse({ disks: { layout: "single", disk } }) } as Settings;
    await expect(installNixos({ connection: host, generation: 1, node: "alice", flake: "./nix", settings })).rejects.toThrow(/no disk was touched:[^]*virtio-none is not on this host/);
    expect(called()).toBe(false);
  });

  it("takes a host that calls itself NixOS as it is", async () => {
    await runOnHost(host, "cp /etc/os-release /root/os-release; rm /etc/os-release; printf 'ID=nixos\\n' > /etc/os-release", { deadline: 20_000, channel: "fresh" });
    const settings = { nixos: nixosSchema.parse({ disks: { layout: "single", disk: "/dev/disk/by-id/virtio-none" } }) } as Settings;
    expect(await installNixos({ connection: host, generation: 4, node: "alice", flake: "./nix", settings })).toEqual({ state: "present", generation: 4 });
  });

  it("gives a waiting host its disk's key as systemd wants it, without a terminal", async () => {
    await runOnHost(host, "systemd-run --unit=asks sh -c 'systemd-ask-password --no-tty --timeout=20 \"disk\" > /root/answer'; sleep 1", { deadline: 20_000, channel: "fresh" });
    await runOnHost(host, unlockCommand, { input: "k3y of the disk\n", deadline: 20_000, channel: "fresh" });
    expect(await runOnHost(host, "sleep 0.5; cat /root/answer", { deadline: 20_000, channel: "fresh" })).toBe("k3y of the disk\n");
  });
});
