import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { placesOf, type Places } from "../../../cli/places.js";
import { plannedFiles, withRecipients, writeCertificates, writeFiles, writeRecipients, writeRecords, type FoundNode } from "../../../cli/restoredFiles.js";
import { isLive } from "../../../cli/restoredStack.js";
import { knownCertificates } from "../../../components/secrets/knownCertificates.js";
import { readMarks, readVersions, writeMarks } from "../../../custody/records.js";
import { SENTINEL } from "../../../formats/roots.js";
import { exampleContent } from "../custody/deposit/example.js";

const age = (letter: string): string => `age1${letter.repeat(58)}`;
const recipients = { environment: age("n"), recovery: age("r"), wallet: age("w") };
const STACK = `# For people.
config:
  holdfast:network: regtest
  holdfast:recipients:
    environment: ${age("e")}    # wraps the passphrase
    recovery: ${age("r")}
    wallet: ${age("w")}
  holdfast:nodes:
    alice:
      id: alice-1
      identity: environments/dev/alice.lnd-seed.json
      backup:
        passwordFile: .holdfast/dev/store-password   # mode 0600
encryptionsalt: v1:abc=:v1:def
`;
const PLUGIN = "AGE-PLUGIN-YUBIKEY-1QQPSQVZ5DYQ\n";

let places: Places;
beforeEach(() => {
  places = placesOf(mkdtempSync(join(tmpdir(), "holdfast-restored-")), "dev");
  writeFileSync(join(places.project, "Pulumi.dev.yaml"), STACK);
});
afterEach(() => rmSync(places.project, { recursive: true, force: true }));

const node = (change: Parameters<typeof exampleContent>[1] = {}): FoundNode => ({
  files: { name: "alice", id: "alice-1", identity: "environments/dev/alice.lnd-seed.json", identities: [] },
  roots: { format: "holdfast-roots/1", sentinel: SENTINEL, sealed: "2026-11-21T12:00:00.000Z", ...exampleContent(recipients.recovery, change) },
  file: "20261121T120000.000Z.roots.age",
});
const text = (path: string): string => readFileSync(join(places.project, path), "utf8");

describe("the stack file of a restored environment", () => {
  it("names the new environment recipient, and is otherwise what it was, but for the salt of a passphrase that is gone", () => {
    expect(withRecipients(STACK, recipients)).toEqual({ text: STACK.replace(age("e"), age("n")).replace(/^encryptionsalt.*\n/m, "") });
  });

  it("is refused where it names another recovery or wallet recipient than the export", () => {
    expect(() => withRecipients(STACK, { ...recipients, recovery: age("x") })).toThrow(/whose recovery recipient is age1x+, and the stack file names age1r+/);
    expect(() => withRecipients(STACK.replace(/ {4}wallet:.*\n/, ""), recipients)).toThrow(/holdfast:recipients\.wallet of the stack file is missing/);
  });

  it("leaves its recipients in the file from which it takes them", () => {
    writeFileSync(join(places.project, "Pulumi.dev.yaml"), STACK.replace(/ {4}environment:[\s\S]*? {2}holdfast:nodes/, "    file: .holdfast/dev/recipients.json\n  holdfast:nodes"));
    writeRecipients(places, recipients);
    expect(JSON.parse(text(".holdfast/dev/recipients.json"))).toEqual(recipients);
    expect(text("Pulumi.dev.yaml")).not.toContain("encryptionsalt");
  });
});

describe("the files of a restored environment", () => {
  it("are made where they are missing, each with the mode that it wants", () => {
    const files = plannedFiles(places, [node({ walletIdentity: PLUGIN })]);
    expect(files.map(({ path }) => path)).toEqual(["environments/dev/alice.lnd-seed.json", ".holdfast/dev/store-password", ".holdfast/dev/wallet.age-key"]);
    writeFiles(places, files);
    expect(text(".holdfast/dev/store-password").trim()).toBe("password-of-the-store");
    expect(text(".holdfast/dev/wallet.age-key")).toBe(PLUGIN);
    for (const name of ["store-password", "wallet.age-key"]) expect(statSync(join(places.state, name)).mode & 0o777, name).toBe(0o600);
    expect(plannedFiles(places, [node({ walletIdentity: PLUGIN })]), "once more").toEqual([]);
  });

  it("are never overwritten: what differs is named, all of it, and nothing is planned", () => {
    mkdirSync(join(places.project, "environments", "dev"), { recursive: true });
    const [identity] = node().roots.identities;
    writeFileSync(join(places.project, "environments/dev/alice.lnd-seed.json"), JSON.stringify({ ...identity, nodePublicKey: `03${"cd".repeat(32)}` }));
    writeFileSync(join(places.state, "store-password"), "another");
    expect(() => plannedFiles(places, [node()])).toThrow(/^environments\/dev\/alice\.lnd-seed\.json, \.holdfast\/dev\/store-password are there and hold something else than the export\. Nothing was written/);
  });

  it("stay as they are where they say the same in other words: an identity that was sealed anew since", () => {
    mkdirSync(join(places.project, "environments", "dev"), { recursive: true });
    const [identity] = node().roots.identities;
    writeFileSync(join(places.project, "environments/dev/alice.lnd-seed.json"), JSON.stringify({ ...identity, made: "2027-01-01T00:00:00.000Z" }));
    expect(plannedFiles(places, [node()]).map(({ path }) => path)).toEqual([".holdfast/dev/store-password"]);
  });

  it("include the certificates that clients have pinned, where the next update looks for them", () => {
    writeCertificates(places, [node()]);
    const before = process.cwd();
    process.chdir(places.project);
    try {
      expect(knownCertificates("dev", "alice-1")).toEqual(node().roots.certificates);
    } finally {
      process.chdir(before);
    }
  });
});

describe("the records of a restored environment", () => {
  it("have versions and marks as the deposit has them, and the times of keys that were made anew", () => {
    const records = join(places.project, "environments", "dev");
    writeMarks(records, { format: "holdfast-marks/1", passphrase: "f".repeat(64), tunnels: { bob: "bob's key" }, made: { wallet: "2026-01-01T00:00:00.000Z" } });
    writeRecords(places, [node()], { environment: "2026-12-01T00:00:00.000Z" });
    expect(readVersions(records).nodes).toEqual(node().roots.versions.nodes);
    expect(readMarks(records)).toEqual({
      format: "holdfast-marks/1", passphrase: "f".repeat(64), tunnels: { bob: "bob's key", "alice-1": "the key of alice's tunnel" },
      made: { recovery: "2026-11-20T00:00:00.000Z", wallet: "2026-01-01T00:00:00.000Z", environment: "2026-12-01T00:00:00.000Z", "tunnel-alice-1": "2026-11-21T12:00:00.000Z" },
    });
  });
});

describe("a state that may be put aside", () => {
  it("is one from which nothing was delivered", () => {
    const step = (name: string) => ({ urn: "u", type: "command:local:Command", custom: true, inputs: { create: `node dist/steps/${name}.js` } });
    for (const name of ["hold", "certify", "reach", "install", "contact", "deposit", "seal"]) expect(isLive(step(name)), name).toBe(false);
    for (const name of ["deliver", "activate", "open"]) expect(isLive(step(name)), name).toBe(true);
    expect(isLive({ urn: "u", type: "hcloud:index/server:Server", custom: true })).toBe(true);
    for (const type of ["random:index/randomPassword:RandomPassword", "pulumi:providers:random"]) expect(isLive({ urn: "u", type, custom: true }), type).toBe(false);
    expect(isLive({ urn: "u", type: "holdfast:index:Node", custom: false })).toBe(false);
  });
});
