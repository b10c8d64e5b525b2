import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connectLnd, LndRefusal, LndSilence } from "../../../../agent/gate/lnd.js";

const folder = mkdtempSync(`${tmpdir()}/holdfast-lnd-`);
const pair = (name: string) => execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=lnd", "-out", `${folder}/${name}.cert`, "-keyout", `${folder}/${name}.key`], { stdio: "ignore" });
let server: Server;
let seen: { method?: string; url?: string; macaroon?: string | string[]; body: string } | undefined;
let answer: { status: number; body: string } | "nothing" = { status: 200, body: "{}" };
let at = { port: 0, certificateFile: `${folder}/lnd.cert`, macaroonFile: `${folder}/admin.macaroon` };

beforeAll(async () => {
  pair("lnd");
  pair("other");
  writeFileSync(at.macaroonFile, Buffer.from([2, 1, 255]));
  server = createServer({ cert: readFileSync(`${folder}/lnd.cert`), key: readFileSync(`${folder}/lnd.key`) }, (request, response) => {
    let body = "";
    request.on("data", (part) => (body += String(part)));
    request.on("end", () => {
      seen = { body, ...(request.method && { method: request.method }), ...(request.url && { url: request.url }), ...(request.headers["grpc-metadata-macaroon"] && { macaroon: request.headers["grpc-metadata-macaroon"] }) };
      if (answer !== "nothing") response.writeHead(answer.status).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  at = { ...at, port: (server.address() as { port: number }).port };
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => void (seen = undefined));

const says = (body: object, status = 200) => void (answer = { status, body: JSON.stringify(body) });
const words = Array.from({ length: 24 }, (_, index) => (index === 7 ? "zebrafish" : "abandon"));

describe("connectLnd", () => {
  it("sends the macaroon in hex, and reads 64-bit numbers that are strings", async () => {
    says({ confirmed_balance: "2100000000000000", total_balance: "0" });
    expect(await connectLnd(at).confirmedBalance()).toBe(2_100_000_000_000_000);
    expect(seen).toMatchObject({ method: "GET", url: "/v1/balance/blockchain", macaroon: "0201ff" });
  });

  it("makes a wallet with root key, window and a macaroon on the disk, and shows no macaroon for it", async () => {
    says({ admin_macaroon: "AAAA" });
    await connectLnd(at).initWallet({ mnemonic: words, password: "pässword", macaroonRootKey: Buffer.alloc(32, 7), recoveryWindow: 103 });
    expect(JSON.parse(seen!.body)).toEqual({
      wallet_password: Buffer.from("pässword").toString("base64"), cipher_seed_mnemonic: words, recovery_window: 103, macaroon_root_key: Buffer.alloc(32, 7).toString("base64"), stateless_init: false,
    });
    expect(seen!.macaroon).toBeUndefined();
  });

  it("never repeats a word of the seed", async () => {
    says({ code: 2, message: "word zebrafish isn't a part of default word list (index=7)" }, 500);
    const refusal: Error = await connectLnd(at).initWallet({ mnemonic: words, password: "x", macaroonRootKey: Buffer.alloc(32), recoveryWindow: 1 }).catch((error: Error) => error) as Error;
    expect(refusal).toBeInstanceOf(LndRefusal);
    expect(refusal.message).not.toContain("zebrafish");
  });

  it("counts the most used of the accounts that hold coins", async () => {
    const account = (derivation_path: string, external_key_count: number, internal_key_count: number) => ({ derivation_path, external_key_count, internal_key_count });
    says({ accounts: [account("m/49'/0'/0'", 1, 0), account("m/84'/0'/0'", 4, 2), account("m/86'/0'/0'", 2, 9), account("m/1017'/1'/0'", 700, 0)] });
    expect(await connectLnd(at).addresses()).toEqual({ external: 4, internal: 9 });
  });

  it("adds up the confirmed transactions up to a height", async () => {
    const one = (amount: string, block_height: number, num_confirmations: number) => ({ amount, block_height, num_confirmations });
    says({ transactions: [one("5000", 90, 11), one("-1200", 100, 1), one("700", 0, 0), one("900", 101, 0), one("-3000", 102, 3)] });
    expect(await connectLnd(at).balanceAt(100)).toBe(3_800);
  });

  it("says what lnd said", async () => {
    says({ code: 2, message: "wallet already exists" }, 500);
    await expect(connectLnd(at).info()).rejects.toThrow("lnd refused GET /v1/getinfo (HTTP 500): wallet already exists");
  });

  it("trusts the delivered certificate and no other", async () => {
    says({ state: "RPC_ACTIVE" });
    expect(await connectLnd(at).state()).toBe("RPC_ACTIVE");
    seen = undefined;
    await expect(connectLnd({ ...at, certificateFile: `${folder}/other.cert` }).state()).rejects.toBeInstanceOf(LndSilence);
    expect(seen).toBeUndefined();
  });

  it("does not trust what the delivered certificate has signed", async () => {
    execFileSync("sh", ["-c", "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=forged -keyout forged.key | openssl x509 -req -CA lnd.cert -CAkey lnd.key -CAcreateserial -days 2 -out forged.cert"], { cwd: folder, stdio: "ignore" });
    const forger = createServer({ cert: readFileSync(`${folder}/forged.cert`), key: readFileSync(`${folder}/forged.key`) }, (_request, response) => void response.end('{"state":"RPC_ACTIVE"}'));
    await new Promise<void>((resolve) => forger.listen(0, "127.0.0.1", resolve));
    await expect(connectLnd({ ...at, port: (forger.address() as { port: number }).port }).state()).rejects.toThrow("it shows another certificate than");
    forger.close();
  });

  it("does not wait longer than its deadline", async () => {
    answer = "nothing";
    await expect(connectLnd(at, 200).state()).rejects.toThrow("lnd did not answer GET /v1/state: nothing within 200 ms");
  });

  it("refuses an answer that it does not know", async () => {
    says({ state: "DREAMING" });
    await expect(connectLnd(at).state()).rejects.toThrow(/not what lnd 0.20 gives: at state/);
  });
});
