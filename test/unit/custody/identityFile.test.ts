import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { formOf, identityOf, openerOf, openWith, recipientOf, writeIdentity } from "../../../custody/identityFile.js";
import { newIdentity, sealText } from "../../../custody/seal.js";

const PASSPHRASE = "five random words are good";
const ask = () => Promise.resolve(PASSPHRASE);
const nobody = () => Promise.reject(new Error("asked though nothing was to be asked"));

let folder: string;
let pair: { readonly identity: string; readonly recipient: string };
const clear = (): string => join(folder, "clear");
const guarded = (): string => join(folder, "guarded");
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-identity-"));
  pair = await newIdentity();
  await writeIdentity(clear(), pair, { form: "clear" });
  await writeIdentity(guarded(), pair, { form: "passphrase", passphrase: PASSPHRASE });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const written = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

describe("an identity file", () => {
  it("says which form it has without being opened", () => {
    expect([formOf(clear()), formOf(guarded()), formOf(written("token", "# Recipient: age1yubikey1qqqqqq\nAGE-PLUGIN-YUBIKEY-1QQQQQQ\n"))]).toEqual(["clear", "passphrase", "plugin"]);
    expect(() => formOf(written("notes", "buy milk\n"))).toThrow("notes holds no age identity");
    expect(() => formOf(join(folder, "gone"))).toThrow("There is no identity file");
  });

  it("is this user's alone, and behind a passphrase it holds nothing of the identity", () => {
    for (const file of [clear(), guarded()]) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(clear(), "utf8")).toContain(pair.identity);
    expect(readFileSync(guarded(), "latin1")).not.toContain(pair.identity.slice(20));
  });

  it("opens what was sealed for it, in either form, and asks for a passphrase once for several things", async () => {
    const sealed = await sealText("the text", pair.recipient);
    expect(await openWith(clear(), sealed, nobody)).toBe("the text");
    const asked = vi.fn(ask);
    const open = await openerOf(guarded(), asked);
    expect([await open(sealed), await open(sealed)]).toEqual(["the text", "the text"]);
    expect(asked).toHaveBeenCalledOnce();
    expect(asked.mock.calls[0]).toEqual([`Passphrase of ${guarded()}`]);
  });

  it("says so when the passphrase is another, and shows none of it", async () => {
    const failure = await identityOf(guarded(), () => Promise.resolve("a wrong passphrase")).catch((error: Error) => error.message);
    expect(failure).toContain("the passphrase is another");
    expect(failure).not.toContain("a wrong passphrase");
  });

  it("knows its recipient without a passphrase, and is refused when it names another's", async () => {
    expect(await recipientOf(clear(), nobody)).toBe(pair.recipient);
    expect(await recipientOf(guarded(), nobody)).toBe(pair.recipient);
    const other = await newIdentity();
    await expect(recipientOf(written("liar", `# public key: ${other.recipient}\n${pair.identity}\n`), nobody)).rejects.toThrow("Put the right file back");
    expect(await recipientOf(written("token", "# Recipient: age1yubikey1qqqqqq\nAGE-PLUGIN-YUBIKEY-1QQQQQQ\n"), nobody)).toBe("age1yubikey1qqqqqq");
    rmSync(`${guarded()}.pub`);
    expect(await recipientOf(guarded(), ask)).toBe(pair.recipient);
  });

  it("is never overwritten", async () => {
    const before = readFileSync(clear());
    await expect(writeIdentity(clear(), await newIdentity(), { form: "clear" })).rejects.toThrow("never overwritten");
    expect(readFileSync(clear())).toEqual(before);
    expect(readFileSync(`${clear()}.pub`, "utf8").trim()).toBe(pair.recipient);
  });

  it("never gives a token's key away", async () => {
    await expect(identityOf(written("token", "AGE-PLUGIN-YUBIKEY-1QQQQQQ\n"), nobody)).rejects.toThrow("never gives its key away");
  });

  it("of a plugin, without the age program, is refused with what to install", async () => {
    vi.stubEnv("PATH", folder);
    try {
      await expect(openWith(written("token", "AGE-PLUGIN-YUBIKEY-1QQQQQQ\n"), "x", nobody)).rejects.toThrow("apt-get install age");
      await expect(sealText("x", `age1yubikey1${"q".repeat(60)}`)).rejects.toThrow("apt-get install age");
    } finally {
      vi.unstubAllEnvs();
    }
    expect(existsSync(clear())).toBe(true);
  });
});
