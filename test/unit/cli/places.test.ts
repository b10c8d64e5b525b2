import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { memoryFile, placesOf } from "../../../cli/places.js";

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "holdfast-places-"));
  vi.stubEnv("XDG_RUNTIME_DIR", project);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(project, { recursive: true, force: true });
});

describe("places", () => {
  it("keep an environment's keys in a folder that is this user's alone", () => {
    const { state } = placesOf(project, "dev");
    expect(state).toBe(join(project, ".holdfast", "dev"));
    expect(statSync(state).mode & 0o777).toBe(0o700);
  });

  it("keep what can be built again where HOLDFAST_CACHE says", () => {
    vi.stubEnv("HOLDFAST_CACHE", "/elsewhere");
    expect(placesOf(project, "dev").cache).toBe("/elsewhere");
  });

  it("give each project and environment a file in memory of its own, in a folder that is this user's alone", () => {
    const [dev, prod, other] = [placesOf(project, "dev"), placesOf(project, "prod"), { ...placesOf(project, "dev"), project: "/other" }];
    const files = [dev, prod, other].map((places) => memoryFile(places, "passphrase"));
    expect(new Set(files).size).toBe(3);
    expect(memoryFile(dev, "passphrase")).toBe(files[0]);
    expect(statSync(join(files[0]!, "..")).mode & 0o777).toBe(0o700);
  });
});
