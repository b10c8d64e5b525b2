import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { createEnvironment } from "../../../cli/envCreate.js";
import { ensureRehearsalKeys, lockPassphrase, unlockPassphrase } from "../../../cli/keys.js";
import { forgetNodes, notedNodes, noteMarks } from "../../../cli/marks.js";
import { askNewPassphrase, askPassphrase } from "../../../cli/passphrase.js";
import { identityPath, recordsFolder } from "../../../cli/places.js";
import { identityOf } from "../../../custody/identityFile.js";
import { sealedPassphrase } from "../../../custody/passphrase.js";
import { readMarks, writeMarks } from "../../../custody/records.js";
import { openText, sealText } from "../../../custody/seal.js";
import { emptyProject, nobody, PASSPHRASES, usual } from "./emptyProject.js";

const { folder, places, recipientsOf, auditOf, fileOf } = emptyProject();

describe("unlocking an environment", () => {
  it("leaves the passphrase in a file of memory that is this user's alone, with lines in the log, until it is locked", async () => {
    await createEnvironment(places("testnet"), usual);
    const file = (await unlockPassphrase(places("testnet"), "shell"))!;
    expect(file.startsWith(join(folder(), "memory"))).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).toHaveLength(43);
    expect((await auditOf("testnet")).slice(2)).toEqual(["environment-unlocked begun", "environment-unlocked done"]);
    lockPassphrase(places("testnet"));
    expect(existsSync(file)).toBe(false);
  });

  it("happens once for a shell: a command takes what is unlocked, and opens it itself otherwise", async () => {
    await createEnvironment(places("testnet"), { ...usual, identity: "passphrase", passphrases: PASSPHRASES });
    const ask = vi.fn(() => PASSPHRASES.infrastructure());
    const kept = await unlockPassphrase(places("testnet"), "shell", { ask });
    expect(await unlockPassphrase(places("testnet"), "command", { ask })).toBe(kept);
    expect(ask).toHaveBeenCalledOnce();
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", readFileSync(kept!, "utf8"));
    lockPassphrase(places("testnet"));
    expect(await unlockPassphrase(places("testnet"), "command", { ask })).toBeUndefined();
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "another");
    expect(await unlockPassphrase(places("testnet"), "command", { ask })).not.toBe(kept);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it("with another environment's identity is refused, and leaves a line that says so", async () => {
    await createEnvironment(places("testnet"), usual);
    await createEnvironment(places("prod"), { ...usual, network: "mainnet", passphrases: PASSPHRASES });
    await expect(unlockPassphrase(places("prod"), "shell", { identityFile: identityPath(places("testnet"), "environment"), ask: nobody })).rejects.toThrow(/passphrase\.age was not opened with .*testnet\/environment\.age-key/);
    expect(await auditOf("prod")).toContain("environment-unlocked failed");
  });

  it("is refused when the passphrase is another environment's, though it was sealed for this one", async () => {
    await createEnvironment(places("testnet"), usual);
    await createEnvironment(places("prod"), { ...usual, network: "mainnet", passphrases: PASSPHRASES });
    const testnet = await openText(readFileSync(sealedPassphrase(recordsFolder(places("testnet"))), "utf8"), await identityOf(identityPath(places("testnet"), "environment"), nobody));
    writeFileSync(sealedPassphrase(recordsFolder(places("prod"))), await sealText(testnet, recipientsOf("prod").environment));
    await expect(unlockPassphrase(places("prod"), "shell")).rejects.toThrow("found the passphrase of environment testnet");
    await expect(unlockPassphrase(places("prod"), "command")).rejects.toThrow("wants that of prod");
  });
});

describe("a rehearsal's keys", () => {
  beforeEach(() => writeFileSync(join(folder(), "Pulumi.dev.yaml"), readFileSync("Pulumi.dev.yaml", "utf8")));

  it("are made once, the passphrase for environment and recovery, with its marks", async () => {
    await ensureRehearsalKeys(places("dev"));
    const marks = readMarks(recordsFolder(places("dev")));
    expect(recordsFolder(places("dev"))).toBe(places("dev").state);
    expect(Object.keys(marks.made).sort()).toEqual(["environment", "passphrase", "recovery", "ssh", "wallet"]);
    const sealed = fileOf("dev", ".holdfast/NAME/passphrase.age");
    const opened = await Promise.all((["environment", "recovery"] as const).map(async (role) => openText(sealed, await identityOf(identityPath(places("dev"), role), nobody))));
    expect(opened[0]).toBe(opened[1]);
    await ensureRehearsalKeys(places("dev"));
    expect(fileOf("dev", ".holdfast/NAME/passphrase.age")).toBe(sealed);
    expect(readMarks(recordsFolder(places("dev")))).toEqual(marks);
  });

  it("of a time before marks go on working: the passphrase stays, and gets its mark and its second recipient", async () => {
    await ensureRehearsalKeys(places("dev"));
    const { state } = places("dev");
    const environment = await identityOf(identityPath(places("dev"), "environment"), nobody);
    rmSync(join(state, "marks.json"));
    writeFileSync(join(state, "passphrase.age"), await sealText("an old passphrase", /age1\S+/.exec(readFileSync(identityPath(places("dev"), "environment"), "utf8"))![0]));
    expect(readFileSync((await unlockPassphrase({ ...places("dev") }, "command"))!, "utf8")).toBe("an old passphrase");
    rmSync(join(state, "marks.json"));
    await ensureRehearsalKeys(places("dev"));
    for (const identity of [environment, await identityOf(identityPath(places("dev"), "recovery"), nobody)]) expect(await openText(readFileSync(join(state, "passphrase.age"), "utf8"), identity)).toBe("an old passphrase");
    expect(readMarks(state).passphrase).toBeDefined();
  });
});

