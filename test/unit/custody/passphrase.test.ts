import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { passphraseFingerprint } from "../../../custody/fingerprint.js";
import { writeIdentity } from "../../../custody/identityFile.js";
import { makePassphrase, resealPassphrase, sealedPassphrase } from "../../../custody/passphrase.js";
import { readMarks } from "../../../custody/records.js";
import { newIdentity, openText } from "../../../custody/seal.js";

let records: string;
beforeEach(() => { records = mkdtempSync(join(tmpdir(), "holdfast-passphrase-")); });
afterEach(() => rmSync(records, { recursive: true, force: true }));

describe("an environment's passphrase", () => {
  it("is 256 random bits, sealed for environment and recovery, each of which the age program opens it with", async () => {
    const [environment, recovery] = [await newIdentity(), await newIdentity()];
    const passphrase = await makePassphrase(records, { environment: environment.recipient, recovery: recovery.recipient }, new Date("2026-11-21T00:00:00Z"));
    expect(Buffer.from(passphrase, "base64url")).toHaveLength(32);
    for (const [name, pair] of Object.entries({ environment, recovery })) {
      await writeIdentity(join(records, name), pair, { form: "clear" });
      expect(execFileSync("age", ["--decrypt", "-i", join(records, name), sealedPassphrase(records)]).toString()).toBe(passphrase);
    }
    expect(readFileSync(sealedPassphrase(records), "utf8")).not.toContain(passphrase);
    expect(readMarks(records)).toEqual({ format: "holdfast-marks/1", tunnels: {}, passphrase: passphraseFingerprint(passphrase), made: { passphrase: "2026-11-21T00:00:00.000Z" } });
  });

  it("is sealed anew for others without becoming another", async () => {
    const [before, after] = [await newIdentity(), await newIdentity()];
    const passphrase = await makePassphrase(records, { environment: before.recipient, recovery: before.recipient }, new Date());
    const marks = readMarks(records);
    await resealPassphrase(records, passphrase, { environment: after.recipient, recovery: after.recipient });
    expect(await openText(readFileSync(sealedPassphrase(records), "utf8"), after.identity)).toBe(passphrase);
    await expect(openText(readFileSync(sealedPassphrase(records), "utf8"), before.identity)).rejects.toThrow();
    expect(readMarks(records)).toEqual(marks);
  });
});
