import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { depositFolderFault } from "../../../../custody/deposit/place.js";
import { exportName, exportTime, folderStore } from "../../../../custody/deposit/store.js";

const alice = { environment: "dev", node: "alice-1" };
let folder: string;
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), "holdfast-deposit-")); });
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("a folder of exports", () => {
  it("keeps each below its environment and node, this user's alone", async () => {
    const store = folderStore(folder);
    const name = exportName(new Date("2026-11-21T12:20:06.745Z"));
    await store.write(alice, name, "sealed");
    const path = join(folder, "dev", "alice-1", "20261121T122006.745Z.roots.age");
    expect(readFileSync(path, "utf8")).toBe("sealed");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "dev")).mode & 0o777).toBe(0o700);
    expect(await store.read(alice, name)).toBe("sealed");
  });

  it("lists a node's own, oldest first, and nothing that is none or was never finished", async () => {
    const store = folderStore(folder);
    expect(await store.list(alice)).toEqual([]);
    const [early, late] = [exportName(new Date("2026-09-30T23:59:59.999Z")), exportName(new Date("2026-10-01T00:00:00.000Z"))];
    await store.write(alice, late, "2");
    await store.write(alice, early, "1");
    await store.write({ ...alice, node: "bob" }, late, "3");
    writeFileSync(join(folder, "dev", "alice-1", "notes.txt"), "");
    writeFileSync(join(folder, "dev", "alice-1", `${late}.77.new`), "half");
    expect(await store.list(alice)).toEqual([early, late]);
  });

  it("clears what a writer left that was killed, and overwrites no export", async () => {
    const store = folderStore(folder);
    const name = exportName(new Date());
    mkdirSync(join(folder, "dev", "alice-1"), { recursive: true });
    writeFileSync(join(folder, "dev", "alice-1", `${name}.77.new`), "half");
    await store.write(alice, name, "1");
    await expect(store.write(alice, name, "2")).rejects.toThrow(/is there already/);
    expect(readdirSync(join(folder, "dev", "alice-1"))).toEqual([name]);
    expect(await store.read(alice, name)).toBe("1");
  });

  it("gives an export's time back from its name", () => {
    const time = new Date("2026-11-21T12:20:06.745Z");
    expect(exportTime(exportName(time))).toEqual(time);
    expect(() => exportTime("notes.txt")).toThrow("notes.txt is not the name of an export");
  });
});

describe("the place of the deposit", () => {
  const project = (): string => {
    const path = join(folder, "project");
    mkdirSync(join(path, ".holdfast", "dev"), { recursive: true });
    return path;
  };

  it("may be a folder of the project that is still to be made, or one elsewhere that is there", () => {
    expect(depositFolderFault(project(), "deposit/dev")).toBeUndefined();
    expect(depositFolderFault(project(), folder)).toBeUndefined();
  });

  it("is not made elsewhere: a share that is away must not go unnoticed", () => {
    expect(depositFolderFault(project(), join(folder, "share", "deposit"))).toMatch(/is not there; mount what holds it/);
  });

  it.each([[".holdfast"], [".holdfast/dev/deposit"], ["deposit/../.holdfast/x"]])("is not %s, which is lost with the machine", (path) => {
    expect(depositFolderFault(project(), path)).toMatch(/lies inside \.holdfast, .*wants a folder that outlives it/);
  });

  it("is not a link into .holdfast either", () => {
    const path = project();
    symlinkSync(join(path, ".holdfast"), join(path, "away"));
    expect(depositFolderFault(path, "away/deposit")).toMatch(/lies inside \.holdfast/);
  });

  it("is not a file, and not below one", () => {
    writeFileSync(join(folder, "file"), "");
    expect(depositFolderFault(project(), join(folder, "file"))).toMatch(/which is a file; wants a folder/);
    expect(depositFolderFault(project(), join(folder, "file", "deposit"))).toMatch(/which is a file; wants a folder/);
  });

  it.runIf(process.getuid?.() === 0)("is not one that cannot be written", () => {
    expect(depositFolderFault(project(), "/proc/1")).toMatch(/cannot be written \(E\w+ at \/proc\/1\); wants a folder that this user may write/);
  });
});
