import { describe, expect, it } from "vitest";
import { table } from "../../../cli/table.js";

describe("a table", () => {
  it("aligns columns two spaces apart, and leaves no space at the end of a line", () => {
    expect(table([["NAME", "STATE"], ["alice", "open"], ["b", ""]])).toBe("NAME   STATE\nalice  open\nb");
  });

  it("takes rows of different lengths", () => {
    expect(table([["a", "b", "c"], ["long"]])).toBe("a     b  c\nlong");
    expect(table([])).toBe("");
  });
});
