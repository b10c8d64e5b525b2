import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nixFolder, nixTools } from "./evaluate.js";

const project = dirname(nixFolder);

/** What reads every Nix file of ours, where it is installed. `fault` is what it must not let pass. */
const tools = [
  { program: "nixfmt", argv: ["--check"], from: "the crate nixfmt_rs", clean: "is formatted as nixpkgs is", fault: "{a=1;}\n", says: /not formatted/ },
  { program: "statix", argv: ["check", "--config", join(project, "statix.toml"), "--format", "errfmt"], from: "github.com/oppiliappan/statix; the crate of that name is another program", clean: "says nothing in a roundabout way", fault: "{ x = let in 1; }\n", says: /This let-in expression has no entries/ },
  { program: "deadnix", argv: ["--fail", "--output-format", "json"], from: "the crate deadnix", clean: "declares nothing that it does not use", fault: "let unused = 1; in 2\n", says: /Unused let binding: unused/ },
] as const;

function announceAway({ program, from }: (typeof tools)[number]): boolean {
  const away = !existsSync(join(nixTools, program));
  if (away) process.stderr.write(`No Nix file is read by ${program} here: there is no ${join(nixTools, program)} (${from}).\n`);
  return away;
}

let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), "holdfast-style-")); });
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(tools)("to $program,", (tool) => {
  const away = announceAway(tool);
  /** What it found below a folder; nothing when it is content. */
  const found = async (below: string): Promise<string> => {
    const { exitCode, all } = await execa(join(nixTools, tool.program), [...tool.argv, below], { timeout: 30_000, stdin: "ignore", reject: false, all: true });
    return exitCode === 0 ? "" : all || `exit ${exitCode}`;
  };

  it.skipIf(away).each(["nix", "rehearsal", "test"])(`every Nix file of %s/ ${tool.clean}`, async (below) => {
    expect(await found(join(project, below))).toBe("");
  });

  it.skipIf(away)("a file that is otherwise is a fault", async () => {
    writeFileSync(join(folder, "faulty.nix"), tool.fault);
    expect(await found(folder)).toMatch(tool.says);
  });
});
