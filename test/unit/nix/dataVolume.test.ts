import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync, writeSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { z } from "zod";
import type { settingsSchema } from "../../../formats/settings.js";
import { announceMissing, evaluate, nixFolder } from "./evaluate.js";

const example = JSON.parse(readFileSync(join(nixFolder, "example/settings.json"), "utf8")) as z.input<typeof settingsSchema>;
const folder = mkdtempSync(join(tmpdir(), "holdfast-volume-"));
const device = join(folder, "device");
let script: string;

/** Real programs that look; those that would change a device or a mount only note that they were called. */
beforeAll(async () => {
  if (announceMissing() !== undefined) return;
  const evaluated = await evaluate({ ...example, nixos: { ...example.nixos, disks: { layout: "kept" }, dataVolume: "/dev/disk/by-id/data" } });
  script = evaluated.units["holdfast-data-volume.service"]!.script!.replaceAll("/dev/disk/by-id/data", device).replaceAll("/dev/mapper/holdfast-data", join(folder, "opened"));
  for (const name of ["head", "tr", "wc"]) symlinkSync(execFileSync("which", [name]).toString().trim(), join(folder, name));
  symlinkSync(execFileSync("sh", ["-c", "PATH=$PATH:/sbin:/usr/sbin command -v wipefs"]).toString().trim(), join(folder, "wipefs"));
  for (const name of ["cryptsetup", "blkid", "mkfs.ext4", "mkdir", "mountpoint", "mount", "chown", "chmod"]) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >> ${folder}/called\n${name === "cryptsetup" ? `[ "$1" != isLuks ] || exit $(/bin/cat ${folder}/is-luks)` : name === "blkid" ? `exit $(/bin/cat ${folder}/is-inside)` : ""}\n`);
    chmodSync(join(folder, name), 0o755);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const MEBIBYTE = 1024 * 1024;
/** A device of 64 MiB with these bytes at these places. @param luks what `cryptsetup isLuks` exits with @param inside what `blkid` says of what is inside: 2 for nothing */
function volume(bytes: readonly (readonly [number, string])[], { luks, inside }: { readonly luks: 0 | 1; readonly inside: 0 | 2 }): void {
  rmSync(device, { force: true });
  writeFileSync(device, "");
  truncateSync(device, 64 * MEBIBYTE);
  const file = openSync(device, "r+");
  for (const [at, text] of bytes) writeSync(file, Buffer.from(text, "latin1"), 0, undefined, at);
  closeSync(file);
  writeFileSync(join(folder, "is-luks"), String(luks));
  writeFileSync(join(folder, "is-inside"), String(inside));
}
function run(): { readonly status: number | null; readonly said: string; readonly called: string[] } {
  const { status, stderr } = spawnSync("/bin/bash", ["-euo", "pipefail", "-c", script], { env: { PATH: folder }, timeout: 15_000 });
  const called = existsSync(join(folder, "called")) ? readFileSync(join(folder, "called"), "utf8").trim().split("\n") : [];
  return { status, said: stderr.toString(), called };
}
const digest = (): string => createHash("sha256").update(readFileSync(device)).digest("hex");
const changing = (called: readonly string[]): string[] => called.filter((line) => /^(cryptsetup luksFormat|mkfs)/.test(line)).map((line) => line.split(" ").slice(0, 2).join(" "));

describe.skipIf(announceMissing())("the data volume", () => {
  beforeEach(() => rmSync(join(folder, "called"), { force: true }));

  it("that is empty becomes the node's", () => {
    volume([], { luks: 1, inside: 2 });
    const { status, said, called } = run();
    expect(status, said).toBe(0);
    expect(changing(called)).toEqual(["cryptsetup luksFormat", "mkfs.ext4 -q"]);
  });

  it("that is the node's already is opened, and never formatted", () => {
    volume([], { luks: 0, inside: 0 });
    const { status, said, called } = run();
    expect(status, said).toBe(0);
    expect(changing(called)).toEqual([]);
    expect(called.some((line) => line.startsWith("cryptsetup open "))).toBe(true);
  });

  it.each<[string, [number, string][]]>([
    ["a file system", [[1024 + 56, "\x53\xef"]]],
    ["a partition table", [[510, "\x55\xaa"], [446 + 4, "\x83"], [446 + 8, "\x01"], [446 + 12, "\x10"]]],
    ["something that nobody knows, at its beginning", [[0, "x"]]],
    ["something that nobody knows, at the end of its first 16 MiB", [[16 * MEBIBYTE - 1, "x"]]],
  ])("that holds %s stays as it is", (_, bytes) => {
    volume(bytes, { luks: 1, inside: 2 });
    const before = digest();
    const { status, said, called } = run();
    expect(status).toBe(1);
    expect(said).toContain("is neither empty nor a LUKS volume");
    expect(said).toContain("name another as nixos.dataVolume");
    expect(changing(called)).toEqual([]);
    expect(digest()).toBe(before);
  });
});
