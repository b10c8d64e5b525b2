import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkEnvironments } from "../../../cli/envCheck.js";
import { createEnvironment, type Creation } from "../../../cli/envCreate.js";
import { unlockPassphrase } from "../../../cli/keys.js";
import { identityPath, recordsFolder } from "../../../cli/places.js";
import { formOf, identityOf } from "../../../custody/identityFile.js";
import { sealedPassphrase } from "../../../custody/passphrase.js";
import { readMarks } from "../../../custody/records.js";
import { newIdentity, openText, sealText } from "../../../custody/seal.js";
import { emptyProject, nobody, PASSPHRASES, usual, words } from "./emptyProject.js";

const { folder, places, stackOf, recipientsOf, auditOf, fileOf } = emptyProject();

describe("creating an environment", () => {
  it("makes three identities, a sealed passphrase, marks and a stack file whose recipients are theirs", async () => {
    const { made, warnings } = await createEnvironment(places("testnet"), usual);
    expect(made).toHaveLength(5);
    expect(warnings.join()).toContain("holdfast escrow create -s testnet");
    const sealed = readFileSync(sealedPassphrase(recordsFolder(places("testnet"))), "utf8");
    const opened: string[] = [];
    for (const role of ["environment", "recovery", "wallet"] as const) {
      const file = identityPath(places("testnet"), role);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const identity = await identityOf(file, nobody);
      if (role === "wallet") await expect(openText(sealed, identity)).rejects.toThrow();
      else opened.push(await openText(sealed, identity));
      expect(await openText(await sealText(role, recipientsOf("testnet")[role]), identity)).toBe(role);
    }
    expect(new Set(opened).size).toBe(1);
    expect(Object.keys(readMarks(recordsFolder(places("testnet"))).made).sort()).toEqual(["environment", "passphrase", "recovery", "wallet"]);
    expect(await auditOf("testnet")).toEqual(["environment-created begun", "environment-created done"]);
  });

  it("leaves all as it is when it is run again, and no line in the log", async () => {
    await createEnvironment(places("testnet"), usual);
    const files = ["Pulumi.NAME.yaml", ".holdfast/NAME/environment.age-key", "environments/NAME/passphrase.age", "environments/NAME/marks.json"];
    const before = files.map((path) => fileOf("testnet", path));
    expect((await createEnvironment(places("testnet"), { ...usual, kind: "classical" })).made).toEqual([]);
    expect(files.map((path) => fileOf("testnet", path))).toEqual(before);
    expect(await auditOf("testnet")).toHaveLength(2);
  });

  it("fills in a stack file that is there, and gives a new one a tunnel network that no other has", async () => {
    const template = readFileSync("Pulumi.testnet.yaml", "utf8");
    writeFileSync(join(folder(), "Pulumi.testnet.yaml"), template);
    await createEnvironment(places("testnet"), { ...usual, network: undefined });
    expect(readFileSync(join(folder(), "Pulumi.testnet.yaml"), "utf8").replaceAll(/age1[a-z0-9]{58}/g, "age1-REPLACE-ME")).toBe(template);
    await createEnvironment(places("signet"), { ...usual, network: "signet" });
    expect(stackOf("signet").config["holdfast:nodes"]).toMatchObject({ alice: { tunnel: { network: "10.10.0.0/24" } } });
    await createEnvironment(places("another"), { ...usual, network: "signet" });
    expect(stackOf("another").config["holdfast:nodes"]).toMatchObject({ alice: { tunnel: { network: "10.12.0.0/24" } } });
    expect(checkEnvironments(folder()).flatMap(({ findings }) => findings)).toEqual([]);
  });

  it("makes hybrid identities when it is told to", async () => {
    await createEnvironment(places("testnet"), { ...usual, kind: "hybrid" });
    for (const recipient of Object.values(recipientsOf("testnet"))) expect(recipient).toMatch(/^age1pq1/);
    expect((await unlockPassphrase(places("testnet"), "shell"))).toBeDefined();
  });

  it("on mainnet keeps the wallet identity behind a passphrase of its own, whatever was asked, and warns of the others", async () => {
    await expect(createEnvironment(places("prod"), { ...usual, network: "mainnet", identity: "passphrase", passphrases: words("one and the same", "one and the same") })).rejects.toThrow("whoever has one would have both");
    expect(existsSync(identityPath(places("prod"), "environment"))).toBe(false);
    const { warnings } = await createEnvironment(places("prod"), { ...usual, network: "mainnet", passphrases: PASSPHRASES });
    expect(["environment", "recovery", "wallet"].map((role) => formOf(identityPath(places("prod"), role as "wallet")))).toEqual(["clear", "clear", "passphrase"]);
    expect(warnings[0]).toContain("mainnet's environment identity in clear");
    await expect(identityOf(identityPath(places("prod"), "wallet"), () => PASSPHRASES.infrastructure())).rejects.toThrow("the passphrase is another");
    expect(await identityOf(identityPath(places("prod"), "wallet"), () => PASSPHRASES.wallet())).toMatch(/^AGE-SECRET-KEY-/);
  });

  it("on mainnet refuses a wallet identity that lies there in clear", async () => {
    const wallet = await newIdentity();
    writeFileSync(identityPath(places("prod"), "wallet"), `${wallet.identity}\n`, { mode: 0o600 });
    await expect(createEnvironment(places("prod"), { ...usual, network: "mainnet" })).rejects.toThrow("wallet identity in clear on this machine");
    expect(existsSync(join(folder(), "Pulumi.prod.yaml"))).toBe(false);
  });

  it("takes a wallet recipient that was made elsewhere, and has no identity for it", async () => {
    const wallet = await newIdentity();
    await createEnvironment(places("prod"), { ...usual, network: "mainnet", identity: "passphrase", walletRecipient: wallet.recipient, passphrases: PASSPHRASES });
    expect(recipientsOf("prod").wallet).toBe(wallet.recipient);
    expect(existsSync(identityPath(places("prod"), "wallet"))).toBe(false);
    expect(checkEnvironments(folder())[0]!.identities).toEqual({ environment: "passphrase", recovery: "passphrase", wallet: "elsewhere" });
  });

  it.each<[string, () => Promise<Partial<Creation>>, string]>([
    ["a wallet recipient of another kind", async () => ({ walletRecipient: (await newIdentity("hybrid")).recipient }), "as weak as the first"],
    ["a token's recipient among hybrid ones", async () => ({ kind: "hybrid", identity: { recipient: `age1yubikey1${"q".repeat(60)}` } }), "as weak as the first"],
    ["another environment's recipient", async () => ({ walletRecipient: recipientsOf("testnet").recovery }), "belongs to environment testnet (its holdfast:recipients.recovery)"],
    ["no network", async () => ({ network: undefined }), "--network"],
  ])("refuses %s, and makes nothing", async (_, change, message) => {
    await createEnvironment(places("testnet"), usual);
    await expect(createEnvironment(places("other"), { ...usual, ...await change() })).rejects.toThrow(message);
    for (const path of ["Pulumi.other.yaml", "environments/other", ".holdfast/other/environment.age-key"]) expect(existsSync(join(folder(), path))).toBe(false);
  });

  it("refuses another network than the stack file's, a name that is none, and a stack file that names another recipient than the identity here", async () => {
    await createEnvironment(places("testnet"), usual);
    await expect(createEnvironment(places("testnet"), { ...usual, network: "signet" })).rejects.toThrow("never changes its network");
    await expect(createEnvironment({ ...places("testnet"), environment: "Test!" }, usual)).rejects.toThrow("is no name for an environment");
    const file = join(folder(), "Pulumi.testnet.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(recipientsOf("testnet").wallet, (await newIdentity()).recipient));
    await expect(createEnvironment(places("testnet"), usual)).rejects.toThrow(/wallet recipient is not clear: the identity in .* and holdfast:recipients.wallet differ/);
  });

  it("never makes a new passphrase for a stack that was used with another", async () => {
    await createEnvironment(places("testnet"), usual);
    rmSync(sealedPassphrase(recordsFolder(places("testnet"))));
    writeFileSync(join(folder(), "Pulumi.testnet.yaml"), `encryptionsalt: v1:x\n${fileOf("testnet", "Pulumi.NAME.yaml")}`);
    await expect(createEnvironment(places("testnet"), usual)).rejects.toThrow("Bring the file back from version control");
  });
});
