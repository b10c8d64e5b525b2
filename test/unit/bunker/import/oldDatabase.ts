import { DatabaseSync } from "node:sqlite";

/** nsecbunkerd's tables as its migrations leave them. @see nsecbunkerd 0.10.5, prisma/migrations */
const schema = `
  CREATE TABLE "KeyUser" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "keyName" TEXT NOT NULL, "userPubkey" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "lastUsedAt" DATETIME, "description" TEXT, "revokedAt" DATETIME);
  CREATE UNIQUE INDEX "KeyUser_keyName_userPubkey_key" ON "KeyUser" ("keyName", "userPubkey");
  CREATE TABLE "Key" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "keyName" TEXT NOT NULL, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "deletedAt" DATETIME, "pubkey" TEXT NOT NULL);
  CREATE TABLE "SigningCondition" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "method" TEXT, "kind" TEXT, "content" TEXT, "keyUserKeyName" TEXT, "allowed" BOOLEAN, "keyUserId" INTEGER,
    CONSTRAINT "SigningCondition_keyUserId_fkey" FOREIGN KEY ("keyUserId") REFERENCES "KeyUser" ("id") ON DELETE SET NULL ON UPDATE CASCADE);
  CREATE TABLE "Policy" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "expiresAt" DATETIME, "deletedAt" DATETIME, "description" TEXT);
  CREATE TABLE "PolicyRule" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "method" TEXT NOT NULL, "kind" TEXT, "maxUsageCount" INTEGER, "currentUsageCount" INTEGER, "policyId" INTEGER,
    CONSTRAINT "PolicyRule_policyId_fkey" FOREIGN KEY ("policyId") REFERENCES "Policy" ("id") ON DELETE SET NULL ON UPDATE CASCADE);
  CREATE TABLE "Token" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "keyName" TEXT NOT NULL, "token" TEXT NOT NULL, "clientName" TEXT NOT NULL, "createdBy" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "deletedAt" DATETIME, "expiresAt" DATETIME, "redeemedAt" DATETIME,
    "keyUserId" INTEGER, "policyId" INTEGER,
    CONSTRAINT "Token_keyUserId_fkey" FOREIGN KEY ("keyUserId") REFERENCES "KeyUser" ("id") ON DELETE SET NULL ON UPDATE CASCADE,
    CONSTRAINT "Token_policyId_fkey" FOREIGN KEY ("policyId") REFERENCES "Policy" ("id") ON DELETE SET NULL ON UPDATE CASCADE);
  CREATE UNIQUE INDEX "Token_token_key" ON "Token" ("token");
  CREATE UNIQUE INDEX "Key_keyName_key" ON "Key" ("keyName");
`;

/** A database of nsecbunkerd's at a path, with the rows given as SQL. */
export function writeOldDatabase(path: string, rows: string): void {
  const database = new DatabaseSync(path);
  database.exec(`${schema}${rows}`);
  database.close();
}
