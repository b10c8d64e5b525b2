import type { DatabaseSync } from "node:sqlite";

export interface Transactions {
  /** All or none; on the disk when the outermost one returns. */
  atomically<T>(change: () => T): T;
  readonly isOpen: () => boolean;
}

export function openTransactions(database: DatabaseSync): Transactions {
  let depth = 0;
  return {
    isOpen: () => depth > 0,
    atomically(change) {
      const [begin, end, undo] = depth === 0
        ? ["BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"]
        : [`SAVEPOINT change${depth}`, `RELEASE change${depth}`, `ROLLBACK TO change${depth}; RELEASE change${depth}`];
      database.exec(begin!);
      depth++;
      try {
        const result = change();
        if (result instanceof Promise) throw new Error("A change of the database must not wait for anything: a promise is no change.");
        database.exec(end!);
        return result;
      } catch (error) {
        // A full disk may have ended the transaction already.
        if (database.isTransaction) database.exec(undo!);
        throw error;
      } finally {
        depth--;
      }
    },
  };
}
