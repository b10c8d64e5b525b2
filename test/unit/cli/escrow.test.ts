import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { createEnvironment } from "../../../cli/envCreate.js";
import { trusteeFrom } from "../../../cli/escrow.js";
import { contribute } from "../../../cli/escrow/contribute.js";
import { drill } from "../../../cli/escrow/drill.js";
import { forgetRequest, recoverFromFiles, requestShares, whomToAsk } from "../../../cli/escrow/shares.js";
import { placesOf } from "../../../cli/places.js";
import { depositRoots } from "../../../custody/deposit/roots.js";
import { folderStore } from "../../../custody/deposit/store.js";
import { readKit } from "../../../custody/escrow/kit.js";
import { readMarks, writeMarks } from "../../../custody/records.js";
import { newIdentity, openText, sealText } from "../../../custody/seal.js";
import { shareSchema } from "../../../formats/share.js";
import { exampleContent } from "../custody/deposit/example.js";
import { nobody } from "./emptyProject.js";
import { escrowProject, everyFile } from "./escrowProject.js";

const { now, people, records, sealedOf, trustees, keyOf, recipientOf, create, auditOf, given } = escrowProject();

describe("asking for shares", () => {
  beforeEach(() => create());

  it("makes a one-time identity once, and says whom to trust with what", async () => {
    const { recipient, message } = await requestShares(now.places);
    const file = join(now.places.state, "escrow-request.age-key");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await requestShares(now.places)).recipient).toBe(recipient);
    expect(message).toContain(recipient);
    expect(message).toContain(`must end with  ${recipient.slice(-16).match(/.{4}/g)!.join(" ")}`);
    expect(message).not.toContain("AGE-SECRET-KEY");
    expect((await auditOf()).filter((line) => line.startsWith("identity-made: one-time"))).toHaveLength(1);
    expect(whomToAsk(now.places, readKit(records())).join("\n")).toMatch(/Any 2 of these 3[\s\S]*anna {2}age1[\s\S]*holdfast escrow request -s testnet/);
    expect(whomToAsk(now.places, undefined).join("\n")).toContain("has no kit");
  });

  it("gets answers that open with the one-time identity alone, and are worth nothing once it is gone", async () => {
    const { recipient } = await requestShares(now.places);
    const answers: string[] = [];
    for (const name of ["anna", "cleo"]) {
      const done = await contribute(now.folder, { share: sealedOf(name), identity: keyOf(name), recipient, ask: nobody });
      expect(done).toMatchObject({ trustee: name, environment: "testnet", recorded: true });
      await expect(openText(done.sealed, people[name]!.identity)).rejects.toThrow();
      writeFileSync(join(now.folder, `${name}.answer`), done.sealed);
      answers.push(join(now.folder, `${name}.answer`));
    }
    const shares = { shares: answers, identities: [], ask: nobody };
    expect((await recoverFromFiles(now.places, shares)).identity).toBe(now.recovery);
    expect((await recoverFromFiles(now.places, { ...shares, shares: [answers[0]!, sealedOf("bert")], identities: [keyOf("bert")] })).trustees).toEqual(["anna", "bert"]);
    expect((await auditOf()).filter((line) => line.startsWith("escrow-contributed"))[1]).toBe(`escrow-contributed: anna: done: for ${recipient.slice(0, 20)}…`);
    forgetRequest(now.places);
    await expect(recoverFromFiles(now.places, shares)).rejects.toThrow("anna.answer is sealed, and nothing here opens it");
    expect((await auditOf()).at(-1)).toMatch(/^escrow-recovered: 2 shares: failed: /);
  });

  it("works for a trustee who has no project, and leaves no line then", async () => {
    const { recipient } = await requestShares(now.places);
    const lines = await auditOf();
    expect(await contribute(undefined, { share: sealedOf("bert"), identity: keyOf("bert"), recipient, ask: nobody })).toMatchObject({ trustee: "bert", recorded: false });
    expect(await auditOf()).toEqual(lines);
  });

  it("is refused shares of another environment", async () => {
    const [there, mine] = [placesOf(now.folder, "other"), now.places];
    now.places = there;
    await create();
    const foreign = given("anna", "bert");
    now.places = mine;
    await expect(recoverFromFiles(now.places, foreign)).rejects.toThrow("The share of anna is of environment other, and this is testnet. Name the other stack with -s other");
  });
});

describe("a post-quantum escrow", () => {
  it("asks for a post-quantum one-time recipient, and a trustee seals for no other", async () => {
    const hybrid = placesOf(now.folder, "pq");
    await createEnvironment(hybrid, { network: "signet", kind: "hybrid", identity: "file", walletRecipient: undefined, node: "alice", passphrases: { infrastructure: nobody, wallet: nobody } });
    now.places = hybrid;
    await expect(create()).rejects.toThrow("with such trustees the identity is as weak as a classical one");
    const person = await newIdentity("hybrid");
    people["emil"] = person;
    people["fara"] = await newIdentity("hybrid");
    expect(await create({ trustees: trustees("emil", "fara") })).toBe("complete");
    const { recipient } = await requestShares(now.places);
    expect(recipient).toMatch(/^age1pq1/);
    await expect(contribute(now.folder, { share: sealedOf("emil"), identity: keyOf("emil"), recipient: people["anna"]!.recipient, ask: nobody })).rejects.toThrow("sealed for it, the share is as weak as that");
    expect((await contribute(now.folder, { share: sealedOf("emil"), identity: keyOf("emil"), recipient, ask: nobody })).trustee).toBe("emil");
    expect((await recoverFromFiles(now.places, given("emil", "fara"))).recipient).toMatch(/^age1pq1/);
  });
});

