import { describe, expect, it } from "vitest";
import { attempt, ProgramFailure, run, until } from "../../../rehearsal/run.js";

describe("run", () => {
  it("gives stdout, and takes input through stdin", async () => expect(await run(["cat"], { input: "in" })).toBe("in"));
  it("names the command and what it said when it fails, and never its input", async () => {
    const failure = await run(["sh", "-c", "cat >/dev/null; echo no luck >&2; exit 3"], { input: "secret" }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ProgramFailure);
    expect(String(failure)).toContain("(exit 3): no luck");
    expect(JSON.stringify(failure) + String(failure)).not.toContain("secret");
  });
  it("ends a program at its deadline", async () => {
    await expect(run(["sleep", "30"], { deadline: 50 })).rejects.toThrow('"sleep 30" failed (not finished in time)');
  });
  it("ends one whose child holds its output, too", async () => {
    await expect(run(["sh", "-c", "sleep 30 & wait"], { deadline: 100 })).rejects.toThrow("not finished in time");
    await expect(run(["sh", "-c", "sleep 30 & wait"], { deadline: 100, onLine: () => undefined })).rejects.toThrow("not finished in time");
  });
  it("says so when the program is not there", async () => {
    await expect(run(["no-such-program"])).rejects.toThrow("there is no no-such-program on this machine");
  });
  it("gives each line of stderr as it comes, also of a program that fails", async () => {
    const lines: string[] = [];
    expect((await attempt(["sh", "-c", "echo one >&2; echo two >&2; exit 1"], { onLine: (line) => lines.push(line) })).exitCode).toBe(1);
    expect(lines).toEqual(["one", "two"]);
  });
});

describe("until", () => {
  it("tells whether the condition held in time", async () => {
    let asked = 0;
    expect(await until(() => ++asked === 3, 1_000, 1)).toBe(true);
    expect(await until(() => false, 20, 5)).toBe(false);
  });
});