describe("marks of tunnels", () => {
  const outputs = (publicKey: string) => ({ nodes: { secret: false, value: { alice: { tunnel: { publicKey } } } } });
  const stack = { nodes: [{ id: "alice-1", name: "alice" }] } as unknown as Parameters<typeof noteMarks>[1];

  it("are noted by a node's id after an update, once, and forgotten with the state", async () => {
    const records = recordsFolder(places("testnet"));
    writeMarks(records, { ...readMarks(records), made: { ssh: "2026-01-01T00:00:00.000Z" } });
    noteMarks(places("testnet"), stack, outputs("key="), new Date("2026-11-21T00:00:00Z"));
    expect(readMarks(records)).toMatchObject({ tunnels: { "alice-1": "key=" }, made: { "tunnel-alice-1": "2026-11-21T00:00:00.000Z" } });
    noteMarks(places("testnet"), stack, outputs("key="));
    expect(readMarks(records).made["tunnel-alice-1"]).toBe("2026-11-21T00:00:00.000Z");
    noteMarks(places("testnet"), stack, {});
    forgetNodes(places("testnet"));
    expect(readMarks(records)).toMatchObject({ tunnels: {}, made: { ssh: "2026-01-01T00:00:00.000Z" } });
    expect(readMarks(records).made["tunnel-alice-1"]).toBeUndefined();
  });
});

describe("marks of states", () => {
  const records = (): string => recordsFolder(places("testnet"));
  const outputs = (summary: object) => ({ nodes: { secret: false, value: { alice: summary } } });
  const stack = (tunnel?: object) => ({ nodes: [{ id: "alice-1", name: "alice", ...(tunnel && { tunnel }) }] }) as unknown as Parameters<typeof noteMarks>[1];

  it("are noted whether a node has a tunnel or none, and its tunnel's key goes with its tunnel", () => {
    noteMarks(places("testnet"), stack({}), outputs({ tunnel: { publicKey: "key=" }, stateMark: "mark" }), new Date("2026-11-21T00:00:00Z"));
    expect(readMarks(records())).toMatchObject({ tunnels: { "alice-1": "key=" }, states: { "alice-1": "mark" }, made: { "tunnel-alice-1": "2026-11-21T00:00:00.000Z" } });
    noteMarks(places("testnet"), stack(), outputs({ stateMark: "mark" }), new Date("2026-11-22T00:00:00Z"));
    expect(readMarks(records())).toMatchObject({ tunnels: {}, states: { "alice-1": "mark" }, made: { "tunnel-alice-1": "2026-11-21T00:00:00.000Z" } });
    expect(notedNodes(readMarks(records()))).toEqual(["alice-1"]);
    forgetNodes(places("testnet"));
    expect(notedNodes(readMarks(records()))).toEqual([]);
    noteMarks(places("testnet"), stack(), outputs({ stateMark: "other" }), new Date("2026-11-23T00:00:00Z"));
    expect(readMarks(records()).made["tunnel-alice-1"]).toBe("2026-11-23T00:00:00.000Z");
    forgetNodes(places("testnet"));
  });
});

describe("a passphrase", () => {
  it("comes from a file that is this user's alone, without its line's end, and never a short one for something new", async () => {
    const file = join(folder(), "passphrase");
    writeFileSync(file, "five random words\n", { mode: 0o600 });
    expect(await askPassphrase(file)("?")).toBe("five random words");
    expect(await askNewPassphrase(file)("?")).toBe("five random words");
    writeFileSync(file, "short");
    await expect(askNewPassphrase(file)("passphrase")).rejects.toThrow("has 5 characters");
    writeFileSync(join(folder(), "open"), "five random words", { mode: 0o644 });
    await expect(askPassphrase(join(folder(), "open"))("?")).rejects.toThrow("chmod 600");
    await expect(askPassphrase(undefined)("Passphrase of x")).rejects.toThrow("--passphrase-file");
  });
});
