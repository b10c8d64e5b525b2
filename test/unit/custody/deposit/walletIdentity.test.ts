import { Encrypter } from "age-encryption";
import { describe, expect, it } from "vitest";
import { exportableIdentity } from "../../../../custody/deposit/walletIdentity.js";
import { newIdentity } from "../../../../custody/seal.js";

const bytes = (text: string): Buffer => Buffer.from(text);

async function behindPassphrase(): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setScryptWorkFactor(10);
  encrypter.setPassphrase("correct horse");
  return encrypter.encrypt((await newIdentity()).identity);
}

describe("a wallet identity's file", () => {
  it("is exported when it is behind a passphrase, armoured or not", async () => {
    const armoured = exportableIdentity(await behindPassphrase());
    expect(armoured).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----\n/);
    expect(exportableIdentity(bytes(armoured!))).toBe(armoured);
  });

  it("is exported when it is a plugin's: without the device it is nothing", () => {
    const text = "#       Serial: 123\n#    Recipient: age1yubikey1q…\nAGE-PLUGIN-YUBIKEY-1QQPSQVZ5DYQ\n";
    expect(exportableIdentity(bytes(text))).toBe(text);
  });

  it("is never exported when any of it is in clear", async () => {
    for (const kind of ["classical", "hybrid"] as const) {
      const { identity } = await newIdentity(kind);
      for (const text of [identity, `# public key\n${identity}\n`, `AGE-PLUGIN-YUBIKEY-1QQPS\n${identity}\n`, identity.toLowerCase(), `-----BEGIN AGE ENCRYPTED FILE-----\n${identity}`]) {
        expect(exportableIdentity(bytes(text))).toBeUndefined();
      }
    }
    expect(exportableIdentity(bytes("something else"))).toBeUndefined();
  });
});
