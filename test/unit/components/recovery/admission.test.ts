import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { admissionFor, type Wanted } from "../../../../components/recovery/admission.js";
import { writeIdentity } from "../../../../custody/identityFile.js";
import { newIdentity, openText } from "../../../../custody/seal.js";
import { keeperOf } from "../../../../custody/wallet/keeper.js";
import { makeFileIdentity, makeSeed } from "../../../../custody/wallet/make.js";
import { openIdentities } from "../../../../custody/wallet/open.js";
import { listen } from "../../../../custody/wallet/socket.js";
import { admissionSchema, type Admission, type FileIdentity, type IdentityFile } from "../../../../formats/identity.js";
import type { NodeIdentities } from "../../../../formats/walletSocket.js";

let folder: string;
let server: Server | undefined;
let wallet: { readonly identity: string; readonly recipient: string };
let host: { readonly identity: string; readonly recipient: string };
let seed: IdentityFile;
let nsec: FileIdentity;
let opened: NodeIdentities;

beforeAll(async () => {
  [wallet, host] = [await newIdentity(), await newIdentity()];
  const owner = { environment: "dev", network: "regtest" as const, node: "alice", recipient: wallet.recipient };
  seed = await makeSeed(owner, new Date());
  nsec = await makeFileIdentity(owner, { kind: "nsec", name: "main" }, new Date());
  opened = await openIdentities(seed, [nsec], (sealed) => openText(sealed, wallet.identity));
});
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), "holdfast-admission-")); });
afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const place = { environment: "dev", network: "regtest" as const, node: "alice", generation: 2 };
const wanted = (walletIdentityFile?: string): Wanted => ({ place, identity: seed, identities: [nsec], recipient: host.recipient, records: folder, walletIdentityFile });
const socket = (): string => join(folder, "socket");
const inside = async (sealed: string): Promise<Admission> => admissionSchema.parse(JSON.parse(await openText(sealed, host.identity)));
const audit = (): { action: string; subject: string; outcome: string }[] => readFileSync(join(folder, "audit.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as never);

async function unlocked(environment: string): Promise<void> {
  server = await listen(socket(), keeperOf({
    format: "holdfast-kept-wallet/1", environment, network: "regtest", until: new Date().toISOString(), nodes: [opened], socket: socket(), audit: { file: join(folder, "audit.jsonl"), environment },
  }), () => undefined);
}
async function clearFile(): Promise<string> {
  await writeIdentity(join(folder, "wallet.age-key"), wallet, { form: "clear" });
  return join(folder, "wallet.age-key");
}

describe("what a gate is given when it asks", () => {
  it("comes from the unlocked wallet: every identity of the node, for this host's generation", async () => {
    await unlocked("dev");
    expect(await inside(await admissionFor(wanted(), socket()))).toMatchObject({ place, nodePublicKey: seed.nodePublicKey, files: [{ kind: "nsec", publicIdentity: nsec.publicIdentity }] });
  });

  it("comes from the stack's own wallet identity where no wallet is unlocked, which leaves its lines too", async () => {
    const file = await clearFile();
    for (const none of [undefined, "", socket()]) expect((await inside(await admissionFor(wanted(file), none))).mnemonic).toEqual(opened.seed.mnemonic);
    expect(audit().slice(0, 2)).toMatchObject([{ action: "identity-resealed", subject: "alice generation 2", outcome: "begun" }, { action: "identity-resealed", outcome: "done" }]);
  });

  it("comes from the stack's own wallet identity where another environment's wallet is unlocked in the same shell", async () => {
    await unlocked("prod");
    expect((await inside(await admissionFor(wanted(await clearFile()), socket()))).nodePublicKey).toBe(seed.nodePublicKey);
  });

  it("is nothing while the wallet is locked, and the error says what to run", async () => {
    await expect(admissionFor(wanted(), undefined)).rejects.toThrow('alice needs its identities, and nothing here opens them: dev\'s wallet is locked. Run  eval "$(holdfast wallet unlock -s dev)"  in this shell');
    await expect(admissionFor(wanted(), socket())).rejects.toThrow("the wallet that was unlocked in this shell is locked again");
  });

  it("is nothing from another environment's wallet, in that wallet's words", async () => {
    await unlocked("prod");
    await expect(admissionFor(wanted(), socket())).rejects.toThrow("This wallet is unlocked for prod on regtest, and dev/alice is on regtest");
  });

  it("is nothing when the unlocked wallet refuses, though the stack has a wallet identity of its own", async () => {
    await unlocked("dev");
    await admissionFor(wanted(), socket());
    const stranger = { ...wanted(await clearFile()), recipient: (await newIdentity()).recipient };
    await expect(admissionFor(stranger, socket())).rejects.toThrow("Somebody else may be asking");
  });

  it("is not asked for with a passphrase: a step has no terminal", async () => {
    await writeIdentity(join(folder, "guarded"), wallet, { form: "passphrase", passphrase: "correct horse battery staple" });
    await expect(admissionFor(wanted(join(folder, "guarded")), undefined)).rejects.toThrow("has a passphrase, which nobody can be asked for here");
  });

  it("is nothing when the wallet identity is another", async () => {
    writeFileSync(join(folder, "other"), `${(await newIdentity()).identity}\n`, { mode: 0o600 });
    await expect(admissionFor(wanted(join(folder, "other")), undefined)).rejects.toThrow("The lnd-seed of dev/alice does not open");
    expect(audit().at(-1)).toMatchObject({ outcome: "failed" });
  });
});
