import { describe, expect, it } from "vitest";
import { announceMissing, evaluate } from "./evaluate.js";
import { stackNode } from "./stackNode.js";

describe.skipIf(announceMissing())("OpenSSH on the node", () => {
  it("takes keys alone, for root and the operator, and shows the one host key that the stack pins", async () => {
    const settings = stackNode();
    const { openssh, users } = await evaluate(settings);
    expect(openssh).toMatchObject({
      enable: true, ports: [22], hostKeys: ["/etc/ssh/ssh_host_ed25519_key"],
      settings: { PermitRootLogin: "prohibit-password", PasswordAuthentication: false, KbdInteractiveAuthentication: false, AuthenticationMethods: "publickey", AllowUsers: ["root", "operator"] },
    });
    for (const user of ["root", "operator"]) expect(new Set(users[user]!.authorizedKeys)).toEqual(new Set(settings.authorizedKeys));
  });
});
