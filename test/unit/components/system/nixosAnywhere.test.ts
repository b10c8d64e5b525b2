import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { kexecArguments, nixosAnywhere, proxyScript, startInstaller } from "../../../../components/system/nixosAnywhere.js";

const to = { user: "root", address: "10.231.9.7", port: 22, hostKey: "ssh-ed25519 AAAAkey", identityFile: "/keys/it's" };
const folder = mkdtempSync(join(tmpdir(), "holdfast-anywhere-"));
const [PATH, noted] = [process.env["PATH"]!, join(folder, "noted")];
const program = (name: string, text: string): void => {
  writeFileSync(join(folder, name), `#!/bin/bash\n${text}\n`);
  chmodSync(join(folder, name), 0o755);
};
const notes = (): string[] => (existsSync(noted) ? readFileSync(noted, "utf8").trimEnd().split("\n") : []);

beforeEach(() => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  for (const name of ["noted", "nixos-anywhere", "nix"]) rmSync(join(folder, name), { force: true });
  process.env["PATH"] = `${folder}:/usr/bin:/bin`;
  program("ssh", "echo SSH-2.0-OpenSSH_9.2");
});
afterAll(() => {
  process.env["PATH"] = PATH;
  rmSync(folder, { recursive: true });
});

describe("what carries nixos-anywhere's connections", () => {
  it("checks the pinned key, whatever the connection inside says, and ends in that host's own sshd", () => {
    const script = proxyScript(to);
    expect(script).toMatch(/^#!\/bin\/sh\nexec ssh '-o' 'BatchMode=yes' '-o' 'ControlMaster=no' '-W' '127\.0\.0\.1:22' '-o' 'ControlPath=none' '-o' 'StrictHostKeyChecking=yes' '-o' 'UserKnownHostsFile=\/[^']+' '-o' 'GlobalKnownHostsFile=\/dev\/null' '-o' 'HostKeyAlias=holdfast-2676f65236063b17' /);
    expect(script).toMatch(/'-o' 'IdentitiesOnly=yes' '-i' '\/keys\/it'\\''s' '-p' '22' 'root@10\.231\.9\.7'\n$/);
  });
});

describe("nixos-anywhere", () => {
  it("is given every connection's proxy as one word, runs its first phase alone, and needs no Nix here", () => {
    const proxy = "/tmp/x/pinned";
    expect(kexecArguments(to, proxy)).toEqual([
      "--phases", "kexec", "--build-on", "remote", "--no-use-machine-substituters", "--flake", "path:/none#none", "-i", "/keys/it's", "--ssh-port", "22", "--post-kexec-ssh-port", "22",
      "--ssh-option", "ControlPath=none", "--ssh-option", "ProxyUseFdpass=no", "--ssh-option", "BatchMode=yes", "--ssh-option", `ProxyCommand=${proxy}`, "--target-host", "root@10.231.9.7",
    ]);
    const options = kexecArguments(to, proxy).flatMap((word, index, all) => (all[index - 1] === "--ssh-option" ? [word] : []));
    for (const option of options) expect(option).not.toMatch(/\s/);
  });

  it("is the one on the PATH, and its proxy asks the host for its banner first", async () => {
    program("ssh", `echo "ssh $*" >> ${noted}; echo SSH-2.0-OpenSSH_9.2`);
    program("nixos-anywhere", `echo "nixos-anywhere $*" >> ${noted}`);
    program("nix", `echo "nix $*" >> ${noted}`);
    await startInstaller(to);
    expect(notes()).toEqual([expect.stringMatching(/^ssh .*-W 127\.0\.0\.1:22 .*StrictHostKeyChecking=yes/), expect.stringMatching(/^nixos-anywhere --phases kexec .*ProxyCommand=\/\S+\/pinned --target-host root@10\.231\.9\.7$/)]);
  });

  it("comes pinned from its own repository where only Nix is there", async () => {
    program("nix", `echo "$*" >> ${noted}`);
    await startInstaller(to);
    expect(nixosAnywhere.flake).toMatch(/\/[0-9a-f]{40}$/);
    expect(notes()[0]).toContain(`run ${nixosAnywhere.flake} -- --phases kexec`);
  });

  it("is not run for a host that gives no banner", async () => {
    program("ssh", "echo 'Host key verification failed.' >&2; exit 255");
    program("nixos-anywhere", `echo called >> ${noted}`);
    await expect(startInstaller(to)).rejects.toThrow(/Host key verification failed\.\nNothing was done/);
    expect(notes()).toEqual([]);
  });

  it("that fails is told with its exit code", async () => {
    program("nixos-anywhere", "echo 'aborted: no kexec'; exit 3");
    await expect(startInstaller(to)).rejects.toThrow("nixos-anywhere failed (exit 3)");
    expect(process.stderr.write).toHaveBeenCalledWith("aborted: no kexec\n");
  });

  it("that waits for ever is ended, with all that it started", async () => {
    program("nixos-anywhere", `(while :; do date +%N >> ${noted}; sleep 0.05; done) & wait`);
    await expect(startInstaller(to, 600)).rejects.toThrow("did not end within 0.01 minutes");
    const then = notes().length;
    await new Promise((done) => setTimeout(done, 300));
    expect(then).toBeGreaterThan(1);
    expect(notes()).toHaveLength(then);
  });

  it("that is nowhere is named, with its version", async () => {
    program("sh", "exit 1");
    await expect(startInstaller(to)).rejects.toThrow(`neither nixos-anywhere (${nixosAnywhere.version}) nor Nix`);
    rmSync(join(folder, "sh"));
  });
});
