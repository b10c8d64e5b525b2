import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emptyHead, headOf, nextLine, printLine, verifyChain } from "../../../../custody/audit/chain.js";
import { unfinished } from "../../../../custody/audit/deeds.js";
import { auditActions, type AuditEntry, type AuditLine } from "../../../../formats/audit.js";

const entry = fc.record<AuditEntry>({
  action: fc.constantFrom(...auditActions), environment: fc.constantFrom("dev", "prod"), subject: fc.string({ unit: "binary", maxLength: 400 }),
  outcome: fc.constantFrom("begun", "done", "failed"), note: fc.string({ unit: "binary", maxLength: 600 }),
}, { requiredKeys: ["action", "environment", "subject", "outcome"] });

function linesOf(entries: readonly AuditEntry[]): AuditLine[] {
  let head = emptyHead;
  return entries.map((one, index) => {
    const line = nextLine(head, one, { time: new Date(1_790_000_000_000 + index), who: "ada@desk" });
    head = headOf(line);
    return line;
  });
}
const textOf = (lines: readonly AuditLine[]): string => lines.map((line) => `${printLine(line)}\n`).join("");
const log = fc.array(entry, { minLength: 1, maxLength: 6 }).map(linesOf);

describe("an audit log's chain", () => {
  it("is whole for whatever was recorded", () => {
    fc.assert(fc.property(log, (lines) => {
      expect(verifyChain(textOf(lines), lines.map(headOf))).toEqual({ lines, head: headOf(lines.at(-1)!) });
    }));
  });

  it("shows any changed, added or removed character, and keeps the lines before it", () => {
    fc.assert(fc.property(log, fc.nat(), fc.constantFrom("", "x", "0", " ", "\n", "\0"), fc.constantFrom(0, 1), (lines, at, put, removed) => {
      const text = textOf(lines);
      const index = at % text.length;
      const changed = text.slice(0, index) + put + text.slice(index + removed);
      // Spaces behind a line are padding, and a last newline may be missing.
      fc.pre(changed.replaceAll(/ +\n/g, "\n").trimEnd() !== text.trimEnd());
      const { fault, torn, lines: kept } = verifyChain(changed, [headOf(lines.at(-1)!)]);
      expect(fault, changed).toBeDefined();
      expect(torn ?? 0).toBeLessThanOrEqual(Buffer.byteLength(changed) - Buffer.byteLength(textOf(kept)));
      expect(kept).toEqual(lines.slice(0, kept.length));
    }), { numRuns: 300 });
  });

  it("shows lines that were swapped, repeated or left out", () => {
    fc.assert(fc.property(fc.array(entry, { minLength: 3, maxLength: 8 }).map(linesOf), fc.nat(), fc.nat(), (lines, one, other) => {
      const [a, b] = [one % lines.length, other % (lines.length - 1)];
      const without = lines.filter((_, index) => index !== b);
      expect(verifyChain(textOf(without)).fault).toBeDefined();
      expect(verifyChain(textOf([...lines.slice(0, a + 1), lines[a]!, ...lines.slice(a + 1)])).fault).toBeDefined();
      fc.pre(a !== b);
      const swapped = lines.map((line, index) => (index === a ? lines[b]! : index === b ? lines[a]! : line));
      expect(verifyChain(textOf(swapped)).fault).toMatch(/^line \d+ has number \d+/);
    }));
  });

  it("is found cut by any end that was noted elsewhere", () => {
    fc.assert(fc.property(fc.array(entry, { minLength: 2, maxLength: 8 }).map(linesOf), fc.nat(), (lines, at) => {
      const kept = at % lines.length;
      expect(verifyChain(textOf(lines.slice(0, kept))).fault).toBeUndefined();
      expect(verifyChain(textOf(lines.slice(0, kept)), [headOf(lines.at(-1)!)]).fault).toBe(`the log ends after line ${kept}, and once had ${lines.length}: its end was cut off.`);
    }));
  });

  it("is found rewritten, though each of its lines follows on the last", () => {
    const lines = linesOf([{ action: "wallet-unlocked", environment: "prod", subject: "alice", outcome: "done" }, { action: "wallet-locked", environment: "prod", subject: "alice", outcome: "done" }]);
    const forged = linesOf([{ action: "wallet-unlocked", environment: "prod", subject: "bob", outcome: "done" }, { action: "wallet-locked", environment: "prod", subject: "alice", outcome: "done" }]);
    expect(verifyChain(textOf(forged)).fault).toBeUndefined();
    expect(verifyChain(textOf(forged), [headOf(lines[0]!)]).fault).toBe("line 1 is another than the one that was noted elsewhere.");
  });

  it("tells an unfinished last line from a fault, and a whole one that only lacks its newline from both", () => {
    const lines = linesOf([{ action: "age-rotated", environment: "dev", subject: "environment", outcome: "begun" }, { action: "age-rotated", environment: "dev", subject: "environment", outcome: "done" }]);
    const text = textOf(lines);
    expect(verifyChain(text.slice(0, -1)).lines).toEqual(lines);
    expect(verifyChain(text.slice(0, -40))).toMatchObject({ head: headOf(lines[0]!), torn: printLine(lines[1]!).length - 39 });
    expect(verifyChain(text.slice(0, -40)).fault).toBeUndefined();
    expect(verifyChain(text.slice(0, -40), [headOf(lines[1]!)]).fault).toContain("its end was cut off");
  });

  it("takes words that are too long for a line, clipped", () => {
    const [line] = linesOf([{ action: "ssh-rotated", environment: "dev", subject: "s".repeat(5000), outcome: "failed", note: "n".repeat(5000) }]);
    expect([line!.subject.length, line!.note!.length]).toEqual([300, 500]);
    expect(verifyChain(textOf([line!])).fault).toBeUndefined();
  });
});

describe("a deed", () => {
  const deed = (subject: string, outcome: AuditEntry["outcome"]): AuditEntry => ({ action: "secret-rotated", environment: "dev", subject, outcome });

  it("is unfinished when nothing followed its beginning", () => {
    const lines = linesOf([deed("a", "begun"), deed("b", "begun"), deed("a", "done"), deed("c", "begun"), deed("c", "failed")]);
    expect(unfinished(lines).map(({ sequence }) => sequence)).toEqual([2]);
  });

  it("that was cut short stays so when it is begun again and done", () => {
    expect(unfinished(linesOf([deed("a", "begun"), deed("a", "begun"), deed("a", "done")])).map(({ sequence }) => sequence)).toEqual([1]);
  });

  it("that has no beginning is no fault", () => {
    expect(unfinished(linesOf([deed("a", "done"), deed("a", "begun"), deed("a", "done")]))).toEqual([]);
  });
});
