import { appendFileSync, cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createEnvironment } from "../../../cli/envCreate.js";
import { trusteeFrom } from "../../../cli/escrow.js";
import { contribute } from "../../../cli/escrow/contribute.js";
import { createEscrow, type EscrowEnd, type EscrowMeans, type EscrowRequest } from "../../../cli/escrow/create.js";
import { drill } from "../../../cli/escrow/drill.js";
import { forgetRequest, recoverFromFiles, requestShares, whomToAsk, type GivenShares } from "../../../cli/escrow/shares.js";
import { ensureRehearsalKeys } from "../../../cli/keys.js";
import { auditLog, identityPath, placesOf, recordsFolder, type Places } from "../../../cli/places.js";
import { readLog } from "../../../custody/audit/log.js";
import { depositRoots } from "../../../custody/deposit/roots.js";
import { folderStore } from "../../../custody/deposit/store.js";
import { realDisk, type Disk } from "../../../custody/escrow/disk.js";
import { escrowFolder, kitFiles, readKit } from "../../../custody/escrow/kit.js";
import { identityIn, newIdentity, openText, sealText } from "../../../custody/seal.js";
import { readMarks, writeMarks } from "../../../custody/records.js";
import { shareSchema } from "../../../formats/share.js";
import { exampleContent } from "../custody/deposit/example.js";

const nobody = () => Promise.reject(new Error("asked though nothing was to be asked"));

let template: string;
let folder: string;
let places: Places;
let recovery: string;
const people: Record<string, { readonly identity: string; readonly recipient: string }> = {};
const trustees = (...names: readonly string[]) => names.map((name) => ({ name, recipient: people[name]!.recipient }));
const recipientOf = (role: string): string => new RegExp(`${role}: (age1\\w+)`).exec(readFileSync(join(folder, "Pulumi.testnet.yaml"), "utf8"))![1]!;

beforeAll(async () => {
  template = mkdtempSync(join(tmpdir(), "holdfast-escrow-"));
  writeFileSync(join(template, "Pulumi.yaml"), "name: holdfast\nruntime: nodejs\n");
  writeFileSync(join(template, "package.json"), '{"version":"9.9.9"}');
  for (const [name, network] of [["testnet", "testnet4"], ["other", "signet"]] as const) {
    await createEnvironment(placesOf(template, name), { network, kind: "classical", identity: "file", walletRecipient: undefined, node: "alice", passphrases: { infrastructure: nobody, wallet: nobody } });
  }
  const file = join(template, "Pulumi.testnet.yaml");
  writeFileSync(file, readFileSync(file, "utf8").replace(/folder: \S+/, "folder: deposit"));
  for (const name of ["anna", "bert", "cleo", "dora"]) people[name] = await newIdentity();
});
afterAll(() => rmSync(template, { recursive: true, force: true }));
beforeEach(() => {
  folder = mkdtempSync(join(template, "project-"));
  for (const name of readdirSync(template)) if (!name.startsWith("project-")) cpSync(join(template, name), join(folder, name), { recursive: true });
  places = placesOf(folder, "testnet");
  recovery = identityIn(readFileSync(identityPath(places, "recovery"), "utf8"), "recovery");
});

const said: string[] = [];
const meansWith = (change: Partial<EscrowMeans> = {}): EscrowMeans => {
  said.length = 0;
  return { disk: realDisk, now: () => new Date("2026-11-21T08:00:00.000Z"), ask: nobody, agree: () => Promise.resolve(true), say: (line) => void said.push(line), ...change };
};
const create = (change: Partial<EscrowRequest> = {}, means: Partial<EscrowMeans> = {}): Promise<EscrowEnd> =>
  createEscrow(places, { threshold: 2, trustees: trustees("anna", "bert", "cleo"), whole: "goes", ...change }, meansWith(means));
