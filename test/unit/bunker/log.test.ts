import { describe, expect, it } from "vitest";
import { createLog, logStyle } from "../../../bunker/log.js";

describe("the log", () => {
  it("has the journal's priorities there, and time and level elsewhere", () => {
    const lines: string[] = [];
    for (const style of ["journal", "plain"] as const) for (const level of ["info", "warn", "error"] as const) createLog(style, (line) => lines.push(line), () => 0)(level, "word");
    expect(lines).toEqual(["<6>word\n", "<4>word\n", "<3>word\n", "1970-01-01T00:00:00.000Z info word\n", "1970-01-01T00:00:00.000Z warn word\n", "1970-01-01T00:00:00.000Z error word\n"]);
  });

  it("makes one line of whatever it is given", () => {
    const lines: string[] = [];
    createLog("journal", (line) => lines.push(line), () => 0)("info", "name\n<3>forged\r\u001b[2J");
    expect(lines).toEqual(["<6>name <3>forged [2J\n"]);
  });

  it("takes stderr for the journal only where it is", () => {
    expect(logStyle(undefined)).toBe("plain");
    expect(logStyle("8:12345")).toBe("plain");
  });
});
