import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensurePrograms, pinnedVersions } from "../../../../rehearsal/system/programs.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-programs-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const system = new URL("../../../../rehearsal/system", import.meta.url).pathname;

async function daemons(versions: { lnd?: string } = {}): Promise<string> {
  const pinned = await pinnedVersions(system);
  const into = join(folder, "daemons");
  mkdirSync(into, { recursive: true });
  for (const [name, version] of Object.entries({ lnd: versions.lnd ?? pinned.lnd, lncli: "", btcd: `${pinned.btcd}-beta`, btcctl: "" })) {
    writeFileSync(join(into, name), `#!/bin/sh\necho "${name} version ${version}"\n`);
    chmodSync(join(into, name), 0o755);
  }
  return into;
}
const ensure = async (daemonsFolder: string): Promise<string> => (await ensurePrograms({ cache: join(folder, "cache"), daemonsFolder, report: () => {} })).folder;

describe("the machines' programs", () => {
  it("are gathered once, with the versions that the flake pins", async () => {
    const from = await daemons();
    const into = await ensure(from);
    expect(readdirSync(into).sort()).toEqual(["btcctl", "btcd", "lncli", "lnd", "node", "versions.json"]);
    expect(JSON.parse(readFileSync(join(into, "versions.json"), "utf8"))).toEqual(await pinnedVersions(system));
    expect(await ensure(from)).toBe(into);
    expect(readdirSync(join(folder, "cache/programs"))).toHaveLength(1);
  });
  it("are gathered anew from daemons that were built again", async () => {
    const from = await daemons();
    const into = await ensure(from);
    utimesSync(join(from, "lnd"), 1, 1);
    expect(await ensure(from)).not.toBe(into);
  });
  it("are refused when a daemon is missing, by its name", async () => {
    const from = await daemons();
    rmSync(join(from, "btcctl"));
    await expect(ensure(from)).rejects.toThrow(/btcctl not found in .*build the daemons first/);
  });
  it("are refused when lnd is not what go.mod pins, and nothing is left", async () => {
    await expect(ensure(await daemons({ lnd: "0.1.0" }))).rejects.toThrow(/version 0\.1\.0.*build the daemons again/);
    expect(existsSync(join(folder, "cache/programs"))).toBe(false);
  });
});
