import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { createEnvironment } from "../../../cli/envCreate.js";
import { createEscrow, type EscrowEnd, type EscrowMeans, type EscrowRequest } from "../../../cli/escrow/create.js";
import type { GivenShares } from "../../../cli/escrow/shares.js";
import { auditLog, identityPath, placesOf, recordsFolder, type Places } from "../../../cli/places.js";
import { readLog } from "../../../custody/audit/log.js";
import { realDisk } from "../../../custody/escrow/disk.js";
import { escrowFolder } from "../../../custody/escrow/kit.js";
import { identityIn, newIdentity } from "../../../custody/seal.js";
import { nobody } from "./emptyProject.js";

/** A project with environments `testnet` and `other` for each test, whose recovery identities are whole still, and people who can be trustees. */
export function escrowProject() {
  const people: Record<string, { readonly identity: string; readonly recipient: string }> = {};
  const said: string[] = [];
  let template: string;
  const now = { folder: "", places: undefined as unknown as Places, recovery: "" };

  beforeAll(async () => {
    template = mkdtempSync(join(tmpdir(), "holdfast-escrow-"));
    writeFileSync(join(template, "Pulumi.yaml"), "name: holdfast\nruntime: nodejs\n");
    writeFileSync(join(template, "package.json"), '{"version":"9.9.9"}');
    for (const [name, network] of [["testnet", "testnet4"], ["other", "signet"]] as const) {
      await createEnvironment(placesOf(template, name), { network, kind: "classical", identity: "file", walletRecipient: undefined, node: "alice", passphrases: { infrastructure: nobody, wallet: nobody } });
    }
    const file = join(template, "Pulumi.testnet.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(/folder: \S+/, "folder: deposit"));
    for (const name of ["anna", "bert", "cleo", "dora"]) people[name] = await newIdentity();
  });
  afterAll(() => rmSync(template, { recursive: true, force: true }));
  beforeEach(() => {
    now.folder = emptyFolder();
    for (const name of readdirSync(template)) if (!name.startsWith("project-")) cpSync(join(template, name), join(now.folder, name), { recursive: true });
    now.places = placesOf(now.folder, "testnet");
    now.recovery = identityIn(readFileSync(identityPath(now.places, "recovery"), "utf8"), "recovery");
  });

  const emptyFolder = (): string => mkdtempSync(join(template, "project-"));
  const records = (): string => recordsFolder(now.places);
  const sealedOf = (name: string): string => join(escrowFolder(records()), `${name}.age`);
  const trustees = (...names: readonly string[]) => names.map((name) => ({ name, recipient: people[name]!.recipient }));
  const keyOf = (name: string): string => {
    const file = join(now.folder, `${name}.key`);
    writeFileSync(file, `${people[name]!.identity}\n`, { mode: 0o600 });
    return file;
  };
  return {
    /** The test's own: its folder, the environment it is about, and the recovery identity of testnet. */
    now, people, said, emptyFolder, records, sealedOf, trustees, keyOf,
    recipientOf: (role: string): string => new RegExp(`${role}: (age1\\w+)`).exec(readFileSync(join(now.folder, "Pulumi.testnet.yaml"), "utf8"))![1]!,
    create: (change: Partial<EscrowRequest> = {}, means: Partial<EscrowMeans> = {}): Promise<EscrowEnd> => {
      said.length = 0;
      return createEscrow(now.places, { threshold: 2, trustees: trustees("anna", "bert", "cleo"), whole: "goes", ...change }, {
        disk: realDisk, now: () => new Date("2026-11-21T08:00:00.000Z"), ask: nobody, agree: () => Promise.resolve(true), say: (line) => void said.push(line), ...means,
      });
    },
    auditOf: async (): Promise<string[]> => (await readLog(auditLog(now.places))).lines.map(({ action, subject, outcome, note }) => `${action}: ${subject}: ${outcome}${note === undefined ? "" : `: ${note}`}`),
    /** Sealed shares as they lie in the kit, with their trustees' identities. */
    given: (...names: readonly string[]): GivenShares => ({ shares: names.map(sealedOf), identities: names.map(keyOf), ask: nobody }),
  };
}

export const everyFile = (below: string): string[] => readdirSync(below, { recursive: true, withFileTypes: true }).filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
