import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newIdentity, openText } from "../../../../custody/seal.js";
import { keeperOf, type Keeper } from "../../../../custody/wallet/keeper.js";
import { makeFileIdentity, makeSeed } from "../../../../custody/wallet/make.js";
import { openIdentities } from "../../../../custody/wallet/open.js";
import { askWallet, listen, WalletGone } from "../../../../custody/wallet/socket.js";
import { admissionSchema, type Admission } from "../../../../formats/identity.js";
import type { Place } from "../../../../formats/place.js";
import type { Kept, NodeIdentities, WalletReply, WalletRequest } from "../../../../formats/walletSocket.js";

let folder: string;
let node: NodeIdentities;
let host: { readonly identity: string; readonly recipient: string };
let stranger: { readonly identity: string; readonly recipient: string };
let keeper: Keeper;

beforeAll(async () => {
  const wallet = await newIdentity();
  [host, stranger] = [await newIdentity(), await newIdentity()];
  const owner = { environment: "prod", network: "mainnet" as const, node: "alice", recipient: wallet.recipient };
  node = await openIdentities(await makeSeed(owner, new Date()), [await makeFileIdentity(owner, { kind: "nsec", name: "main" }, new Date())], (sealed) => openText(sealed, wallet.identity));
});
const kept = (): Kept => ({
  format: "holdfast-kept-wallet/1", environment: "prod", network: "mainnet", until: "2026-11-21T00:00:00.000Z", nodes: [node], socket: join(folder, "socket"),
  audit: { file: join(folder, "audit.jsonl"), environment: "prod" },
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-keeper-"));
  keeper = keeperOf(kept());
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const place: Place = { environment: "prod", network: "mainnet", node: "alice", generation: 1 };
const question = (where: Partial<Place> = {}, recipient = host.recipient): WalletRequest => ({ format: "holdfast-wallet/1", ask: "reseal", place: { ...place, ...where }, recipient });
const admission = async ({ sealed }: WalletReply, identity = host.identity): Promise<Admission> => admissionSchema.parse(JSON.parse(await openText(sealed!, identity)));
const lines = (): { action: string; subject: string; outcome: string; note: string }[] => readFileSync(join(folder, "audit.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as never);

describe("an unlocked wallet", () => {
  it("seals a node's identities for the one host that asks, and for nobody else", async () => {
    const reply = await keeper(question());
    expect(await admission(reply)).toMatchObject({ place, nodePublicKey: node.seed.nodePublicKey, mnemonic: node.seed.mnemonic, files: [{ kind: "nsec", name: "main" }] });
    await expect(openText(reply.sealed!, stranger.identity)).rejects.toThrow();
    expect(JSON.stringify({ ...reply, sealed: "" })).not.toContain(node.seed.mnemonic[0]!.concat('","'));
  });

  it("leaves two lines for it: before, and after", async () => {
    await keeper(question());
    expect(lines()).toMatchObject([
      { action: "identity-resealed", subject: "alice generation 1", outcome: "begun", note: expect.stringContaining("age1") },
      { action: "identity-resealed", subject: "alice generation 1", outcome: "done" },
    ]);
  });

  it("seals nothing that it cannot record", async () => {
    writeFileSync(join(folder, "audit.jsonl"), "this is no log\n");
    const reply = await keeper(question());
    expect(reply.sealed).toBeUndefined();
    expect(reply.error).toContain("audit.jsonl cannot be added to");
  });

  it.each([
    ["another environment", { environment: "testnet" }, "unlocked for prod on mainnet, and testnet/alice is on mainnet"],
    ["another network", { network: "signet" as const }, "unlocked for prod on mainnet, and prod/alice is on signet"],
    ["a node that it does not have", { node: "bob" }, "unlocked when prod had no node bob"],
  ])("refuses %s, and the refusal leaves its line", async (_, where, words) => {
    const reply = await keeper(question(where));
    expect(reply).toMatchObject({ environment: "prod", network: "mainnet", nodes: ["alice"], error: expect.stringContaining(words) });
    expect(reply.sealed).toBeUndefined();
    expect(lines().at(-1)).toMatchObject({ action: "identity-resealed", outcome: "failed" });
  });

  it("takes the first recipient of a generation as its host's: another is refused, the same is not, another generation has its own", async () => {
    await keeper(question());
    const refused = await keeper(question({}, stranger.recipient));
    expect(refused.sealed).toBeUndefined();
    expect(refused.error).toContain("Somebody else may be asking");
    expect((await admission(await keeper(question()))).place.generation).toBe(1);
    expect((await admission(await keeper(question({ generation: 2 }, stranger.recipient)), stranger.identity)).place.generation).toBe(2);
    expect((await keeper(question({ generation: 2 }))).sealed).toBeUndefined();
  });

  it("does so even when two ask at once", async () => {
    const replies = await Promise.all([keeper(question()), keeper(question({}, stranger.recipient))]);
    expect(replies.filter(({ sealed }) => sealed !== undefined)).toHaveLength(1);
  });
});

describe("its socket", () => {
  const listening = async (work: (path: string, asked: WalletRequest[]) => Promise<void>): Promise<void> => {
    const asked: WalletRequest[] = [];
    const path = join(folder, "socket");
    const server = await listen(path, keeper, (request) => void asked.push(request));
    try {
      await work(path, asked);
    } finally {
      server.close();
    }
  };
  const say = (path: string, text: string): Promise<string> => new Promise((done) => {
    let heard = "";
    const connection = createConnection(path, () => connection.end(text));
    connection.setEncoding("utf8").on("data", (data) => { heard += data; }).on("close", () => done(heard)).on("error", () => undefined);
  });

  it("answers a question, and says whose it is", () => listening(async (path, asked) => {
    expect(await askWallet(path, { format: "holdfast-wallet/1", ask: "status" })).toEqual({ format: "holdfast-wallet/1", environment: "prod", network: "mainnet", until: kept().until, nodes: ["alice"] });
    expect((await admission(await askWallet(path, question()))).files).toHaveLength(1);
    await expect.poll(() => asked.map(({ ask }) => ask)).toEqual(["status", "reseal"]);
  }));

  it("gives no answer to what is no question, and goes on", () => listening(async (path, asked) => {
    const plugin = JSON.stringify({ format: "holdfast-wallet/1", ask: "reseal", place, recipient: `age1yubikey1${"q".repeat(58)}` });
    for (const text of ["", "\n", "GET / HTTP/1.1\n\n", '{"format":"holdfast-wallet/2","ask":"status"}\n', `${plugin}\n`, `${"x".repeat(40_000)}\n`, '{"format":"holdfast-wallet/1","ask":"status"}']) expect(await say(path, text)).toBe("");
    expect(asked).toEqual([]);
    expect((await askWallet(path, { format: "holdfast-wallet/1", ask: "status" })).environment).toBe("prod");
    expect(existsSync(join(folder, "audit.jsonl"))).toBe(false);
  }));

  it("survives whatever is said to it", () => listening(async (path, asked) => {
    const likely = fc.record({ format: fc.constantFrom("holdfast-wallet/1", "holdfast-wallet/2", 1), ask: fc.constantFrom("reseal", "", "__proto__", null), place: fc.anything(), recipient: fc.anything() });
    await fc.assert(fc.asyncProperty(fc.oneof(fc.string(), likely.map((one) => JSON.stringify(one)), fc.json()), async (text) => {
      expect(await say(path, `${text}\n`)).toBe("");
    }), { numRuns: 200 });
    expect(asked).toEqual([]);
    expect((await askWallet(path, { format: "holdfast-wallet/1", ask: "status" })).environment).toBe("prod");
  }));

  it("does not come into a folder that others may enter", async () => {
    const open = mkdtempSync(join(tmpdir(), "holdfast-open-"));
    try {
      chmodSync(open, 0o755);
      await expect(listen(join(open, "socket"), keeper, () => undefined)).rejects.toThrow("is not a folder of yours alone (0700)");
    } finally {
      rmSync(open, { recursive: true });
    }
  });

  it("that is gone is told from one that refuses", async () => {
    await expect(askWallet(join(folder, "nobody"), question())).rejects.toThrow(WalletGone);
  });

  it("that never answers is given up", async () => {
    const mute = createServer(() => undefined).listen(join(folder, "mute"));
    try {
      await expect(askWallet(join(folder, "mute"), question(), 300)).rejects.toThrow("nothing came over the wallet's socket within 0.3 s");
    } finally {
      mute.close();
    }
  });
});
