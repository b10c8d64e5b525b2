import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";

/** Prisma writes milliseconds; its migrations' default writes `YYYY-MM-DD HH:MM:SS` in UTC. */
const time = z.union([z.int(), z.string().transform((text, context) => {
  const parsed = Date.parse(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?$/.test(text) ? `${text.replace(" ", "T")}Z` : text);
  if (Number.isNaN(parsed)) context.addIssue("is no time");
  return parsed;
})], "is no time");
const maybe = <T extends z.ZodType>(type: T): z.ZodType<z.output<T> | undefined> => type.nullish().transform((value) => value ?? undefined) as never;
const text = z.string();
const id = z.int();

/** Columns of nsecbunkerd 0.10.5 that are read; earlier versions lack some of those that may be absent. @see its prisma/schema.prisma */
const tables = {
  Key: z.object({ keyName: text, pubkey: text, deletedAt: maybe(time) }),
  KeyUser: z.object({ id, keyName: text, userPubkey: text, createdAt: time, revokedAt: maybe(time), lastUsedAt: maybe(time), description: maybe(text) }),
  SigningCondition: z.object({ id, method: maybe(text), kind: maybe(text), content: maybe(text), allowed: maybe(z.int().transform((value) => value !== 0)), keyUserId: maybe(id) }),
  Policy: z.object({ id, name: text, createdAt: time, expiresAt: maybe(time), deletedAt: maybe(time) }),
  PolicyRule: z.object({ id, method: text, kind: maybe(text), maxUsageCount: maybe(z.int()), currentUsageCount: maybe(z.int()), policyId: maybe(id) }),
  Token: z.object({
    id, keyName: text, token: text.min(1), clientName: text, createdAt: time, updatedAt: time, deletedAt: maybe(time), expiresAt: maybe(time), redeemedAt: maybe(time),
    keyUserId: maybe(id), policyId: maybe(id),
  }),
};
type Tables = { readonly [Name in keyof typeof tables]: readonly z.output<(typeof tables)[Name]>[] };

export type OldUser = Tables["KeyUser"][number];
export type OldCondition = Tables["SigningCondition"][number];
export type OldRule = Tables["PolicyRule"][number];
export type OldPolicy = Tables["Policy"][number];
export type OldToken = Tables["Token"][number];

/** nsecbunkerd's database, and what of it cannot be read, by table and number. */
export interface Predecessor extends Tables {
  readonly unreadable: readonly { readonly what: string; readonly why: string }[];
}

/**
 * Reads nsecbunkerd's database without changing it. Stop nsecbunkerd first.
 *
 * @throws when there is none at the path, or it is another database
 */
export function readPredecessor(path: string): Predecessor {
  if (!existsSync(path)) throw new Error(`There is no database at ${path}: name nsecbunkerd's, which its DATABASE_URL points to.`);
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const there = namesOf(database, path);
    const unreadable: { what: string; why: string }[] = [];
    const read = <Row>(table: string, schema: z.ZodType<Row>): Row[] => (there.has(table) ? database.prepare(`SELECT * FROM "${table}"`).all() : []).flatMap((row) => {
      const parsed = schema.safeParse(row);
      if (parsed.success) return [parsed.data];
      const issue = parsed.error.issues[0]!;
      unreadable.push({ what: `${table} ${String(row["id"])}`, why: `${issue.path.join(".")}: ${issue.message}` });
      return [];
    });
    return {
      Key: read("Key", tables.Key), KeyUser: read("KeyUser", tables.KeyUser), SigningCondition: read("SigningCondition", tables.SigningCondition),
      Policy: read("Policy", tables.Policy), PolicyRule: read("PolicyRule", tables.PolicyRule), Token: read("Token", tables.Token), unreadable,
    };
  } finally {
    database.close();
  }
}

function namesOf(database: DatabaseSync, path: string): Set<string> {
  const refuse = (cause?: unknown): never => {
    throw new Error(`${path} is not nsecbunkerd's database: it wants a table KeyUser with keyName and userPubkey.`, { cause });
  };
  try {
    const names = new Set(database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all().map((row) => String(row["name"])));
    database.prepare("SELECT keyName, userPubkey FROM KeyUser LIMIT 1");
    return names;
  } catch (error) {
    return refuse(error);
  }
}
