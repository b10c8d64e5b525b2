import { describe, expect, it } from "vitest";
import { knownHostsLine, sshArguments } from "../../../../components/host/ssh.js";

const to = { user: "root", address: "10.231.9.7", port: 22, hostKey: "ssh-ed25519 AAAAkey" };
const pinned = [
  "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=/f/holdfast-2676f65236063b17", "-o", "GlobalKnownHostsFile=/dev/null",
  "-o", "HostKeyAlias=holdfast-2676f65236063b17", "-o", "UpdateHostKeys=no", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
];

describe("ssh", () => {
  it("trusts the pinned key and nothing else, over the connection that an update shares", () => {
    expect(sshArguments(to, "/f", "update", "true")).toEqual([
      "-o", "BatchMode=yes", ...pinned, "-o", "ControlMaster=auto", "-o", "ControlPath=/f/2676f652-%C", "-o", "ControlPersist=20", "-p", "22", "root@10.231.9.7", "--", "true",
    ]);
  });

  it("shares no connection that another key has proven", () => {
    const socketFor = (hostKey: string): string | undefined => sshArguments({ ...to, hostKey }, "/f", "update", "true").find((one) => one.startsWith("ControlPath="));
    expect(socketFor("ssh-ed25519 AAAAother")).not.toBe(socketFor(to.hostKey));
    expect(socketFor(`${to.hostKey} a comment`)).toBe(socketFor(to.hostKey));
  });

  it("proves from outside over a connection of its own", () => {
    expect(sshArguments({ ...to, port: 2222, identityFile: "k" }, "/f", "fresh", "true")).toEqual([
      "-o", "BatchMode=yes", ...pinned, "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "IdentitiesOnly=yes", "-i", "k", "-p", "2222", "root@10.231.9.7", "--", "true",
    ]);
  });

  it("pins type and key under a name that depends on the key alone", () => {
    expect(knownHostsLine({ ...to, hostKey: "ssh-ed25519 AAAAkey a comment" })).toMatch(/^holdfast-[0-9a-f]{16} ssh-ed25519 AAAAkey\n$/);
    expect(knownHostsLine({ ...to, address: "other" })).toBe(knownHostsLine(to));
  });
});