describe("a drill", () => {
  const deposit = async (change: Parameters<typeof exampleContent>[1] = {}): Promise<void> => {
    const content = exampleContent(recipientOf("recovery"), { place: { environment: "testnet", network: "testnet4", node: "alice", generation: 1 }, ...change });
    await depositRoots(folderStore(join(now.folder, "deposit")), content, new Date("2026-11-21T09:00:00.000Z"));
  };
  beforeEach(() => create());

  it("opens the passphrase and the newest roots of every node, and reveals nothing", async () => {
    await deposit();
    const { recipient } = await requestShares(now.places);
    const answer = join(now.folder, "answer");
    writeFileSync(answer, (await contribute(undefined, { share: sealedOf("anna"), identity: keyOf("anna"), recipient, ask: nobody })).sealed);
    const files = new Set(everyFile(now.folder));
    const done = await drill(now.places, { ...given("bert"), shares: [answer, sealedOf("bert")] });
    expect(done).toEqual({
      proven: true, trustees: ["anna", "bert"], proofs: [
        { what: "the stack's passphrase", outcome: "opened", detail: `${join(records(), "passphrase.age")}, of the fingerprint in marks.json` },
        { what: "the roots of alice", outcome: "opened", detail: expect.stringMatching(/\.roots\.age, sealed 2026-11-21 09:00:00, 3 roots$/) as string },
      ],
    });
    for (const path of everyFile(now.folder)) {
      if (!files.has(path)) expect(path).toBe(keyOf("bert"));
      for (const secret of [now.recovery.slice(20), exampleContent("").storePassword]) expect(readFileSync(path, "latin1"), path).not.toContain(secret);
    }
    expect(existsSync(join(now.places.state, "escrow-request.age-key"))).toBe(false);
    expect((await auditOf()).at(-1)).toBe("escrow-drilled: 2 shares: done: from the shares of anna, bert: the stack's passphrase opened; the roots of alice opened");
  });

  it("is not proven when something does not open, and keeps the one-time identity for another try", async () => {
    await requestShares(now.places);
    const stranger = (await newIdentity()).recipient;
    await deposit();
    const [store, owner] = [folderStore(join(now.folder, "deposit")), { environment: "testnet", node: "alice" }];
    const [name] = await store.list(owner);
    writeFileSync(join(now.folder, "deposit", "testnet", "alice", name!), await sealText("x", stranger));
    const { proofs, proven } = await drill(now.places, given("anna", "cleo"));
    expect(proven).toBe(false);
    expect(proofs.map(({ outcome }) => outcome)).toEqual(["opened", "failed"]);
    expect(proofs[1]!.detail).toContain("does not open with this recovery identity");
    expect(existsSync(join(now.places.state, "escrow-request.age-key"))).toBe(true);

    writeFileSync(join(records(), "passphrase.age"), await sealText("another", recipientOf("recovery")));
    expect((await drill(now.places, given("anna", "cleo"))).proofs[0]).toMatchObject({ outcome: "failed", detail: expect.stringContaining("another passphrase than marks.json names") as string });
    writeFileSync(join(records(), "passphrase.age"), await sealText("another", stranger));
    expect((await drill(now.places, given("anna", "cleo"))).proofs[0]).toMatchObject({ outcome: "failed", detail: expect.stringContaining("sealed for another recovery recipient") as string });
  });

  it("before the first node is raised is proven by the passphrase; afterwards a missing deposit is a failure", async () => {
    const before = await drill(now.places, given("anna", "bert"));
    expect(before.proven).toBe(true);
    expect(before.proofs[1]).toMatchObject({ what: "the roots of alice", outcome: "nothing" });
    writeMarks(records(), { ...readMarks(records()), tunnels: { alice: "a key" } });
    const after = await drill(now.places, given("anna", "bert"));
    expect(after).toMatchObject({ proven: false, proofs: [{}, { outcome: "failed", detail: expect.stringContaining("is the folder mounted?") as string }] });
  });

  it("with too few shares is no drill: says who was not heard, in the log too", async () => {
    await expect(drill(now.places, given("bert"))).rejects.toThrow("1 of the 2 shares that are needed is there (bert); 1 more is missing. Not heard yet: anna, cleo.");
    expect((await auditOf()).at(-1)).toMatch(/^escrow-drilled: 1 share: failed: 1 of the 2 shares/);
  });
});

it("shares in the kit name their split, whose they are and what they are part of, and nothing that another trustee has", async () => {
  await create();
  const kit = readKit(records())!;
  const anna = shareSchema.parse(JSON.parse(await openText(readFileSync(sealedOf("anna"), "utf8"), people["anna"]!.identity)));
  expect(anna).toMatchObject({ environment: "testnet", split: kit.split, trustee: "anna", threshold: 2, shares: 3, kind: "classical", digest: kit.trustees[0]!.digest });
  for (const name of ["bert", "cleo"]) await expect(openText(readFileSync(sealedOf("anna"), "utf8"), people[name]!.identity)).rejects.toThrow();
});

it("--trustee wants a name that can be a file's, and a recipient", () => {
  expect(trusteeFrom(`anna=age1${"q".repeat(58)}`, [])).toEqual([{ name: "anna", recipient: `age1${"q".repeat(58)}` }]);
  for (const text of ["anna", "=age1", "Anna=age1qq", "../a=age1qq", `anna=${"AGE-SECRET-KEY-1QQQQ"}`, "anna=ssh-ed25519 AAAA"]) expect(() => trusteeFrom(text, []), text).toThrow(/wants|is an identity/);
});
