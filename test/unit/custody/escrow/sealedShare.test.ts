import { beforeAll, describe, expect, it } from "vitest";
import { armor } from "age-encryption";
import { makeKit } from "../../../../custody/escrow/kit.js";
import { sealedTextIn, shareIn, type Opener } from "../../../../custody/escrow/sealedShare.js";
import { splitIdentity } from "../../../../custody/escrow/split.js";
import { newIdentity, openText, sealText } from "../../../../custody/seal.js";
import type { Kit, Share } from "../../../../formats/share.js";

let trustee: { readonly identity: string; readonly recipient: string };
let shares: Share[];
let kit: Kit;
let sealed: string;
const bytes = (text: string): Uint8Array => Buffer.from(text);
const opener = (name: string, identity: string): Opener => ({ name, open: (text) => openText(text, identity) });

beforeAll(async () => {
  const [recovery, other] = [await newIdentity(), await newIdentity()];
  trustee = await newIdentity();
  shares = await splitIdentity(recovery.identity, { environment: "dev", recipient: recovery.recipient, threshold: 2, trustees: ["anna", "bert"] });
  kit = await makeKit(shares, [{ name: "anna", recipient: trustee.recipient }, { name: "bert", recipient: other.recipient }], {
    network: "regtest", made: "2026-11-21T00:00:00.000Z", recipient: recovery.recipient, rebuild: { commit: "none", changed: true, versions: {}, deposit: "deposit/dev", nodes: {} },
  });
  sealed = kit.trustees[0]!.sealed;
});

describe("a share in a file", () => {
  it("is read sealed as text, sealed in binary, and in clear", async () => {
    const openers = [opener("a stranger's", (await newIdentity()).identity), opener("anna.key", trustee.identity)];
    for (const content of [bytes(sealed), armor.decode(sealed), bytes(JSON.stringify(shares[0])), bytes(`\n${JSON.stringify(shares[0])}\n`)]) {
      expect(await shareIn("anna.age", content, openers)).toEqual(shares[0]);
    }
  });

  it.each<[string, (text: string) => string]>([
    ["with words around it", (text) => `Here you are:\n\n${text}\nRegards, Anna`],
    ["quoted by a mail program", (text) => text.split("\n").map((line) => `> ${line}`).join("\r\n")],
    ["wrapped anew, as a phone does with a code that it reads", (text) => text.replace(/\n/g, " ").replace("----- ", "-----\n").replace(" -----END", "\n-----END")],
    ["with every line indented", (text) => text.replace(/^/gm, "    ")],
  ])("is read %s", async (_, change) => {
    expect(sealedTextIn(bytes(change(sealed)))).toBe(sealed);
    expect(await shareIn("anna.age", bytes(change(sealed)), [opener("anna.key", trustee.identity)])).toEqual(shares[0]);
  });

  it("that nobody here opens is refused with what was tried, and what to ask for", async () => {
    const stranger = opener("a stranger's", (await newIdentity()).identity);
    await expect(shareIn("anna.age", bytes(sealed), [])).rejects.toThrow("anna.age is sealed, and nothing here opens it");
    await expect(shareIn("answer", bytes(await sealText("x", trustee.recipient)), [stranger])).rejects.toThrow(/answer is not opened by a stranger's: it was sealed for another recipient, or was damaged/);
    await expect(shareIn("anna.age", bytes(sealed), [stranger], kit)).rejects.toThrow("anna.age is the share of anna as it lies in the kit: anna alone opens it");
  });

  it("that was damaged on its way is refused, wherever it was", async () => {
    for (const at of [30, 200, 500, sealed.length - 60]) {
      const letter = sealed[at] === "A" ? "B" : "A";
      await expect(shareIn("anna.age", bytes(sealed.slice(0, at) + letter + sealed.slice(at + 1)), [opener("anna.key", trustee.identity)])).rejects.toThrow(/anna\.age/);
      await expect(shareIn("anna.age", bytes(sealed.slice(0, at)), [opener("anna.key", trustee.identity)])).rejects.toThrow(/anna\.age/);
    }
  });

  it("that holds something else is refused without a word of it", async () => {
    const secret = "nobody may read this in a message";
    for (const content of [secret, JSON.stringify({ ...shares[0], share: secret }), await sealText(secret, trustee.recipient)]) {
      const { message } = await shareIn("file", bytes(content), [opener("anna.key", trustee.identity)]).then(() => { throw new Error("read"); }, (error: Error) => error);
      expect(message).toMatch(/^file, as a share: /);
      expect(message).not.toContain("nobody may read");
    }
  });
});
