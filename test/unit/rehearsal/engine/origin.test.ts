import { describe, expect, it } from "vitest";
import { chooseOrigin, type Circumstances } from "../../../../rehearsal/engine/origin.js";
import { releaseName } from "../../../../rehearsal/engine/platform.js";
import { isAtLeast } from "../../../../rehearsal/engine/version.js";
import { goComplaint } from "../../../../rehearsal/engine/go.js";

const onPath = { version: "3.250.0", languageHost: "there", missingPlugins: [] } as const;
const offline: Circumstances = { onPath: undefined, releases: "unreachable", platform: "linux-x64" };
const online: Circumstances = { ...offline, releases: "reachable" };

describe("chooseOrigin", () => {
  it.each<[string, Circumstances, string]>([
    ["takes a recent Pulumi with its plugins from the PATH, network or not", { ...offline, onPath }, "path"],
    ["takes it when its plugins can be downloaded", { ...online, onPath: { ...onPath, missingPlugins: ["command"] } }, "path"],
    ["passes it over when they cannot", { ...offline, onPath: { ...onPath, missingPlugins: ["command"] } }, "modules"],
    ["passes over one that is too old", { ...online, onPath: { ...onPath, version: "3.99.0" } }, "official"],
    ["passes over one without a language host", { ...online, onPath: { ...onPath, languageHost: "missing" } }, "official"],
    ["downloads the release when there is none", online, "official"],
    ["builds where nothing is published for the platform", { ...online, platform: undefined }, "modules"],
    ["builds where the download host does not answer", offline, "modules"],
  ])("%s", (_, circumstances, origin) => {
    expect(chooseOrigin(circumstances).origin).toBe(origin);
  });

  it("says what was wrong with everything it has passed over", () => {
    expect(chooseOrigin({ ...offline, onPath: { ...onPath, version: "3.99.0" } }).because)
      .toBe("the Pulumi on the PATH is 3.99.0, older than 3.250.0, and Pulumi's download host does not answer");
  });
});

describe("isAtLeast", () => {
  it.each([["3.250.0", "3.250.0", true], ["v3.251.0", "3.250.0", true], ["3.99.0", "3.250.0", false], ["4.0.0", "3.250.0", true], ["go1.26.8", "1.26", true], ["go1.9", "1.26", false], ["devel", "1.26", false]])(
    "%s against %s: %s", (version, oldest, wanted) => {
      expect(isAtLeast(version, oldest)).toBe(wanted);
    });
});

describe("releaseName", () => {
  it("knows the platforms that Pulumi publishes for and no others", () => {
    expect([releaseName("linux", "x64"), releaseName("linux", "arm64"), releaseName("darwin", "arm64")]).toEqual(["linux-x64", "linux-arm64", "darwin-arm64"]);
    expect([releaseName("freebsd", "x64"), releaseName("linux", "riscv64")]).toEqual([undefined, undefined]);
  });
});

describe("goComplaint", () => {
  it("names the remedy when Go is missing or too old, and lets a Go that updates itself do so", () => {
    expect(goComplaint(undefined, "auto")).toMatch(/no `go` on the PATH: install Go 1\.26/);
    expect(goComplaint("go1.19", "")).toMatch(/is go1\.19: install Go 1\.26/);
    expect(goComplaint("go1.24.1", "local")).toMatch(/GOTOOLCHAIN=local/);
    expect(goComplaint("go1.24.1", "auto")).toBeUndefined();
    expect(goComplaint("go1.26.8", "local")).toBeUndefined();
  });
});
