import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const project = join(import.meta.dirname, "../../..");
const text = readFileSync(join(project, "docs/threat-model.md"), "utf8");
const part = (title: string): string[] => text.split(/^## /m).find((one) => one.startsWith(title))!.split("\n");
const cellsOf = (line: string): string[] => line.split("|").slice(1, -1).map((cell) => cell.trim());
const rows = (title: string): string[][] => part(title).filter((line) => line.startsWith("|")).slice(2).map(cellsOf);

const tests = rows("The tests").map(([letter, file, title]) => ({ letter: letter!, file: file!, title: title! }));
const compromises = rows("What each compromise gives").map((cells) => ({ what: cells[0]!, cells, letters: cells.at(-1)!.split(" ") }));
const named = [...compromises.flatMap(({ letters }) => letters), ...part("Who is trusted").join("\n").matchAll(/\b[A-Z]\d\b/g)].map(String);

describe("the threat model", () => {
  it.each(tests)("names a test that there is: $letter", ({ file, title }) => {
    expect(existsSync(join(project, file)), file).toBe(true);
    // As it stands in a call of `it`, in either kind of quotes.
    expect([`"${title}"`, `\`${title}\``].some((quoted) => readFileSync(join(project, file), "utf8").includes(`(${quoted},`)), `${file}: ${title}`).toBe(true);
  });

  it.each(compromises)("says of $what what it gives, what limits it, what to do, and what shows it", ({ cells, letters }) => {
    expect(cells).toHaveLength(5);
    for (const cell of cells) expect(cell).not.toBe("");
    for (const letter of letters) expect(tests.map((one) => one.letter)).toContain(letter);
  });

  it("names no test that shows nothing, and none twice", () => {
    expect(tests.map(({ letter }) => letter).filter((letter) => !named.includes(letter))).toEqual([]);
    expect(new Set(tests.map(({ letter }) => letter)).size).toBe(tests.length);
    expect(new Set(tests.map(({ file, title }) => `${file} ${title}`)).size).toBe(tests.length);
  });

  it("has a line for everything that can fall", () => {
    for (const what of ["node root", "secrets directory", "seed", "Nix store", "deploy machine, unlocked", "deploy machine, locked", "deploy machine, lost", "state backend", "environment identity", "recovery identity",
      "wallet identity", "wallet socket", "k - 1 trustees", "k trustees", "backup store", "deposit folder", "repository", "a peer's phone"]) {
      expect(compromises.some((one) => one.what.startsWith(what)), what).toBe(true);
    }
  });

  it("is what SECURITY.md points at", () => {
    expect(readFileSync(join(project, "SECURITY.md"), "utf8")).toContain("(docs/threat-model.md)");
  });
});
