import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { nixFolder, sources } from "./evaluate.js";

export const exampleHandover = join(nixFolder, "example");

/** What flake.nix makes of a handover, with stand-ins for its inputs: nix/checks/flakeOutputs.nix. */
export async function outputsOf(handover: string, part: "systems" | "checks" = "systems"): Promise<unknown> {
  const { stdout } = await execa("nix-instantiate", [
    "--eval", "--strict", "--json", "--readonly-mode", join(nixFolder, "checks/flakeOutputs.nix"), "--attr", part,
    "--arg", "lib", sources.library, "--arg", "nixBitcoin", sources.nixBitcoin, "--arg", "handover", handover,
  ], { timeout: 30_000, stdin: "ignore" });
  return JSON.parse(stdout);
}

/** Works with a copy of the example's handover, changed. */
export async function withHandover<T>(change: (folder: string) => Promise<void>, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-handover-"));
  try {
    await cp(exampleHandover, folder, { recursive: true });
    await change(folder);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
