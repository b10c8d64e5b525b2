type Cell = null | number | bigint | string | NodeJS.NonSharedUint8Array;

/** A row as our types have it: a column without a value is an absent property. The statement's column names are the type's. */
export function fromRow<T>(row: Record<string, Cell>): T {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as T;
}

/** @throws in words, when a change found nothing to change */
export function requireChange({ changes }: { readonly changes: number | bigint }, what: string): void {
  if (Number(changes) === 0) throw new Error(`There is no ${what}.`);
}

/** Whether an error is SQLite's word that something must not be there twice. @see SQLite, Result Codes: SQLITE_CONSTRAINT_UNIQUE, SQLITE_CONSTRAINT_PRIMARYKEY */
export const isTaken = (error: unknown): boolean => [2067, 1555].includes((error as { errcode?: number }).errcode ?? 0);
