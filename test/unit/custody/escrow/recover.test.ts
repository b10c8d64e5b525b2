import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { combine } from "shamir-secret-sharing";
import { makeKit } from "../../../../custody/escrow/kit.js";
import { digestOf, recoverIdentity } from "../../../../custody/escrow/recover.js";
import { proveSplit, splitIdentity } from "../../../../custody/escrow/split.js";
import { newIdentity } from "../../../../custody/seal.js";
import type { Kit, Share } from "../../../../formats/share.js";
import { damaged, someIdentities, splits } from "./arbitraries.js";

let identities: Awaited<ReturnType<typeof someIdentities>>;
beforeAll(async () => {
  identities = await someIdentities();
});

const bytesOf = ({ share }: Share): Uint8Array => new Uint8Array(Buffer.from(share, "base64"));

describe("a split of a recovery identity, whatever its size", () => {
  it("gives it back from any k of n shares, and from more, in any order", async () => {
    await fc.assert(fc.asyncProperty(splits(identities), fc.nat(), async (made, more) => {
      const { identity, recipient, mixed } = await made();
      const { threshold } = mixed[0]!;
      const taken = mixed.slice(0, threshold + (more % (mixed.length - threshold + 1)));
      expect(await recoverIdentity(taken)).toEqual({ identity, recipient, environment: "dev", trustees: taken.map(({ trustee }) => trustee) });
    }), { numRuns: 60 });
  });

  it("is refused with k - 1 shares, and what Shamir's scheme makes of those is another text", async () => {
    await fc.assert(fc.asyncProperty(splits(identities), async (made) => {
      const { identity, mixed } = await made();
      const { threshold } = mixed[0]!;
      const taken = mixed.slice(0, threshold - 1);
      await expect(recoverIdentity(taken)).rejects.toThrow(`${threshold - 1} of the ${threshold} shares that are needed`);
      if (taken.length >= 2) expect(Buffer.from(await combine(taken.map(bytesOf))).toString("latin1")).not.toBe(identity);
    }), { numRuns: 60 });
  });

  it("finds every changed bit and names the trustee", async () => {
    await fc.assert(fc.asyncProperty(splits(identities, 5), fc.nat(), fc.infiniteStream(fc.nat()), async (made, which, seed) => {
      const { mixed } = await made();
      const at = which % mixed.length;
      const [changed] = fc.sample(damaged(mixed[at]!), { numRuns: 1, seed: seed.next().value as number });
      const shares = mixed.map((share, index) => (index === at ? changed! : share));
      await expect(recoverIdentity(shares)).rejects.toThrow(`The share of ${mixed[at]!.trustee} is damaged`);
    }), { numRuns: 60 });
  });

  it("finds every changed bit even when the digest was forged with it: the identity that comes out is another's", async () => {
    await fc.assert(fc.asyncProperty(splits(identities, 5), fc.infiniteStream(fc.nat()), async (made, seed) => {
      const { mixed } = await made();
      const [changed] = fc.sample(damaged(mixed[0]!), { numRuns: 1, seed: seed.next().value as number });
      const forged = { ...changed!, digest: digestOf(bytesOf(changed!)) };
      await expect(recoverIdentity([forged, ...mixed.slice(1)])).rejects.toThrow("at least one of them was forged");
    }), { numRuns: 60 });
  });

  it("is new each time: shares of two splits of one identity have no byte sequence in common", async () => {
    const { identity, recipient } = identities[0]!;
    const request = { environment: "dev", recipient, threshold: 2, trustees: ["anna", "bert"] };
    const [one, other] = [await splitIdentity(identity, request), await splitIdentity(identity, request)];
    expect(new Set([...one, ...other].map(({ share }) => share)).size).toBe(4);
    expect(one[0]!.split).not.toBe(other[0]!.split);
  });

  it("of 255 shares works too, and of one more is refused", async () => {
    const { identity, recipient } = identities[0]!;
    const trustees = Array.from({ length: 256 }, (_, index) => `t${index}`);
    const shares = await splitIdentity(identity, { environment: "dev", recipient, threshold: 200, trustees: trustees.slice(1) });
    expect((await recoverIdentity(shares.slice(40, 240))).identity).toBe(identity);
    await expect(splitIdentity(identity, { environment: "dev", recipient, threshold: 200, trustees })).rejects.toThrow("at most 255");
  });

  it("is proven before it is relied on: the proof fails for an identity that the shares do not give", async () => {
    const [one, other] = identities;
    const shares = await splitIdentity(one!.identity, { environment: "dev", recipient: one!.recipient, threshold: 2, trustees: ["anna", "bert", "cleo"] });
    await expect(proveSplit(shares, one!.identity)).resolves.toBeUndefined();
    await expect(proveSplit(shares, other!.identity)).rejects.toThrow("do not give the recovery identity back");
    await expect(proveSplit([shares[0]!, shares[1]!, { ...shares[2]!, share: shares[0]!.share, digest: shares[0]!.digest }], one!.identity)).rejects.toThrow("are the same");
  });
});

