import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkEnvironments } from "../../../cli/envCheck.js";
import { createEnvironment } from "../../../cli/envCreate.js";
import { identityPath, recordsFolder } from "../../../cli/places.js";
import { readMarks } from "../../../custody/records.js";
import { newIdentity } from "../../../custody/seal.js";
import { emptyProject, usual } from "./emptyProject.js";

const { folder, places, recipientsOf } = emptyProject();

describe("checking environments", () => {
  const planted = async (): Promise<void> => {
    await createEnvironment(places("testnet"), usual);
    await createEnvironment(places("signet"), { ...usual, network: "signet" });
  };
  const findings = (): string[] => checkEnvironments(folder()).flatMap((one) => one.findings.map(({ path, wanted }) => `${one.environment}: ${path} ${wanted}`));
  const change = (path: string, edit: (text: string) => string): void => writeFileSync(join(folder(), path), edit(readFileSync(join(folder(), path), "utf8")));
  const hostKey = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"h".repeat(43)}`;

  it.each<[string, () => void, string]>([
    ["recipient", () => change("Pulumi.signet.yaml", (text) => text.replace(recipientsOf("signet").recovery, recipientsOf("testnet").environment)), "holdfast:recipients.recovery"],
    ["passphrase", () => change("environments/signet/marks.json", (text) => text.replace(/[0-9a-f]{64}/, readMarks(recordsFolder(places("testnet"))).passphrase!)), "environments/signet/marks.json: passphrase"],
    ["SSH host key", () => { for (const name of ["testnet", "signet"]) change(`Pulumi.${name}.yaml`, (text) => text.replace("hostKey: ssh-ed25519 REPLACE-ME", `hostKey: ${hostKey}`)); }, "hostKey"],
    ["WireGuard key", () => { for (const name of ["testnet", "signet"]) change(`environments/${name}/marks.json`, (text) => text.replace('"tunnels": {}', '"tunnels": { "alice": "key=" }')); }, "tunnels.alice"],
    ["address range", () => change("Pulumi.signet.yaml", (text) => text.replace(/network: 10\.\d+\.0\.0\/24/, "network: 10.0.0.0/8")), "tunnel.network"],
  ])("finds a shared %s, in both environments, and nothing before it was planted", async (_, plant, path) => {
    await planted();
    expect(findings()).toEqual([]);
    plant();
    expect(findings()).toEqual([expect.stringMatching(new RegExp(`^signet: .*${path.replace(".", "\\.")} .*environment testnet`)), expect.stringMatching(/^testnet: .*environment signet/)]);
  });

  it("finds mixed kinds, and mainnet's wallet identity in clear", async () => {
    await planted();
    const hybrid = (await newIdentity("hybrid")).recipient;
    change("Pulumi.signet.yaml", (text) => text.replace(recipientsOf("signet").wallet, hybrid));
    change("Pulumi.testnet.yaml", (text) => text.replace("testnet4", "mainnet"));
    expect(findings().join("\n")).toMatch(/signet: .*is a classical recipient[\s\S]*testnet: .*wallet\.age-key/);
  });

  it("says which identities are in clear, and that a recovery identity lies whole until it does not", async () => {
    await planted();
    const notes = (): string => checkEnvironments(folder()).find(({ environment }) => environment === "signet")!.notes.join("\n");
    expect(notes()).toMatch(/environment\.age-key is in clear[\s\S]*recovery identity still lies whole.*holdfast escrow create/);
    rmSync(identityPath(places("signet"), "recovery"));
    expect(notes()).not.toContain("whole");
  });
});
