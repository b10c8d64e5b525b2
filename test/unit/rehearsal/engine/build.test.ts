import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { builtModules, folderOf } from "../../../../rehearsal/engine/built.js";
import { buildArguments } from "../../../../rehearsal/engine/gomodule.js";
import { ENGINE_MODULES, PLUGINS } from "../../../../rehearsal/engine/versions.js";
import { DAEMON_MODULES, requiredVersion } from "../../../../rehearsal/system/daemons/daemons.js";

describe("buildArguments", () => {
  it("are the same for everybody, so that the same sources give the same binary", () => {
    expect(buildArguments({ name: "lnd", folder: "/m", packages: ["a/lnd", "a/lncli"], tags: "x y", ldflags: "-X a.b=c" }, "/out")).toEqual(
      ["go", "build", "-v", "-trimpath", "-tags", "x y", "-ldflags", "-s -w -X a.b=c", "-o", "/out/", "a/lnd", "a/lncli"]);
    expect(buildArguments({ name: "one", folder: "/m", packages: ["."] }, "/out")).toEqual(["go", "build", "-v", "-trimpath", "-ldflags", "-s -w", "-o", "/out/", "."]);
  });
});

describe("the modules", () => {
  it("are there with their sums, and each plugin has the version of its npm package", () => {
    for (const { folder } of [...ENGINE_MODULES, ...PLUGINS.map((plugin) => plugin.module), ...DAEMON_MODULES]) {
      expect([existsSync(join(folder, "go.mod")), existsSync(join(folder, "go.sum"))], folder).toEqual([true, true]);
    }
    const { dependencies } = JSON.parse(readFileSync("package.json", "utf8")) as { dependencies: Record<string, string> };
    for (const { name, version } of PLUGINS) expect(dependencies[`@pulumi/${name}`], name).toBe(version);
  });

  it("name every version that versions.json will give", () => {
    for (const { folder, packages } of DAEMON_MODULES) {
      const goMod = readFileSync(join(folder, "go.mod"), "utf8");
      for (const one of packages) expect(requiredVersion(goMod, one)).toMatch(/^v\d+\.\d+\.\d+/);
    }
    expect(requiredVersion("require (\n\ta.b/c v1.0.0\n\ta.b/c/d v2.0.0 // indirect\n)", "a.b/c/d/cmd/e")).toBe("v2.0.0");
    expect(() => requiredVersion("module x", "a.b/c")).toThrow("go get -tool a.b/c@VERSION");
  });
});

describe("builtModules", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-module-"));
    mkdirSync(join(folder, "source", "cmd", "greet"), { recursive: true });
    writeFileSync(join(folder, "source", "go.mod"), "module greet.example\n\ngo 1.26\n");
    writeFileSync(join(folder, "source", "cmd", "greet", "main.go"), 'package main\n\nfunc main() { println("hello") }\n');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const module = () => ({ name: "greet", folder: join(folder, "source"), packages: ["./cmd/greet"] });

  it("builds once, then finds it; says what it does", async () => {
    const lines: string[] = [];
    const options = { cache: join(folder, "cache"), report: (line: string) => lines.push(line) };
    const [built] = await builtModules([module()], options);
    expect(existsSync(join(built!, "greet"))).toBe(true);
    expect(lines[0]).toBe("to build, once: greet");
    lines.length = 0;
    expect(await builtModules([module()], options)).toEqual([built]);
    expect(lines).toEqual([]);
    expect(await folderOf(module(), options.cache, undefined)).toBe(built);
  });

  it("leaves nothing of a build that fails and repeats what Go said", async () => {
    writeFileSync(join(folder, "source", "cmd", "greet", "main.go"), "package main\n\nfunc main() { nonsense() }\n");
    await expect(builtModules([module()], { cache: join(folder, "cache"), report: () => undefined })).rejects.toThrow("undefined: nonsense");
    expect(readdirSync(join(folder, "cache", "modules"))).toEqual([]);
  });
});
