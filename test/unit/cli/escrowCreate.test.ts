import { appendFileSync, cpSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { recoverFromFiles } from "../../../cli/escrow/shares.js";
import { ensureRehearsalKeys } from "../../../cli/keys.js";
import { auditLog, identityPath, placesOf } from "../../../cli/places.js";
import { readLog } from "../../../custody/audit/log.js";
import { realDisk, type Disk } from "../../../custody/escrow/disk.js";
import { escrowFolder, kitFiles, readKit, settleKit } from "../../../custody/escrow/kit.js";
import { writeIdentity } from "../../../custody/identityFile.js";
import { readMarks, writeMarks } from "../../../custody/records.js";
import { newIdentity, sealText } from "../../../custody/seal.js";
import { nobody } from "./emptyProject.js";
import { escrowProject, everyFile } from "./escrowProject.js";

const { now, said, emptyFolder, records, sealedOf, trustees, recipientOf, create, auditOf, given } = escrowProject();

describe("creating an escrow", () => {
  it("leaves a kit and a page for each trustee, from any k of whom the identity comes back, and the whole one nowhere", async () => {
    const before = everyFile(now.folder);
    appendFileSync(join(now.places.state, "recovery.age-key.4711.part"), readFileSync(identityPath(now.places, "recovery")));
    expect(await create()).toBe("complete");
    expect(readdirSync(escrowFolder(records())).sort()).toEqual(["anna.age", "anna.html", "bert.age", "bert.html", "cleo.age", "cleo.html", "kit.json"]);
    for (const pair of [["anna", "bert"], ["bert", "cleo"], ["cleo", "anna"]]) expect((await recoverFromFiles(now.places, given(...pair))).identity).toBe(now.recovery);
    expect(existsSync(identityPath(now.places, "recovery"))).toBe(false);
    for (const path of everyFile(now.folder)) expect(readFileSync(path, "latin1"), path).not.toContain(now.recovery.slice(20));
    expect(before).toContain(identityPath(now.places, "recovery"));
    expect(await auditOf()).toContain("escrow-created: 2 of 3: anna, bert, cleo: done: no whole identity is left here");
    expect(await auditOf()).toContain("escrow-recovered: 2 shares: done: from the shares of anna, bert");
  });

  it("names in the kit what a rebuild needs", async () => {
    const git = (...args: readonly string[]) => execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b.example", ...args], { cwd: now.folder }).toString().trim();
    writeMarks(records(), { ...readMarks(records()), tunnels: { alice: "the key of alice's tunnel" } });
    writeFileSync(join(now.folder, ".gitignore"), ".holdfast\n");
    git("init", "-q");
    git("add", "-A");
    git("commit", "-qm", "all");
    await create();
    const { rebuild } = readKit(records())!;
    expect(rebuild).toMatchObject({ commit: git("rev-parse", "HEAD"), changed: false, deposit: "deposit", versions: { holdfast: "9.9.9", random: "4.21.2", command: "1.2.1", hcloud: "1.41.0" } });
    expect(rebuild.nodes).toEqual({ alice: { id: "alice", tunnelPublicKey: "the key of alice's tunnel", repository: "rest:https://203.0.113.20:8000/alice/", generation: 1 } });
    expect(rebuild.versions["pulumi"]).toMatch(/^3\./);
    appendFileSync(join(now.folder, "Pulumi.testnet.yaml"), "# changed\n");
    await create({ given: given("anna", "bert") });
    expect(readKit(records())!.rebuild.changed).toBe(true);
    expect(said.join("\n")).toContain("the project has changes that are in none: commit them");
  });

  it("asks before the whole identity goes, and goes on from there when it is run again, with the same kit", async () => {
    const asked: string[] = [];
    expect(await create({}, { agree: (question) => { asked.push(question); return Promise.resolve(false); } })).toBe("whole");
    expect(asked).toEqual([`The shares are proven. Delete the whole recovery identity, ${identityPath(now.places, "recovery")}?`]);
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
    expect(existsSync(identityPath(now.places, "recovery"))).toBe(true);
    expect(said.at(-1)).toContain("the escrow protects nothing until it is gone");
  });

  it.each<[string, (kit: string) => unknown]>([
    ["a sealed share", () => writeFileSync(sealedOf("bert"), readFileSync(sealedOf("anna")))],
    ["a page", () => rmSync(join(escrowFolder(records()), "anna.html"))],
    ["the kit", (kit) => writeFileSync(kit, readFileSync(kit, "utf8").replace(/"digest": "\w{4}/, '"digest": "0000'))],
    ["the kit with every file of it, consistently", async () => {
      const kit = readKit(records())!;
      const trustees = await Promise.all(kit.trustees.map(async (one) => ({ ...one, sealed: await sealText("worthless", one.recipient) })));
      for (const [name, text] of await kitFiles({ ...kit, trustees })) writeFileSync(join(escrowFolder(records()), name), text);
    }],
    ["the note of what was proven", () => rmSync(join(now.places.state, "escrow-proven"))],
  ])("splits anew, before anything is deleted, when %s is not as it was when it was proven", async (_, change) => {
    await create({ whole: "stays" });
    const before = readKit(records())!;
    await change(join(escrowFolder(records()), "kit.json"));
    expect(await create()).toBe("complete");
    const kit = readKit(records())!;
    expect(kit.split).not.toBe(before.split);
    for (const [name, text] of await kitFiles(kit)) expect(readFileSync(join(escrowFolder(records()), name), "utf8")).toBe(text);
    expect((await recoverFromFiles(now.places, given("bert", "cleo"))).identity).toBe(now.recovery);
  });

  it("splits anew for other trustees, from the identity or from shares of the split before", async () => {
    await create({ whole: "stays" });
    expect(await create({ threshold: 3, trustees: trustees("anna", "bert", "dora") })).toBe("complete");
    expect(said.join("\n")).toMatch(/All shares are needed.*[\s\S]*Shares of the split before .* still give the same identity/);
    await expect(recoverFromFiles(now.places, given("anna", "bert"))).rejects.toThrow("Not heard yet: dora");
    await expect(create()).rejects.toThrow(/recovery\.age-key is not there, and the kit is another: 3 of anna, bert, dora.*with --share FILE for each/);
    const names = readdirSync(escrowFolder(records()));
    expect(await create({ given: given("anna", "bert", "dora") })).toBe("complete");
    expect(readdirSync(escrowFolder(records()))).not.toEqual(names);
    expect((await recoverFromFiles(now.places, given("anna", "cleo"))).identity).toBe(now.recovery);
  });

  it("takes the identity from another file, behind a passphrase too, and deletes that one", async () => {
    const usual = identityPath(now.places, "recovery");
    const elsewhere = join(now.folder, "stick.age-key");
    await writeIdentity(elsewhere, { identity: now.recovery, recipient: recipientOf("recovery") }, { form: "passphrase", passphrase: "five random words are good" });
    rmSync(usual);
    await expect(create()).rejects.toThrow("has no kit: nothing can be split. Name the recovery identity's file with --identity.");
    await expect(create({ identity: elsewhere }, { ask: () => Promise.resolve("another passphrase") })).rejects.toThrow("the passphrase is another");
    expect(await create({ identity: elsewhere }, { ask: () => Promise.resolve("five random words are good") })).toBe("complete");
    expect(existsSync(elsewhere)).toBe(false);
    expect(await create({ identity: elsewhere })).toBe("complete");
    expect(said[0]).toContain("is done already");
  });

  it("refuses, and writes nothing: another identity than the stack's, recipients of an environment, a token, too high a threshold", async () => {
    const other = join(now.folder, "other.key");
    writeFileSync(other, `${(await newIdentity()).identity}\n`, { mode: 0o600 });
    await expect(create({ identity: other })).rejects.toThrow(`and holdfast:recipients.recovery names ${recipientOf("recovery")}`);
    const wallet = recipientOf("wallet");
    await expect(create({ trustees: [...trustees("anna", "bert"), { name: "cleo", recipient: wallet }] })).rejects.toThrow("is the wallet recipient of testnet itself");
    const foreign = /environment: (age1\w+)/.exec(readFileSync(join(now.folder, "Pulumi.other.yaml"), "utf8"))![1]!;
    await expect(create({ trustees: [...trustees("anna", "bert"), { name: "cleo", recipient: foreign }] })).rejects.toThrow("is environment other's (holdfast:recipients.environment)");
    await expect(create({ threshold: 4 })).rejects.toThrow("--threshold 4, and 3 trustees are named");
    writeFileSync(other, "AGE-PLUGIN-TOKEN-1QQQQQQQQ\n");
    await expect(create({ identity: other })).rejects.toThrow("never gives its key away");
    await expect(create({ given: given() })).rejects.toThrow("There is no share");
    expect(existsSync(escrowFolder(records()))).toBe(false);
    expect(existsSync(identityPath(now.places, "recovery"))).toBe(true);
  });

  it("of a rotated identity is refused with shares of the one before", async () => {
    await create();
    const file = join(now.folder, "Pulumi.testnet.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(recipientOf("recovery"), (await newIdentity()).recipient));
    await expect(create()).rejects.toThrow("it is from before a rotation");
    await expect(create({ given: given("anna", "bert") })).rejects.toThrow("they are from before a rotation");
  });

  it("of a rehearsal holds: its next update makes no new recovery identity in the old one's place", async () => {
    writeFileSync(join(now.folder, "Pulumi.dev.yaml"), readFileSync("Pulumi.dev.yaml"));
    now.places = placesOf(now.folder, "dev");
    await ensureRehearsalKeys(now.places);
    const recipients = readFileSync(join(now.places.state, "recipients.json"), "utf8");
    expect(await create()).toBe("complete");
    await ensureRehearsalKeys(now.places);
    expect(existsSync(identityPath(now.places, "recovery"))).toBe(false);
    expect(readFileSync(join(now.places.state, "recipients.json"), "utf8")).toBe(recipients);
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
    const start = emptyFolder();
    cpSync(now.folder, start, { recursive: true });
    const old = readKit(records());
    const measure = stopping(-1);
    await create({}, { disk: measure.disk });
    expect(measure.count()).toBeGreaterThan(10);
    for (let at = 0; at < measure.count(); at += 1) {
      rmSync(now.folder, { recursive: true });
      cpSync(start, now.folder, { recursive: true });
      await expect(create({}, { disk: stopping(at).disk }), `point ${at}`).rejects.toBeInstanceOf(Stopped);
      const left = readKit(records());
      expect(left?.split === old?.split || left?.trustees.length === 3, `point ${at}`).toBe(true);
      expect(existsSync(identityPath(now.places, "recovery")) || left?.trustees.length === 3, `point ${at}: the identity is within reach`).toBe(true);
      settleKit(records(), realDisk);
      expect(readKit(records()), `point ${at}`).toEqual(left);
      if (left !== undefined) for (const [name, text] of await kitFiles(left)) expect(readFileSync(join(escrowFolder(records()), name), "utf8"), `${name} at point ${at}`).toBe(text);
      expect(await create(), `point ${at}`).toBe("complete");
      expect(existsSync(identityPath(now.places, "recovery"))).toBe(false);
      expect(readdirSync(records()).filter((name) => name.startsWith("escrow"))).toEqual(["escrow"]);
      expect((await recoverFromFiles(now.places, given("anna", "cleo"))).identity, `point ${at}`).toBe(now.recovery);
      expect((await readLog(auditLog(now.places))).fault).toBeUndefined();
    }
  });
});

