import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { depositFault, depositRoots, forgetOldDeposits, KEPT, openNewestDeposit } from "../../../../custody/deposit/roots.js";
import { folderStore, type DepositStore } from "../../../../custody/deposit/store.js";
import { newIdentity, openText } from "../../../../custody/seal.js";
import { SENTINEL } from "../../../../formats/roots.js";
import { exampleContent } from "./example.js";

const alice = { environment: "dev", node: "alice-1" };
const NOW = new Date("2026-11-21T12:00:00.000Z");
let folder: string;
let store: DepositStore;
let recovery: { readonly identity: string; readonly recipient: string };
beforeAll(async () => { recovery = await newIdentity(); });
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-deposit-"));
  store = folderStore(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("a deposit of roots", () => {
  it("opens with the recovery identity, and holds what went in, the sentinel and the time", async () => {
    const { file, digest } = await depositRoots(store, exampleContent(recovery.recipient), NOW);
    expect(file).toBe("dev/alice-1/20261121T120000.000Z.roots.age");
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(await openNewestDeposit(store, alice, recovery.identity)).toEqual({
      name: "20261121T120000.000Z.roots.age",
      roots: { format: "holdfast-roots/1", sentinel: SENTINEL, sealed: NOW.toISOString(), ...exampleContent(recovery.recipient) },
    });
  });

  it("is proven for a post-quantum recovery recipient too, and sealed for nothing weaker", async () => {
    const hybrid = await newIdentity("hybrid");
    const { file } = await depositRoots(store, exampleContent(hybrid.recipient), NOW);
    expect((await openNewestDeposit(store, alice, hybrid.identity))?.roots.name).toBe("alice");
    expect(Buffer.from(readFileSync(join(folder, file), "utf8").replace(/-----[^-]+-----|\s/g, ""), "base64").toString("latin1")).not.toContain("-> X25519");
  });

  it("holds nothing in clear", async () => {
    const content = exampleContent(recovery.recipient);
    const { file } = await depositRoots(store, content, NOW);
    const text = readFileSync(join(folder, file), "utf8");
    expect(text).toContain("BEGIN AGE ENCRYPTED FILE");
    for (const secret of [content.storePassword, content.roots["wireguard-node"]!.value, SENTINEL]) expect(text).not.toContain(secret);
  });

  it("is newer by name than all before it, whatever the clock says", async () => {
    await depositRoots(store, exampleContent(recovery.recipient, { name: "first" }), NOW);
    await depositRoots(store, exampleContent(recovery.recipient, { name: "second" }), new Date("2020-01-01T00:00:00.000Z"));
    expect(await store.list(alice)).toEqual(["20261121T120000.000Z.roots.age", "20261121T120000.001Z.roots.age"]);
    expect((await openNewestDeposit(store, alice, recovery.identity))?.roots).toMatchObject({ name: "second", sealed: "2020-01-01T00:00:00.000Z" });
  });

  it("fails when the store gives back something else, something damaged, or nothing", async () => {
    const other = await depositRoots(store, exampleContent(recovery.recipient), NOW).then(({ file }) => readFileSync(join(folder, file), "utf8"));
    const answering = (read: DepositStore["read"]): DepositStore => ({ ...store, list: async () => [], write: async () => undefined, read });
    await expect(depositRoots(answering(async () => other), exampleContent(recovery.recipient), NOW)).rejects.toThrow(/gave back something else than what was deposited for dev\/alice-1/);
    await expect(depositRoots(answering(async () => ""), exampleContent(recovery.recipient), NOW)).rejects.toThrow(/gave back something else/);
    await expect(depositRoots(answering(() => Promise.reject(new Error("no such file"))), exampleContent(recovery.recipient), NOW)).rejects.toThrow("no such file");
  });

  it("keeps the ten newest of a node, and leaves other nodes' alone", async () => {
    for (let at = 0; at < KEPT + 2; at++) await store.write(alice, `202611${String(at + 10)}T000000.000Z.roots.age`, String(at));
    await store.write({ ...alice, node: "bob" }, "20200101T000000.000Z.roots.age", "bob's");
    expect(await forgetOldDeposits(store, alice)).toEqual(["20261110T000000.000Z.roots.age", "20261111T000000.000Z.roots.age"]);
    expect((await store.list(alice)).length).toBe(KEPT);
    expect((await store.list({ ...alice, node: "bob" })).length).toBe(1);
    expect(await forgetOldDeposits(store, alice)).toEqual([]);
  });
});

describe("opening the newest export", () => {
  it("finds none where none is", async () => {
    expect(await openNewestDeposit(store, alice, recovery.identity)).toBeUndefined();
  });

  it("refuses another recovery identity and a damaged file, and names the older one that is left", async () => {
    await depositRoots(store, exampleContent(recovery.recipient), NOW);
    const { file } = await depositRoots(store, exampleContent(recovery.recipient), new Date("2026-11-22T00:00:00.000Z"));
    await expect(openNewestDeposit(store, alice, (await newIdentity()).identity)).rejects.toThrow(/20261122T000000\.000Z\.roots\.age does not open with this recovery identity/);
    writeFileSync(join(folder, file), readFileSync(join(folder, file), "utf8").slice(0, 400));
    await expect(openNewestDeposit(store, alice, recovery.identity)).rejects.toThrow(/To take the one before it, 20261121T120000\.000Z\.roots\.age, move this one away/);
  });

  it("refuses another node's export in this node's folder", async () => {
    const { file } = await depositRoots(store, exampleContent(recovery.recipient, { place: { environment: "prod", network: "mainnet", node: "alice-1", generation: 1 } }), NOW);
    await depositRoots(store, exampleContent(recovery.recipient), NOW);
    renameSync(join(folder, file), join(folder, "dev", "alice-1", "20261231T000000.000Z.roots.age"));
    await expect(openNewestDeposit(store, alice, recovery.identity)).rejects.toThrow(/holds the roots of prod\/alice-1, not of dev\/alice-1/);
  });
});

describe("the newest export and the ones who could open it", () => {
  it("are the recovery identity, and one that was gone with the process that sealed", async () => {
    const { file } = await depositRoots(store, exampleContent(recovery.recipient), NOW);
    const sealed = readFileSync(join(folder, file), "utf8");
    expect(Buffer.from(sealed.replace(/-----[^-]+-----|\s/g, ""), "base64").toString("latin1").match(/^-> /gm)).toHaveLength(2);
    expect(await openText(sealed, recovery.identity)).toContain(SENTINEL);
  });
});

describe("what is said of a deposit", () => {
  it("is nothing when all is well, and names what is missing otherwise", async () => {
    expect(await depositFault(store, alice)).toMatch(/holds no roots of dev\/alice-1.*holdfast state deposit/);
    const { file } = await depositRoots(store, exampleContent(recovery.recipient), NOW);
    expect(await depositFault(store, alice)).toBeUndefined();
    expect(await depositFault(store, alice, file)).toBeUndefined();
    expect(await depositFault(store, alice, "dev/alice-1/20271121T120000.000Z.roots.age")).toMatch(/lacks dev\/alice-1\/20271121T120000\.000Z\.roots\.age, the newest roots/);
  });
});
