import fc from "fast-check";
import { copyFileSync, existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import type { Deed } from "../../../../bunker/model.js";
import { openStore } from "../../../../bunker/store/open.js";
import type { Store } from "../../../../bunker/store/store.js";
import { dataFolder, publicKey } from "./folder.js";

const { open, path } = dataFolder();
const deedOf = (number: number): Deed => ({
  action: "sign_event", who: publicKey("c"), outcome: "allowed", kind: number,
  ...(number % 2 === 0 ? { keyName: "alice", contentHash: "0".repeat(64) } : { note: `number ${number}`, counterparty: publicKey("d") }),
});
const LINES = 12;

/** A log as it was written: once, and then copied into place for each round. */
function written(): void {
  const pristine = `${path()}.pristine`;
  if (existsSync(pristine)) return copyFileSync(pristine, path());
  const store = open();
  store.atomically(() => {
    for (let number = 1; number <= LINES; number++) store.audit.append(deedOf(number), number);
  });
  store.close();
  copyFileSync(path(), pristine);
}

/** What the chain's follower says after somebody went at the file. */
function verifyAfter(tamper: (database: DatabaseSync) => void): ReturnType<Store["audit"]["verify"]> {
  const database = new DatabaseSync(path());
  database.exec("PRAGMA synchronous = OFF; BEGIN");
  tamper(database);
  database.exec("COMMIT");
  database.close();
  const store = openStore(path(), () => 0);
  try {
    return store.audit.verify();
  } finally {
    store.close();
  }
}

describe("the audit chain", () => {
  it("holds for what was written, across openings", () => {
    written();
    const store = open();
    const line = store.audit.append({ action: "lock", who: "operator", outcome: "allowed" }, 99);
    expect(line.previous).toBe(store.audit.hashAt(LINES));
    expect(store.audit.verify()).toEqual({ lines: LINES + 1 });
    expect(store.audit.head()).toEqual({ sequence: LINES + 1, hash: line.hash });
  });

  it("holds for any text that a client can bring about", () => {
    const store = open();
    store.atomically(() => fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 700 }), fc.string({ unit: "binary" }), (note, action) => {
      store.audit.append({ action: `${action}\0\ud800`, who: publicKey("c"), outcome: "refused", note: `${note}\udfff` }, 1);
    }), { numRuns: 100 }));
    expect(store.audit.verify()).toEqual({ lines: 100 });
  });

  const columns = ["sequence", "time", "action", "who", "key_name", "kind", "counterparty", "outcome", "note", "content_hash", "previous", "hash"] as const;
  const isNumber = (column: string): boolean => ["sequence", "time", "kind"].includes(column);

  it("finds any changed value", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: LINES }), fc.constantFrom(...columns), fc.integer({ min: -5, max: 1 << 30 }), fc.string(), (line, column, number, text) => {
      written();
      let changed = 0;
      const { fault } = verifyAfter((database) => {
        const value = isNumber(column) ? number : text.replaceAll("\0", "");
        changed = Number(database.prepare(`UPDATE OR IGNORE audit SET ${column} = ? WHERE sequence = ? AND ${column} IS NOT ?`).run(value, line, value).changes);
      });
      expect(fault !== undefined).toBe(changed > 0);
    }), { numRuns: 60 });
  });

  it("finds any removed line, the last ones too, and where a value was taken away", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: LINES }), fc.integer({ min: 1, max: LINES }), fc.boolean(), (from, count, closeUp) => {
      written();
      const { fault } = verifyAfter((database) => {
        database.prepare("DELETE FROM audit WHERE sequence >= ? AND sequence < ?").run(from, from + count);
        if (closeUp) for (let line = from + count; line <= LINES; line++) database.prepare("UPDATE audit SET sequence = ? WHERE sequence = ?").run(line - count, line);
      });
      expect(fault).toBeDefined();
    }), { numRuns: 40 });
    written();
    expect(verifyAfter((database) => database.exec("UPDATE audit SET note = NULL WHERE sequence = 3")).fault).toBe("line 3 is not what was written: its hash is another.");
  });

  it("finds any line that was put in, whatever hashes it brings", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: LINES + 1 }), fc.integer({ min: 1, max: LINES }), (place, like) => {
      written();
      const { fault } = verifyAfter((database) => {
        for (let line = LINES; line >= place; line--) database.prepare("UPDATE audit SET sequence = ? WHERE sequence = ?").run(line + 1, line);
        database.prepare(`INSERT INTO audit SELECT ?, time, action, who, key_name, kind, counterparty, outcome, note, content_hash, previous, hash
          FROM audit WHERE sequence = ?`).run(place, like < place ? like : like + 1);
      });
      expect(fault).toBeDefined();
    }), { numRuns: 40 });
  });

  it("names the first fault in words", () => {
    written();
    expect(verifyAfter((database) => database.exec("UPDATE audit SET action = 'ping' WHERE sequence IN (5, 7)"))).toEqual({ lines: 4, fault: "line 5 is not what was written: its hash is another." });
    expect(verifyAfter((database) => database.exec("DELETE FROM audit WHERE sequence = 4"))).toMatchObject({ lines: 3, fault: expect.stringContaining("line 5 stands where line 4 was to come") });
  });

  it("is asked by key, by who, since a time, after a line and the last ones", () => {
    written();
    const { audit } = open();
    const numbers = (filter: Parameters<Store["audit"]["query"]>[0]): number[] => audit.query(filter).map(({ sequence }) => sequence);
    expect(numbers({ keyName: "alice" })).toEqual([2, 4, 6, 8, 10, 12]);
    expect(numbers({ who: "nobody" })).toEqual([]);
    expect(numbers({ since: 11 })).toEqual([11, 12]);
    expect(numbers({ limit: 2 })).toEqual([11, 12]);
    expect(numbers({ after: 3, limit: 2 })).toEqual([4, 5]);
    expect(audit.query({ after: 0, limit: 1 })[0]).toMatchObject({ ...deedOf(1), sequence: 1, time: 1, previous: "0".repeat(64) });
  });
});
