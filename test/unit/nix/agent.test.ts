import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { hostLayout } from "../../../formats/hostLayout.js";
import { settingsSchema } from "../../../formats/settings.js";
import { announceMissing, evaluate, nixFolder, textOf } from "./evaluate.js";
import { nodeWith, pulledIn } from "./nodes.js";

/** Of each unit: what it must have, no more and no less. */
const expected = {
  "holdfast-gate.service": {
    after: ["bitcoind.service", "nix-bitcoin-secrets.target"], requires: ["nix-bitcoin-secrets.target"], wants: ["bitcoind.service"], wantedBy: ["holdfast-node.target"], requiredBy: [], partOf: [],
  },
  "holdfast-backup.service": {
    after: ["lnd.service", "nix-bitcoin-secrets.target"], requires: ["nix-bitcoin-secrets.target"], wants: [], wantedBy: ["holdfast-identity.target"], requiredBy: [], partOf: ["holdfast-identity.target"],
  },
  "holdfast-identity.target": { after: [], requires: [], wants: [], wantedBy: [], requiredBy: [], partOf: [] },
  "holdfast-node.target": { after: ["multi-user.target"], requires: ["multi-user.target"], wants: [], wantedBy: [], requiredBy: [], partOf: [] },
} as const;

describe("the paths of Nix modules", () => {
  it("are those of agent and steps", () => {
    const paths = Object.fromEntries([...readFileSync(join(nixFolder, "modules/agent/layout.nix"), "utf8").matchAll(/^ {2}(\w+) = "(.*)";$/gm)].map(([, name, path]) => [name, path]));
    expect(Object.keys(paths).length).toBeGreaterThan(8);
    expect(hostLayout).toMatchObject(paths);
  });
});

describe.skipIf(announceMissing())("the agent's module", () => {
  it("has the gate, the watch and their targets, ordered as in the rehearsal", async () => {
    const { units } = await evaluate(nodeWith());
    for (const [name, links] of Object.entries(expected)) {
      const found = Object.fromEntries(Object.keys(links).map((key) => [key, [...new Set(units[name]![key as keyof typeof links])].sort()]));
      expect(found, name).toEqual(links);
      expect(units[name]!.unitConfig["X-OnlyManualStart"], name).toBe(true);
    }
    expect(units["holdfast-gate.service"]!.serviceConfig!["Type"]).toBe("exec");
  });

  it("asks the gate at boot, and not whenever a switch starts multi-user.target again", async () => {
    const { units } = await evaluate(nodeWith());
    expect(pulledIn(units, "multi-user.target")).not.toContain("holdfast-gate.service");
    expect(pulledIn(units, "holdfast-node.target")).toEqual(expect.arrayContaining(["holdfast-gate.service", "multi-user.target", "bitcoind.service"]));
    expect(pulledIn(units, "holdfast-node.target")).not.toContain("lnd.service");
  });

  it("brings a new system's secrets once their owners exist, while it is on trial and never otherwise", async () => {
    const { activationScripts, systemPackages } = await evaluate(nodeWith());
    const { deps, text } = activationScripts["holdfast"]!;
    expect([...deps].sort()).toEqual(["etc", "groups", "users"]);
    const agent = /\/nix\/store\/[^ ]+\/bin\/holdfast-agent/.exec(text)![0];
    const folder = mkdtempSync(join(tmpdir(), "holdfast-activation-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const activate = (): string => execFileSync("bash", ["-eu"], { input: text.replaceAll(agent, "echo").replaceAll("/run/holdfast", folder), encoding: "utf8" });
    expect(activate()).toBe("");
    writeFileSync(join(folder, "activation.json"), "");
    writeFileSync(join(folder, "activation.json.rolling-back"), "");
    expect(activate()).toBe("place-secrets\n");
    // nixpkgs' bash for scripts is built without programmable completion.
    expect(text).not.toContain("compgen");
    expect(systemPackages).toContain("holdfast-agent");
  });

  it("gives the agent the stack's settings as they are, and runs it by Node.js", async () => {
    const settings = nodeWith();
    const evaluated = await evaluate(settings);
    expect(settingsSchema.parse(JSON.parse(evaluated.etc["holdfast/settings.json"]!.text!))).toEqual(settingsSchema.parse(settings));
    expect(textOf(evaluated, evaluated.units["holdfast-gate.service"]!.serviceConfig!["ExecStart"] as string)).toMatch(/exec \/nix\/store\/[^ ]+-nodejs_22\/bin\/node [^ ]+ "\$@"/);
  });

  it("keeps root's folders to root", async () => {
    const { tmpfiles } = await evaluate(nodeWith());
    expect(tmpfiles).toEqual(expect.arrayContaining(["d /var/lib/holdfast 0700 root root - -", "d /run/holdfast 0700 root root - -"]));
  });

  it.each([
    ["a service that wants LND", `{ systemd.services.shop = { wantedBy = [ "multi-user.target" ]; wants = [ "lnd.service" ]; }; }`, /shop\.service starts lnd\.service/],
    ["a timer's service that requires LND", `{ systemd.services.fees = { startAt = "daily"; requires = [ "lnd.service" ]; }; }`, /fees\.service starts lnd\.service/],
    ["a target that upholds the identity target", `{ systemd.targets.all.upholds = [ "holdfast-identity.target" ]; }`, /all\.target starts holdfast-identity\.target/],
    ["an identity target of multi-user.target", `{ systemd.targets.holdfast-identity.wantedBy = [ "multi-user.target" ]; }`, /multi-user\.target starts holdfast-identity\.target/],
    ["a timer of LND's own name", `{ systemd.timers.lnd.timerConfig.OnBootSec = 1; }`, /Timers, paths or sockets would start daemons that wait for the gate: lnd/],
  ])("refuses %s, in words that name both and the remedy", async (_, extra, message) => {
    const { assertions } = await evaluate(nodeWith(), extra);
    expect(assertions).toHaveLength(1);
    expect(assertions[0]).toMatch(message);
    expect(assertions[0]).toMatch(/Take the dependency away|Switch them off/);
  });
});

describe.skipIf(announceMissing())("the way back from a system on trial", () => {
  it("goes through a restart where the kernel panics or systemd hangs", async () => {
    const { boot } = await evaluate(nodeWith());
    expect(boot.sysctl["kernel.panic"]).toBe(30);
  });

  it("needs switch-to-configuration", async () => {
    const { assertions } = await evaluate(nodeWith(), `{ system.switch.enable = false; }`);
    expect(assertions).toEqual([expect.stringMatching(/system\.switch\.enable is off.*\nTurn system\.switch\.enable on\./)]);
  });
});