const auditOf = async (): Promise<string[]> => (await readLog(auditLog(places))).lines.map(({ action, subject, outcome, note }) => `${action}: ${subject}: ${outcome}${note === undefined ? "" : `: ${note}`}`);
const records = (): string => recordsFolder(places);
const sealedOf = (name: string): string => join(escrowFolder(records()), `${name}.age`);
const keyOf = (name: string): string => {
  const file = join(folder, `${name}.key`);
  writeFileSync(file, `${people[name]!.identity}\n`, { mode: 0o600 });
  return file;
};
const given = (...names: readonly string[]): GivenShares => ({ shares: names.map(sealedOf), identities: names.map(keyOf), ask: nobody });
const everyFile = (below: string): string[] => readdirSync(below, { recursive: true, withFileTypes: true }).filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));

describe("creating an escrow", () => {
  it("leaves a kit and a page for each trustee, from any k of whom the identity comes back, and the whole one nowhere", async () => {
    const before = everyFile(folder);
    appendFileSync(join(places.state, "recovery.age-key.4711.part"), readFileSync(identityPath(places, "recovery")));
    expect(await create()).toBe("complete");
    expect(readdirSync(escrowFolder(records())).sort()).toEqual(["anna.age", "anna.html", "bert.age", "bert.html", "cleo.age", "cleo.html", "kit.json"]);
    for (const pair of [["anna", "bert"], ["bert", "cleo"], ["cleo", "anna"]]) expect((await recoverFromFiles(places, given(...pair))).identity).toBe(recovery);
    expect(existsSync(identityPath(places, "recovery"))).toBe(false);
    for (const path of everyFile(folder)) expect(readFileSync(path, "latin1"), path).not.toContain(recovery.slice(20));
    expect(before).toContain(identityPath(places, "recovery"));
    expect(await auditOf()).toContain("escrow-created: 2 of 3: anna, bert, cleo: done: no whole identity is left here");
    expect(await auditOf()).toContain("escrow-recovered: 2 shares: done: from the shares of anna, bert");
  });

  it("names in the kit what a rebuild needs", async () => {
    const git = (...args: readonly string[]) => execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b.example", ...args], { cwd: folder }).toString().trim();
    writeMarks(records(), { ...readMarks(records()), tunnels: { alice: "the key of alice's tunnel" } });
    writeFileSync(join(folder, ".gitignore"), ".holdfast\n");
    git("init", "-q");
    git("add", "-A");
    git("commit", "-qm", "all");
    await create();
    const { rebuild } = readKit(records())!;
    expect(rebuild).toMatchObject({ commit: git("rev-parse", "HEAD"), changed: false, deposit: "deposit", versions: { holdfast: "9.9.9", random: "4.21.2", command: "1.2.1", hcloud: "1.41.0" } });
    expect(rebuild.nodes).toEqual({ alice: { id: "alice", tunnelPublicKey: "the key of alice's tunnel", repository: "rest:https://203.0.113.20:8000/alice/", generation: 1 } });
    expect(rebuild.versions["pulumi"]).toMatch(/^3\./);
    appendFileSync(join(folder, "Pulumi.testnet.yaml"), "# changed\n");
    await create({ given: given("anna", "bert") });
    expect(readKit(records())!.rebuild.changed).toBe(true);
    expect(said.join("\n")).toContain("the project has changes that are in none: commit them");
  });

  it("asks before the whole identity goes, and goes on from there when it is run again, with the same kit", async () => {
    const asked: string[] = [];
    expect(await create({}, { agree: (question) => { asked.push(question); return Promise.resolve(false); } })).toBe("whole");
    expect(asked).toEqual([`The shares are proven. Delete the whole recovery identity, ${identityPath(places, "recovery")}?`]);
    const kit = readFileSync(join(escrowFolder(records()), "kit.json"), "utf8");
    expect(await create()).toBe("complete");
    expect(said[0]).toContain("was proven when it was written");
    expect(readFileSync(join(escrowFolder(records()), "kit.json"), "utf8")).toBe(kit);
    const lines = await auditOf();
    expect(await create()).toBe("complete");
    expect(said).toEqual([`The escrow of testnet is done already: 2 of 3, in ${escrowFolder(records())}. No whole recovery identity is on this machine.`]);
    expect(await auditOf()).toEqual(lines);
  });

  it("keeps the whole identity when it is told to, and says why that is bad", async () => {
    expect(await create({ whole: "stays" }, { agree: nobody })).toBe("whole");
    expect(existsSync(identityPath(places, "recovery"))).toBe(true);
    expect(said.at(-1)).toContain("the escrow protects nothing until it is gone");
  });

  it.each<[string, (kit: string) => void]>([
    ["a sealed share", () => writeFileSync(sealedOf("bert"), readFileSync(sealedOf("anna")))],
    ["a page", () => rmSync(join(escrowFolder(records()), "anna.html"))],
    ["the kit", (kit) => writeFileSync(kit, readFileSync(kit, "utf8").replace(/"digest": "\w{4}/, '"digest": "0000'))],
    ["the note of what was proven", () => rmSync(join(places.state, "escrow-proven"))],
  ])("splits anew, before anything is deleted, when %s is not as it was when it was proven", async (_, change) => {
    await create({ whole: "stays" });
    const before = readKit(records())!;
    change(join(escrowFolder(records()), "kit.json"));
    expect(await create()).toBe("complete");
    const kit = readKit(records())!;
    expect(kit.split).not.toBe(before.split);
    for (const [name, text] of await kitFiles(kit)) expect(readFileSync(join(escrowFolder(records()), name), "utf8")).toBe(text);
    expect((await recoverFromFiles(places, given("bert", "cleo"))).identity).toBe(recovery);
  });

  it("splits anew for other trustees, from the identity or from shares of the split before", async () => {
    await create({ whole: "stays" });
    expect(await create({ threshold: 3, trustees: trustees("anna", "bert", "dora") })).toBe("complete");
    expect(said.join("\n")).toMatch(/All shares are needed.*[\s\S]*Shares of the split before .* still give the same identity/);
    await expect(recoverFromFiles(places, given("anna", "bert"))).rejects.toThrow("Not heard yet: dora");
    await expect(create()).rejects.toThrow(/recovery\.age-key is not there, and the kit is another: 3 of anna, bert, dora.*with --share FILE for each/);
    const names = readdirSync(escrowFolder(records()));
    expect(await create({ given: given("anna", "bert", "dora") })).toBe("complete");
    expect(readdirSync(escrowFolder(records()))).not.toEqual(names);
    expect((await recoverFromFiles(places, given("anna", "cleo"))).identity).toBe(recovery);
  });

  it("takes the identity from another file, behind a passphrase too, and deletes that one", async () => {
    const usual = identityPath(places, "recovery");
    const elsewhere = join(folder, "stick.age-key");
    const { writeIdentity } = await import("../../../custody/identityFile.js");
    await writeIdentity(elsewhere, { identity: recovery, recipient: recipientOf("recovery") }, { form: "passphrase", passphrase: "five random words are good" });
    rmSync(usual);
    await expect(create()).rejects.toThrow("has no kit: nothing can be split. Name the recovery identity's file with --identity.");
    await expect(create({ identity: elsewhere }, { ask: () => Promise.resolve("another passphrase") })).rejects.toThrow("the passphrase is another");
    expect(await create({ identity: elsewhere }, { ask: () => Promise.resolve("five random words are good") })).toBe("complete");
    expect(existsSync(elsewhere)).toBe(false);
    expect(await create({ identity: elsewhere })).toBe("complete");
    expect(said[0]).toContain("is done already");
  });

  it("refuses, and writes nothing: another identity than the stack's, recipients of an environment, a token, too high a threshold", async () => {
    const other = join(folder, "other.key");
    writeFileSync(other, `${(await newIdentity()).identity}\n`, { mode: 0o600 });
    await expect(create({ identity: other })).rejects.toThrow(`and holdfast:recipients.recovery names ${recipientOf("recovery")}`);
    const wallet = recipientOf("wallet");
    await expect(create({ trustees: [...trustees("anna", "bert"), { name: "cleo", recipient: wallet }] })).rejects.toThrow("is the wallet recipient of testnet itself");
    const foreign = /environment: (age1\w+)/.exec(readFileSync(join(folder, "Pulumi.other.yaml"), "utf8"))![1]!;
    await expect(create({ trustees: [...trustees("anna", "bert"), { name: "cleo", recipient: foreign }] })).rejects.toThrow("is environment other's (holdfast:recipients.environment)");
    await expect(create({ threshold: 4 })).rejects.toThrow("--threshold 4, and 3 trustees are named");
    writeFileSync(other, "AGE-PLUGIN-TOKEN-1QQQQQQQQ\n");
    await expect(create({ identity: other })).rejects.toThrow("never gives its key away");
    await expect(create({ given: given() })).rejects.toThrow("There is no share");
    expect(existsSync(escrowFolder(records()))).toBe(false);
    expect(existsSync(identityPath(places, "recovery"))).toBe(true);
  });

  it("of a rotated identity is refused with shares of the one before", async () => {
    await create();
    const file = join(folder, "Pulumi.testnet.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(recipientOf("recovery"), (await newIdentity()).recipient));
    await expect(create()).rejects.toThrow("it is from before a rotation");
    await expect(create({ given: given("anna", "bert") })).rejects.toThrow("they are from before a rotation");
  });

  it("of a rehearsal holds: its next update makes no new recovery identity in the old one's place", async () => {
    writeFileSync(join(folder, "Pulumi.dev.yaml"), readFileSync("Pulumi.dev.yaml"));
    places = placesOf(folder, "dev");
    await ensureRehearsalKeys(places);
    const recipients = readFileSync(join(places.state, "recipients.json"), "utf8");
    expect(await create()).toBe("complete");
    await ensureRehearsalKeys(places);
    expect(existsSync(identityPath(places, "recovery"))).toBe(false);
    expect(readFileSync(join(places.state, "recipients.json"), "utf8")).toBe(recipients);
  });
});

class Stopped extends Error {}
/** Stops before its n-th change to the disk, as a kill would. */
function stopping(at: number): { readonly disk: Disk; readonly count: () => number } {
  let count = 0;
  const step = <A extends readonly unknown[]>(work: (...args: A) => void) => (...args: A): void => {
    if (count++ === at) throw new Stopped();
    work(...args);
  };
  return { disk: { makeFolder: step(realDisk.makeFolder), write: step(realDisk.write), rename: step(realDisk.rename), remove: step(realDisk.remove) }, count: () => count };
}

describe("an escrow that is stopped before any change to the disk", () => {
  it.each(["without a kit before it", "with another kit before it"])("%s: leaves the old kit or the new one, whole, and ends well when it is run again", { timeout: 120_000 }, async (before) => {
    const first = { threshold: 3, trustees: trustees("anna", "bert", "cleo", "dora"), whole: "stays" } as const;
    if (before.startsWith("with another")) await create(first);
    const start = mkdtempSync(join(template, "project-"));
    cpSync(folder, start, { recursive: true });
    const old = readKit(records());
    const measure = stopping(-1);
    await create({}, { disk: measure.disk });
    expect(measure.count()).toBeGreaterThan(10);
    for (let at = 0; at < measure.count(); at += 1) {
      rmSync(folder, { recursive: true });
      cpSync(start, folder, { recursive: true });
      await expect(create({}, { disk: stopping(at).disk }), `point ${at}`).rejects.toBeInstanceOf(Stopped);
      const left = readKit(records());
      expect(left?.split === old?.split || left?.trustees.length === 3, `point ${at}`).toBe(true);
      const whole = existsSync(identityPath(places, "recovery"));
      if (!whole || left?.trustees.length === 3) {
        const read = (name: string): string => [sealedOf(name), sealedOf(name).replace("/escrow/", "/escrow.new/")].filter((path) => existsSync(path)).map((path) => readFileSync(path, "utf8"))[0]!;
        for (const { name, sealed } of left!.trustees) expect(read(name), `point ${at}`).toBe(sealed);
      }
      expect(await create(), `point ${at}`).toBe("complete");
      expect(existsSync(identityPath(places, "recovery"))).toBe(false);
      expect(readdirSync(records()).filter((name) => name.startsWith("escrow"))).toEqual(["escrow"]);
      expect((await recoverFromFiles(places, given("anna", "cleo"))).identity, `point ${at}`).toBe(recovery);
      expect((await readLog(auditLog(places))).fault).toBeUndefined();
    }
  });
});

describe("asking for shares", () => {
  beforeEach(() => create());

  it("makes a one-time identity once, and says whom to trust with what", async () => {
    const { recipient, message } = await requestShares(places);
    const file = join(places.state, "escrow-request.age-key");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await requestShares(places)).recipient).toBe(recipient);
    expect(message).toContain(recipient);
    expect(message).toContain(`must end with  ${recipient.slice(-16).match(/.{4}/g)!.join(" ")}`);
    expect(message).not.toContain("AGE-SECRET-KEY");
    expect((await auditOf()).filter((line) => line.startsWith("identity-made: one-time"))).toHaveLength(1);
    expect(whomToAsk(places, readKit(records())).join("\n")).toMatch(/Any 2 of these 3[\s\S]*anna {2}age1[\s\S]*holdfast escrow request -s testnet/);
    expect(whomToAsk(places, undefined).join("\n")).toContain("has no kit");
  });

  it("gets answers that open with the one-time identity alone, and are worth nothing once it is gone", async () => {
    const { recipient } = await requestShares(places);
    const answers: string[] = [];
    for (const name of ["anna", "cleo"]) {
      const done = await contribute(folder, { share: sealedOf(name), identity: keyOf(name), recipient, ask: nobody });
      expect(done).toMatchObject({ trustee: name, environment: "testnet", recorded: true });
      await expect(openText(done.sealed, people[name]!.identity)).rejects.toThrow();
      writeFileSync(join(folder, `${name}.answer`), done.sealed);
      answers.push(join(folder, `${name}.answer`));
    }
    const shares = { shares: answers, identities: [], ask: nobody };
    expect((await recoverFromFiles(places, shares)).identity).toBe(recovery);
    expect((await recoverFromFiles(places, { ...shares, shares: [answers[0]!, sealedOf("bert")], identities: [keyOf("bert")] })).trustees).toEqual(["anna", "bert"]);
    expect((await auditOf()).filter((line) => line.startsWith("escrow-contributed"))[1]).toBe(`escrow-contributed: anna: done: for ${recipient.slice(0, 20)}…`);
    forgetRequest(places);
    await expect(recoverFromFiles(places, shares)).rejects.toThrow("anna.answer is sealed, and nothing here opens it");
    expect((await auditOf()).at(-1)).toMatch(/^escrow-recovered: 2 shares: failed: /);
  });

  it("works for a trustee who has no project, and leaves no line then", async () => {
    const { recipient } = await requestShares(places);
    const lines = await auditOf();
    expect(await contribute(undefined, { share: sealedOf("bert"), identity: keyOf("bert"), recipient, ask: nobody })).toMatchObject({ trustee: "bert", recorded: false });
    expect(await auditOf()).toEqual(lines);
  });

  it("is refused shares of another environment", async () => {
    const [there, mine] = [placesOf(folder, "other"), places];
    places = there;
    await create();
    const foreign = given("anna", "bert");
    places = mine;
    await expect(recoverFromFiles(places, foreign)).rejects.toThrow("The share of anna is of environment other, and this is testnet. Name the other stack with -s other");
  });
});

describe("a post-quantum escrow", () => {
  it("asks for a post-quantum one-time recipient, and a trustee seals for no other", async () => {
    const hybrid = placesOf(folder, "pq");
    await createEnvironment(hybrid, { network: "signet", kind: "hybrid", identity: "file", walletRecipient: undefined, node: "alice", passphrases: { infrastructure: nobody, wallet: nobody } });
    places = hybrid;
    await expect(create()).rejects.toThrow("with such trustees the identity is as weak as a classical one");
    const person = await newIdentity("hybrid");
    people["emil"] = person;
    people["fara"] = await newIdentity("hybrid");
    expect(await create({ trustees: trustees("emil", "fara") })).toBe("complete");
    const { recipient } = await requestShares(places);
    expect(recipient).toMatch(/^age1pq1/);
    await expect(contribute(folder, { share: sealedOf("emil"), identity: keyOf("emil"), recipient: people["anna"]!.recipient, ask: nobody })).rejects.toThrow("sealed for it, the share is as weak as that");
    expect((await contribute(folder, { share: sealedOf("emil"), identity: keyOf("emil"), recipient, ask: nobody })).trustee).toBe("emil");
    expect((await recoverFromFiles(places, given("emil", "fara"))).recipient).toMatch(/^age1pq1/);
  });
});

describe("a drill", () => {
  const deposit = async (change: Parameters<typeof exampleContent>[1] = {}): Promise<void> => {
    const content = exampleContent(recipientOf("recovery"), { place: { environment: "testnet", network: "testnet4", node: "alice", generation: 1 }, ...change });
    await depositRoots(folderStore(join(folder, "deposit")), content, new Date("2026-11-21T09:00:00.000Z"));
  };
  beforeEach(() => create());

  it("opens the passphrase and the newest roots of every node, and reveals nothing", async () => {
    await deposit();
    const { recipient } = await requestShares(places);
    const answer = join(folder, "answer");
    writeFileSync(answer, (await contribute(undefined, { share: sealedOf("anna"), identity: keyOf("anna"), recipient, ask: nobody })).sealed);
    const files = new Set(everyFile(folder));
    const done = await drill(places, { ...given("bert"), shares: [answer, sealedOf("bert")] });
    expect(done).toEqual({
      proven: true, trustees: ["anna", "bert"], proofs: [
        { what: "the stack's passphrase", outcome: "opened", detail: `${join(records(), "passphrase.age")}, of the fingerprint in marks.json` },
        { what: "the roots of alice", outcome: "opened", detail: expect.stringMatching(/\.roots\.age, sealed 2026-11-21 09:00:00, 3 roots$/) as string },
      ],
    });
    for (const path of everyFile(folder)) {
      if (!files.has(path)) expect(path).toBe(keyOf("bert"));
      for (const secret of [recovery.slice(20), exampleContent("").storePassword]) expect(readFileSync(path, "latin1"), path).not.toContain(secret);
    }
    expect(existsSync(join(places.state, "escrow-request.age-key"))).toBe(false);
    expect((await auditOf()).at(-1)).toBe("escrow-drilled: 2 shares: done: from the shares of anna, bert: the stack's passphrase opened; the roots of alice opened");
  });

  it("is not proven when something does not open, and keeps the one-time identity for another try", async () => {
    await requestShares(places);
    const stranger = (await newIdentity()).recipient;
    await deposit();
    const [store, owner] = [folderStore(join(folder, "deposit")), { environment: "testnet", node: "alice" }];
    const [name] = await store.list(owner);
    writeFileSync(join(folder, "deposit", "testnet", "alice", name!), await sealText("x", stranger));
    const { proofs, proven } = await drill(places, given("anna", "cleo"));
    expect(proven).toBe(false);
    expect(proofs.map(({ outcome }) => outcome)).toEqual(["opened", "failed"]);
    expect(proofs[1]!.detail).toContain("does not open with this recovery identity");
    expect(existsSync(join(places.state, "escrow-request.age-key"))).toBe(true);

    writeFileSync(join(records(), "passphrase.age"), await sealText("another", recipientOf("recovery")));
    expect((await drill(places, given("anna", "cleo"))).proofs[0]).toMatchObject({ outcome: "failed", detail: expect.stringContaining("another passphrase than marks.json names") as string });
    writeFileSync(join(records(), "passphrase.age"), await sealText("another", stranger));
    expect((await drill(places, given("anna", "cleo"))).proofs[0]).toMatchObject({ outcome: "failed", detail: expect.stringContaining("sealed for another recovery recipient") as string });
  });

  it("before the first node is raised is proven by the passphrase; afterwards a missing deposit is a failure", async () => {
    const before = await drill(places, given("anna", "bert"));
    expect(before.proven).toBe(true);
    expect(before.proofs[1]).toMatchObject({ what: "the roots of alice", outcome: "nothing" });
    writeMarks(records(), { ...readMarks(records()), tunnels: { alice: "a key" } });
    const after = await drill(places, given("anna", "bert"));
    expect(after).toMatchObject({ proven: false, proofs: [{}, { outcome: "failed", detail: expect.stringContaining("is the folder mounted?") as string }] });
  });

  it("with too few shares is no drill: says who was not heard, in the log too", async () => {
    await expect(drill(places, given("bert"))).rejects.toThrow("1 of the 2 shares that are needed is there (bert); 1 more is missing. Not heard yet: anna, cleo.");
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
