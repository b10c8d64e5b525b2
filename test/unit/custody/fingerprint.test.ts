import { describe, expect, it } from "vitest";
import { passphraseFingerprint } from "../../../custody/fingerprint.js";

describe("a passphrase's fingerprint", () => {
  it("is what it was in every earlier version, for records under version control have it", () => {
    expect(passphraseFingerprint("correct horse battery staple")).toBe("291551e72af8d5a7cacb1e8fada86c9733226348d8829958b25cd7cb588b15ce");
  });

  it("is the same wherever it is made, another for another passphrase, and slow to make", () => {
    const begin = performance.now();
    expect(passphraseFingerprint("one")).toBe(passphraseFingerprint("one"));
    expect(performance.now() - begin).toBeGreaterThan(40);
    expect(passphraseFingerprint("one")).not.toBe(passphraseFingerprint("two"));
  });
});
