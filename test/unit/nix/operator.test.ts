import { describe, expect, it } from "vitest";
import { announceMissing, evaluate } from "./evaluate.js";
import { nodeWith } from "./nodes.js";

describe.skipIf(announceMissing())("who may log in", () => {
  it("is root and the operator, by the stack's keys", async () => {
    const settings = nodeWith();
    const { users, openssh, assertions } = await evaluate(settings);
    expect(assertions).toEqual([]);
    for (const name of ["root", "operator"]) expect([...new Set(users[name]!.authorizedKeys)], name).toEqual(settings.authorizedKeys);
    expect(Object.entries(users).filter(([, { authorizedKeys }]) => authorizedKeys.length > 0).map(([name]) => name).sort()).toEqual(["operator", "root"]);
    expect(openssh.settings).toMatchObject({ PermitRootLogin: "prohibit-password", PasswordAuthentication: false, KbdInteractiveAuthentication: false, AllowUsers: ["root", "operator"] });
  });

  it("becomes LND's user by doas, and nobody else", async () => {
    const { users, doas } = await evaluate(nodeWith(["lnd", "clightning"]));
    expect(doas.trim()).toBe("permit nopass operator as lnd");
    expect(users["operator"]!.extraGroups).toEqual(expect.arrayContaining(["bitcoin", "clightning", "lnd", "proc", "systemd-journal"]));
    expect(users["operator"]!.extraGroups).not.toContain("wheel");
  });

  it.each([
    ["no key", `{ holdfast.operator.authorizedKeys = [ ]; }`, /authorizedKeys is empty, and no account has a password.*\nName the deploy machine's public key/],
    ["a password", `{ users.users.operator.password = "hunter2"; }`, /An account has a password: operator\. [^]*Take it out/],
    ["sudo", `{ lib, ... }: { security.sudo.enable = lib.mkForce true; }`, /security\.sudo\.enable is on\.\nLeave both/],
  ])("is refused with %s", async (_, extra, message) => {
    const { assertions } = await evaluate(nodeWith(), extra);
    expect(assertions.join("\n")).toMatch(message);
  });
});
