import { cp, copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createHash } from "node:crypto";
import { execa } from "execa";
import type { Hardware } from "./hostHardware.js";
import type { Settings } from "../../formats/settings.js";
import { programsOf } from "./sources.js";

/** What Nix on the host builds from: a tar of `flake/` and `handover/`, the same for the same content, and the id that follows from it. */
export interface Archive {
  readonly id: string;
  readonly tar: Uint8Array;
}

/**
 * @param settings their services decide which programs go along
 * @param hardware the host's own hardware configuration, where it keeps its disks
 */
export async function archiveOf(flake: string, settings: Settings, hardware: Hardware = {}): Promise<Archive> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-sources-"));
  try {
    await cp(flake, join(folder, "flake"), { recursive: true });
    await mkdir(join(folder, "handover"));
    await writeFile(join(folder, "handover", "settings.json"), JSON.stringify(settings));
    for (const [path, text] of Object.entries(hardware)) {
      const file = join(folder, "handover", path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
    }
    for (const [name, program] of Object.entries(programsOf(settings.services))) await copyFile(program, join(folder, "handover", name));
    const { stdout } = await execa("tar", ["--create", "--sort=name", "--mtime=@1", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+rwX,go=rX", "--directory", folder, "flake", "handover"], {
      encoding: "buffer", timeout: 60_000,
    });
    return { id: createHash("sha256").update(stdout).digest("hex").slice(0, 16), tar: stdout };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