describe("shares that do not go together", () => {
  const TRUSTEES = ["anna", "bert", "cleo", "dora"];
  let shares: Share[];
  let kit: Kit;
  const splitAnew = (environment = "dev", threshold = 3): Promise<Share[]> => splitIdentity(identities[0]!.identity, { environment, recipient: identities[0]!.recipient, threshold, trustees: TRUSTEES });
  beforeAll(async () => {
    shares = await splitAnew();
    const trustees = await Promise.all(TRUSTEES.map(async (name) => ({ name, recipient: (await newIdentity()).recipient })));
    kit = await makeKit(shares, trustees, {
      network: "regtest", made: "2026-11-21T00:00:00.000Z", recipient: identities[0]!.recipient, rebuild: { commit: "none", changed: true, versions: {}, deposit: "deposit/dev", nodes: {} },
    });
  });
  const at = (index: number): Share => shares[index]!;

  it("because there are none", async () => {
    await expect(recoverIdentity([])).rejects.toThrow("There is no share");
  });

  it("because they are too few: says who is there, how many are missing, and who was not heard", async () => {
    await expect(recoverIdentity([at(2)], kit)).rejects.toThrow("1 of the 3 shares that are needed is there (cleo); 2 more are missing. Not heard yet: anna, bert, dora.");
    await expect(recoverIdentity([at(0), at(3)], kit)).rejects.toThrow("2 of the 3 shares that are needed are there (anna, dora); 1 more is missing. Not heard yet: bert, cleo.");
    await expect(recoverIdentity([at(0), at(3)])).rejects.toThrow("There are 4 in all; the kit, which names their trustees, is not at hand.");
  });

  it("because one was given twice, or one is another's under a new name", async () => {
    await expect(recoverIdentity([at(0), at(1), at(0)], kit)).rejects.toThrow("The share of anna was given twice");
    await expect(recoverIdentity([at(0), at(1), { ...at(0), trustee: "cleo" }])).rejects.toThrow("The shares of anna and cleo are the same");
  });

  it("because they are of different splits, environments, identities or thresholds: names who has which", async () => {
    const later = await splitAnew();
    await expect(recoverIdentity([at(0), at(1), later[2]!], kit)).rejects.toThrow(`anna, bert: of split ${at(0).split.slice(0, 8)}; cleo: of split ${later[2]!.split.slice(0, 8)}. Shares of different splits give nothing`);
    const other = await splitAnew("prod");
    await expect(recoverIdentity([at(0), other[1]!], kit)).rejects.toThrow("anna: of environment dev; bert: of environment prod. Shares of different environments give nothing");
    await expect(recoverIdentity([at(0), { ...at(1), recovery: "ab".repeat(32) }])).rejects.toThrow("bert: of the recovery identity abababab");
    await expect(recoverIdentity([at(0), { ...at(1), threshold: 2 }])).rejects.toThrow("bert: of 2 that are needed");
    await expect(recoverIdentity([{ ...at(0), shares: 9 }, at(1)])).rejects.toThrow("anna: of 9 in all");
  });

  it("because one is not the one that the kit names, or of nobody whom it names", async () => {
    const forged = Buffer.from(at(1).share, "base64").map((byte) => byte ^ 1);
    const wrong = { ...at(1), share: Buffer.from(forged).toString("base64"), digest: digestOf(forged) };
    await expect(recoverIdentity([at(0), wrong, at(2)], kit)).rejects.toThrow("The share of bert is not the one that the kit names");
    await expect(recoverIdentity([at(0), { ...at(1), trustee: "eve" }, at(2)], kit)).rejects.toThrow("A share says that it is eve's, and the kit of this split has no such trustee. It has: anna, bert, cleo, dora.");
  });

  it("because what they give is no identity of the recovery recipient", async () => {
    const stranger = await splitIdentity(identities[1]!.identity, { environment: "dev", recipient: identities[0]!.recipient, threshold: 3, trustees: TRUSTEES });
    await expect(recoverIdentity(stranger)).rejects.toThrow("The shares of anna, bert, cleo, dora do not give the recovery identity that was split");
    const short = Buffer.from("short");
    await expect(recoverIdentity([at(0), at(1), { ...at(2), share: short.toString("base64"), digest: digestOf(short) }])).rejects.toThrow("do not give the recovery identity");
  });

  it("quote no share and no part of the identity in what they say", async () => {
    const later = await splitAnew();
    const failing = [[at(0)], [at(0), at(0), at(1)], [at(0), at(1), later[2]!], [at(0), at(1), { ...at(2), share: later[0]!.share }], [at(0), at(1), { ...later[2]!, split: at(0).split }]];
    for (const some of failing) {
      const { message } = await recoverIdentity(some, kit).then(() => { throw new Error("recovered"); }, (error: Error) => error);
      for (const secret of [...shares, ...later].map(({ share }) => share)) for (let from = 0; from + 10 <= secret.length; from += 1) expect(message).not.toContain(secret.slice(from, from + 10));
    }
  });

  it("still recover when they are of the split before the kit's: in a disaster that is what there may be", async () => {
    const later = await splitAnew();
    expect((await recoverIdentity(later.slice(1), kit)).identity).toBe(identities[0]!.identity);
  });
});
