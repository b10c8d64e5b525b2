import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureRehearsalKeys } from "../../../cli/keys.js";
import type { KeyAge } from "../../../cli/keyAges.js";
import { specification } from "../../../cli/nodes.js";
import { auditLog, placesOf, recordsFolder, type Places } from "../../../cli/places.js";
import { custodyOf, keysText } from "../../../cli/status.js";
import { createIdentityFile } from "../../../cli/wallet.js";
import { record } from "../../../custody/audit/log.js";
import { readMarks, writeMarks } from "../../../custody/records.js";

let project: string;
let places: Places;
const now = (): Date => new Date();
const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString();

const template = mkdtempSync(join(tmpdir(), "holdfast-status-"));

/** A rehearsal's project whose machine, store and chain are only said to be there. */
beforeAll(async () => {
  project = template;
  for (const file of ["Pulumi.yaml", "Pulumi.dev.yaml"]) cpSync(join(import.meta.dirname, "../../..", file), join(project, file));
  places = placesOf(project, "dev");
  await ensureRehearsalKeys(places);
  const { wallet } = JSON.parse(readFileSync(join(places.state, "recipients.json"), "utf8")) as { wallet: string };
  await createIdentityFile(join(places.state, "alice.lnd-seed.json"), { environment: "dev", network: "regtest", node: "alice", recipient: wallet });
  mkdirSync(join(places.state, "machines"));
  writeFileSync(join(places.state, "machines", "alice.json"), JSON.stringify({ address: "10.231.9.10", hostKey: `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"h".repeat(43)}` }));
  writeFileSync(join(places.state, "chain.json"), JSON.stringify({ peers: [] }));
  writeFileSync(join(places.state, "alice.store.json"), JSON.stringify({ repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: ".holdfast/dev/store-password" }));
  mkdirSync(join(project, "deposit/dev/dev/alice"), { recursive: true });
  writeFileSync(join(project, "deposit/dev/dev/alice/20261121T000000.000Z.roots.age"), "sealed");
});
afterAll(() => rmSync(template, { recursive: true, force: true }));
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "holdfast-status-"));
  cpSync(template, project, { recursive: true, preserveTimestamps: true });
  places = placesOf(project, "dev");
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

const status = () => custodyOf(places, specification(places), now());
const made = (times: Readonly<Record<string, string>>): void => {
  const marks = readMarks(recordsFolder(places));
  writeMarks(recordsFolder(places), { ...marks, made: { ...marks.made, ...times } });
};

describe("the custody of an environment", () => {
  it("has nothing to warn of when all is new and whole", async () => {
    expect((await status()).warnings).toEqual(["A rehearsal: its keys guard worthless coins, and all lie on this machine in clear."]);
  });

  it("knows the age of every identity, of the passphrase, the SSH key, each secret and each peer's keys", async () => {
    const { keys } = await status();
    expect(keys.map(({ key }) => key)).toEqual(expect.arrayContaining(["age environment", "age recovery", "age wallet", "passphrase", "ssh", "secret lnd-macaroon-root-key", "secret lnd-tls-key", "lnd-seed", "wireguard phone", "wireguard laptop"]));
    expect(keys.filter(({ key }) => key === "secret lnd-macaroon-root-key" || key === "lnd-seed").map(({ fixed }) => fixed)).toEqual([true, true]);
    expect(new Set(keys.map(({ key }) => key)).size).toBe(keys.length);
    expect(keys.filter(({ node, made: since }) => node === undefined && since === undefined)).toEqual([]);
  });

  it("warns of keys older than a year, and says how to replace them", async () => {
    made({ environment: daysAgo(364), ssh: daysAgo(400), passphrase: daysAgo(500) });
    expect((await status()).warnings).toEqual(expect.arrayContaining(["ssh is 400 days old: holdfast rotate ssh -s dev", "passphrase is 500 days old: holdfast rotate age environment -s dev"]));
    expect((await status()).warnings.join()).not.toContain("age environment is");
  });

  it("warns of an audit log that was changed, and of deeds that were never finished", async () => {
    await record(auditLog(places), { action: "secret-rotated", subject: "alice/lnd-wallet-password", outcome: "begun" });
    expect((await status()).warnings.join("\n")).toMatch(/Audit log, line 1: secret-rotated of alice\/lnd-wallet-password was begun \S+ and never finished/);
    writeFileSync(auditLog(places).file, "");
    const { audit, warnings } = await status();
    expect(audit.whole).toBe(false);
    expect(warnings.join("\n")).toContain("The audit log is not whole: the log ends after line 0, and once had 1: its end was cut off. Look at it: holdfast audit verify -s dev");
  });

  it("warns of a recovery identity that lies whole and of identities in clear, where it is no rehearsal", async () => {
    const stack = specification(places);
    const file = join(project, "Pulumi.dev.yaml");
    const recipients = JSON.parse(readFileSync(join(places.state, "recipients.json"), "utf8")) as Record<string, string>;
    writeFileSync(file, readFileSync(file, "utf8").replace("    file: .holdfast/dev/recipients.json", Object.entries(recipients).map(([role, recipient]) => `    ${role}: ${recipient}`).join("\n")));
    const { warnings } = await custodyOf(places, stack, now());
    expect(warnings).toEqual(expect.arrayContaining([
      expect.stringMatching(/^The recovery identity still lies whole in .*recovery\.age-key: `holdfast escrow create` splits it/),
      expect.stringMatching(/wallet\.age-key is in clear\.$/),
    ]));
  });

  it("warns of a node without a deposit", async () => {
    rmSync(join(project, "deposit"), { recursive: true });
    expect((await status()).warnings.join("\n")).toContain("holds no roots of dev/alice");
  });
});

describe("the keys' table", () => {
  it("has those of one age on one line, the oldest first, those of unknown age last, and names each", () => {
    const at = new Date("2026-11-21T12:00:00Z");
    const keys: KeyAge[] = [
      { key: "passphrase" }, { key: "age wallet", made: "2026-11-20T00:00:00Z" }, { key: "ssh", made: "2026-11-20T01:00:00Z" }, { key: "age environment", made: "2025-11-20T00:00:00Z" },
      { key: "secret lnd-key", node: "alice", version: 3, made: "2026-11-21T01:00:00Z" },
    ];
    expect(keysText(keys, at).replaceAll(/\u001b\[\d+m/g, "").split("\n")).toEqual([
      "keys", "  environment  366 days  age environment", "  environment  1 day     age wallet, ssh", "  alice        today     secret lnd-key (version 3)", "  environment  unknown   passphrase",
    ]);
  });
});
