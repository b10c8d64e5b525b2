import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isPlugin, kindOf, requireOneKind } from "../../../custody/recipients.js";
import { newIdentity, openText, sealText } from "../../../custody/seal.js";

const yubikey = `age1yubikey1${"q".repeat(60)}`;

describe("a recipient", () => {
  it("is hybrid by its name, and a plugin's when its name is none of age's own", async () => {
    const [classical, hybrid] = [(await newIdentity()).recipient, (await newIdentity("hybrid")).recipient];
    expect([classical, hybrid, yubikey, `age1tagpq1${"q".repeat(60)}`].map(kindOf)).toEqual(["classical", "hybrid", "classical", "hybrid"]);
    expect([classical, hybrid, yubikey, `age1tag1${"q".repeat(60)}`, `age1tagpq1${"q".repeat(60)}`].map(isPlugin)).toEqual([false, false, true, false, false]);
  });

  it("of any set of one kind is accepted, and of both refused, in words that name one of each", async () => {
    const [classical, hybrid] = [(await newIdentity()).recipient, (await newIdentity("hybrid")).recipient];
    fc.assert(fc.property(fc.array(fc.constantFrom(classical, hybrid, yubikey)), (recipients) => {
      const mixed = recipients.includes(hybrid) && recipients.some((one) => one !== hybrid);
      if (mixed) expect(() => requireOneKind(recipients)).toThrow(/age1.* is a classical recipient and age1pq1.*post-quantum/);
      else expect(() => requireOneKind(recipients)).not.toThrow();
    }));
  });
});

describe("a sealed text", () => {
  it.each(["classical", "hybrid"] as const)("is opened by each of several %s identities alone, and by no other", async (kind) => {
    const [one, two, stranger] = await Promise.all([newIdentity(kind), newIdentity(kind), newIdentity(kind)]);
    const sealed = await sealText("the text", one.recipient, two.recipient);
    expect(await openText(sealed, one.identity)).toBe("the text");
    expect(await openText(sealed, two.identity)).toBe("the text");
    await expect(openText(sealed, stranger.identity)).rejects.toThrow("no identity matched");
  });

  it("is never made for both kinds, nor for nobody", async () => {
    await expect(sealText("x", (await newIdentity()).recipient, (await newIdentity("hybrid")).recipient)).rejects.toThrow("as weak as the first");
    await expect(sealText("x")).rejects.toThrow("no recipient was given");
  });
});
