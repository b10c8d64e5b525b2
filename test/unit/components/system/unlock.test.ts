import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { unlockHost } from "../../../../components/system/unlock.js";
import { nixFolder } from "../../nix/evaluate.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-unlock-"));
const [PATH, diskKey, initrdKey] = [process.env["PATH"]!, "ab".repeat(32), "ssh-ed25519 AAAAinitrd"];
const connection = { user: "admin", address: "10.231.9.7", port: 22, hostKey: "ssh-ed25519 AAAAhost", identityFile: "/keys/id" };
/** What stands for ssh: notes its arguments and its stdin, and does as the host at that port. */
const ssh = (running: string, waiting: string): void => {
  writeFileSync(join(folder, "ssh"), `#!/bin/bash\nexec 3>&2; echo "$*" >> ${folder}/arguments; env >> ${folder}/environment\ncase " $* " in\n*" -p 2222 "*) cat >> ${folder}/stdin; ${waiting} ;;\n*) ${running} ;;\nesac\n`);
  chmodSync(join(folder, "ssh"), 0o755);
};
const noted = (name: string): string => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), "utf8") : "");
const unlock = (deadline = 3000) => unlockHost({ connection, unlockKey: initrdKey, diskKey }, deadline, 20);
const closed = "echo 'ssh: connect to host 10.231.9.7 port 22: Connection refused' >&2; exit 255";

beforeEach(() => {
  for (const name of ["arguments", "stdin", "up", "environment"]) rmSync(join(folder, name), { force: true });
  process.env["PATH"] = `${folder}:/usr/bin:/bin`;
});
afterAll(() => {
  process.env["PATH"] = PATH;
  rmSync(folder, { recursive: true });
});

describe("a host that waits for its disk's key", () => {
  it("gets it on stdin alone, as root at port 2222, under the initrd's own pinned key", async () => {
    ssh(`[ -e ${folder}/up ] || { ${closed}; }`, `touch ${folder}/up`);
    expect(await unlock()).toBe("unlocked");
    const pinned = `holdfast-${createHash("sha256").update(initrdKey).digest("hex").slice(0, 16)}`;
    const known = join(tmpdir(), `holdfast-ssh-${userInfo().uid}`, pinned);
    expect(noted("arguments").split("\n")[1]).toBe([
      "-o BatchMode=yes", "-o StrictHostKeyChecking=yes", `-o UserKnownHostsFile=${known}`, "-o GlobalKnownHostsFile=/dev/null", `-o HostKeyAlias=${pinned}`, "-o UpdateHostKeys=no",
      "-o ConnectTimeout=10", "-o ServerAliveInterval=5", "-o ServerAliveCountMax=3", "-o ControlMaster=no", "-o ControlPath=none", "-o IdentitiesOnly=yes -i /keys/id",
      "-p 2222", "root@10.231.9.7", "-- systemd-tty-ask-password-agent --query",
    ].join(" "));
    expect(readFileSync(known, "utf8")).toBe(`${pinned} ${initrdKey}\n`);
    expect(noted("stdin")).toBe(`${diskKey}\n`);
    expect(noted("arguments") + noted("environment")).not.toContain(diskKey);
  });

  it("that runs already is given nothing", async () => {
    ssh("exit 0", "exit 0");
    expect(await unlock()).toBe("running");
    expect(noted("arguments")).not.toContain("2222");
  });

  it("is asked again while its network comes up, and while the next question comes", async () => {
    ssh(`[ $(wc -l < ${folder}/stdin) -ge 2 ] || { ${closed}; }`, `[ $(wc -l < ${folder}/arguments) -gt 5 ] || { rm ${folder}/stdin; echo 'Connection refused' >&2; exit 255; }`);
    writeFileSync(join(folder, "stdin"), "");
    expect(await unlock(8000)).toBe("unlocked");
  });

  it.each([
    ["shows another key", "echo 'Host key verification failed.' >&2; exit 255", /does not have the key of the waiting host \(ssh-ed25519 AAAAinitrd\)\. The disk's key was not given/],
    ["lets nobody in", "echo 'root@10.231.9.7: Permission denied (publickey).' >&2; exit 255", /lets nobody of ours in: .*Permission denied.*access\.identityFile/],
    ["has no agent", "echo 'sh: not found' >&2; exit 127", /did not take its disk's key: .*exit 127/],
  ])("ends it at once when it %s", async (_, waiting, words) => {
    ssh(closed, waiting);
    await expect(unlock(60_000)).rejects.toThrow(words);
    expect(noted("arguments").match(/-p 2222/g)).toHaveLength(1);
  });

  it.each([
    ["took the key and stays away", "exit 0", /took the disk's key, and did not come up within 1 seconds.*formatted with/],
    ["answers nowhere", closed, /did not wait for its disk's key within 1 seconds, and does not run \(port 22: .*Connection refused; port 2222: .*Connection refused/],
  ])("is given up at the deadline when it %s", async (_, waiting, words) => {
    ssh(closed, waiting);
    await expect(unlock(800)).rejects.toThrow(words);
  });

  it("is what nix/disks/unlock.nix makes: a systemd that asks, which is the agent's other end", () => {
    expect(readFileSync(join(nixFolder, "disks/unlock.nix"), "utf8")).toContain("systemd.enable = true;");
  });
});
