import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { archiveOf } from "../../../../components/system/installationArchive.js";
import { programsOf, sourcesDigest } from "../../../../components/system/sources.js";
import type { Service } from "../../../../formats/services.js";
import { stackNode } from "../../nix/stackNode.js";

const plain: readonly Service[] = ["bitcoind", "lnd"];
const signing: readonly Service[] = [...plain, "bunker"];
const before = process.cwd();
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-sources-"));
  for (const path of ["dist", "flake"]) mkdirSync(join(folder, path));
  for (const [path, text] of [["dist/agent.mjs", "agent"], ["dist/bunker.mjs", "bunker"], ["flake/flake.nix", "{ }"]] as const) writeFileSync(join(folder, path), text);
  process.chdir(folder);
});
afterEach(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

describe("the sources of a node", () => {
  it("have the bunker's program where the node has a bunker, and nowhere else", async () => {
    expect([programsOf(plain), programsOf(signing)].map((programs) => Object.keys(programs))).toEqual([["agent.mjs"], ["agent.mjs", "bunker.mjs"]]);
    for (const [services, files] of [[plain, ["agent.mjs", "settings.json"]], [signing, ["agent.mjs", "bunker.mjs", "settings.json"]]] as const) {
      const { tar } = await archiveOf("flake", { ...stackNode(), services: [...services] });
      const listed = execaSync("tar", ["--list"], { input: Buffer.from(tar) }).stdout.split("\n").filter((path) => /^handover\/./.test(path));
      expect(listed).toEqual(files.map((file) => `handover/${file}`));
    }
  });

  it("are other ones when the bunker's program changes, for such nodes alone", () => {
    const digests = () => [plain, signing].map((services) => sourcesDigest("flake", services));
    const [one, other] = digests();
    expect(one).not.toBe(other);
    writeFileSync(join(folder, "dist/bunker.mjs"), "another bunker");
    const [same, changed] = digests();
    expect(same).toBe(one);
    expect(changed).not.toBe(other);
  });
});
