import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cacheFolder } from "../../cli/places.js";
import { runOnHost } from "../../components/host/ssh.js";
import { UNLOCK_PORT } from "../../components/system/installationCommands.js";
import { unlockHost } from "../../components/system/unlock.js";
import type { Connection } from "../../formats/step.js";
import { leftovers } from "../../rehearsal/machines/leftovers.js";
import { createMachine, deleteMachine } from "../../rehearsal/machines/machine.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-unlock-"));
const state = join(folder, "state");
let host: Connection;

const keyPair = (name: string): string => {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", join(folder, name)]);
  return readFileSync(join(folder, `${name}.pub`), "utf8").trim();
};
const on = (text: string): Promise<string> => runOnHost(host, text, { deadline: 30_000, channel: "fresh" });

beforeAll(async () => {
  const { generation: _, ...made } = await createMachine({ cache: cacheFolder(), state, name: "waits", address: "10.231.247.12", authorizedKey: keyPair("key"), report: () => undefined });
  host = { ...made, identityFile: join(folder, "key") };
});
afterAll(async () => {
  await deleteMachine(state, "waits", { forget: "generation" });
  expect(leftovers(state)).toEqual([]);
  rmSync(folder, { recursive: true });
});

describe("a host that waits for its disk's key", () => {
  const diskKey = "ab".repeat(32);
  let unlockKey: string;
  const give = (changes: Partial<Parameters<typeof unlockHost>[0]>, deadline: number) => unlockHost({ connection: host, unlockKey, diskKey, ...changes }, deadline, 300);

  beforeAll(async () => {
    // Stands for the initrd: an sshd of its own key at port 2222, whose one command is systemd's agent, as it is there; something that asks until it has the right
    // key, as systemd-cryptsetup does; and no other sshd until then.
    await on([
      "mkdir -p /root/initrd; ssh-keygen -q -t ed25519 -N '' -C initrd -f /root/initrd/key",
      `printf '%s\\n' '#!/bin/sh' 'echo "$SSH_ORIGINAL_COMMAND" >> /root/initrd/asked' '[ "$SSH_ORIGINAL_COMMAND" = "systemd-tty-ask-password-agent --query" ] || exit 9' 'exec systemd-tty-ask-password-agent --query' > /root/initrd/agent`,
      `printf '%s\\n' '#!/bin/sh' 'until [ "$(systemd-ask-password --no-tty --timeout=0 disk)" = ${diskKey} ]; do echo wrong >> /root/initrd/wrong; done' 'systemctl stop initrd-sshd; systemctl start ssh' > /root/initrd/cryptsetup`,
      "chmod 755 /root/initrd/agent /root/initrd/cryptsetup",
      `systemd-run --quiet --unit=initrd-sshd /usr/sbin/sshd -D -f none -p ${UNLOCK_PORT} -h /root/initrd/key -o ForceCommand=/root/initrd/agent -o PidFile=none`,
      "systemd-run --quiet --unit=initrd-cryptsetup /root/initrd/cryptsetup",
    ].join("; "));
    unlockKey = (await on("cut -d ' ' -f 1,2 /root/initrd/key.pub")).trim();
    await on("systemd-run --quiet sh -c 'sleep 0.3; systemctl stop ssh.socket ssh; mkdir -p /run/sshd'");
    await new Promise((done) => setTimeout(done, 1500));
  });

  it("gives nothing to one that shows another key", async () => {
    await expect(give({ unlockKey: keyPair("stranger") }, 10_000)).rejects.toThrow(/does not have the key of the waiting host.*was not given/);
  });

  it("does not come up with another disk's key, which is told", async () => {
    await expect(give({ diskKey: "cd".repeat(32) }, 3000)).rejects.toThrow(/took the disk's key, and did not come up.*formatted with/);
  });

  it("comes up with its own, and is given nothing once it runs", async () => {
    expect(await give({}, 20_000)).toBe("unlocked");
    expect(await give({}, 20_000)).toBe("running");
    expect(new Set((await on("cat /root/initrd/asked")).trim().split("\n"))).toEqual(new Set(["systemd-tty-ask-password-agent --query"]));
    expect(await on("cat /root/initrd/wrong")).toContain("wrong");
  });
});
