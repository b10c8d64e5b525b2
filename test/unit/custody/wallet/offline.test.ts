import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newIdentity, openText } from "../../../../custody/seal.js";
import { openIdentities } from "../../../../custody/wallet/open.js";
import { anyIdentitySchema, fileIdentitySchema, identityFileSchema, identityKinds, type FileIdentity, type IdentityFile } from "../../../../formats/identity.js";
import { parseFormat } from "../../../../formats/versioned.js";

let folder: string;
let wallet: { readonly identity: string; readonly recipient: string };
/** Root may cut a program off without more; somebody else needs a user namespace of his own, where the kernel allows it. */
const CUT_OFF = process.getuid?.() === 0 ? ["--net"] : ["--map-root-user", "--net"];

interface Run { readonly exitCode: number; readonly stdout: string; readonly stderr: string }

/** Runs a program in the folder, without a network and with an environment that holds nothing. */
const run = (...argv: string[]): Promise<Run> => new Promise((done) => {
  execFile("unshare", [...CUT_OFF, ...argv], { cwd: folder, env: { PATH: process.env["PATH"] ?? "" }, timeout: 15_000 }, (error, stdout, stderr) => {
    done({ exitCode: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr });
  });
});
const make = (...options: string[]): Promise<Run> => run(process.execPath, "holdfast-wallet.mjs", ...options);
const all = (): string[] => ["--environment", "mainnet", "--network", "mainnet", "--node", "alice", "--recipient", wallet.recipient];

beforeAll(async () => {
  // In a process of its own: what builds is no TypeScript of ours.
  await new Promise<void>((done, failed) => execFile(process.execPath, ["-e", 'import("./build.mjs").then(({ bundle }) => bundle("wallet"))'], (error) => (error === null ? done() : failed(error))));
  folder = mkdtempSync(join(tmpdir(), "holdfast-offline-"));
  copyFileSync(resolve("dist/holdfast-wallet.mjs"), join(folder, "holdfast-wallet.mjs"));
  wallet = await newIdentity();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Every way in which a secret would be readable. */
function shapes(secret: Buffer): string[] {
  return [secret.toString("base64").replace(/=+$/, ""), secret.toString("hex"), secret.toString("latin1").trim()];
}

describe("the offline file", () => {
  it("runs where there is no network, and only there is this test worth anything", async () => {
    expect((await run(process.execPath, "-e", "console.log(Object.keys(require('os').networkInterfaces()).length)")).stdout).toBe("0\n");
  });

  it.each(identityKinds)("makes a %s that the stack takes, prints nothing secret, and leaves no file", async (kind) => {
    const { exitCode, stdout, stderr } = await make(...all(), "--kind", kind);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const identity = parseFormat(anyIdentitySchema, "identity", stdout);
    expect(identity).toMatchObject({ environment: "mainnet", network: "mainnet", node: "alice", kind, recipient: wallet.recipient });
    const plain = JSON.parse(await openText(identity.sealed, wallet.identity)) as { mnemonic?: string[]; secret?: string };
    if (plain.mnemonic !== undefined) {
      const words = plain.mnemonic;
      expect(words.slice(1).filter((word, index) => stdout.includes(`${words[index]} ${word}`) || stdout.includes(`${words[index]}","${word}`))).toEqual([]);
    } else {
      const bytes = Buffer.from(plain.secret!, "base64");
      expect(shapes(bytes).filter((shape) => stdout.includes(shape))).toEqual([]);
    }
    expect(readdirSync(folder)).toEqual(["holdfast-wallet.mjs"]);
  });

  it("makes what opens as a whole node: a seed and an identity of each other kind", async () => {
    const made = await Promise.all(identityKinds.map(async (kind) => JSON.parse((await make(...all(), "--kind", kind)).stdout) as unknown));
    const seed: IdentityFile = identityFileSchema.parse(made[0]);
    const files: FileIdentity[] = made.slice(1).map((one) => fileIdentitySchema.parse(one));
    const opened = await openIdentities(seed, files, (sealed) => openText(sealed, wallet.identity));
    expect(opened.seed.nodePublicKey).toBe(seed.nodePublicKey);
    expect(opened.files.map(({ publicIdentity }) => publicIdentity)).toEqual(files.map(({ publicIdentity }) => publicIdentity));
  });

  it.each([
    ["a recipient with a typing error", (recipient: string) => ["--recipient", recipient.replace(/.$/, (last) => (last === "q" ? "p" : "q"))], "could not be sealed"],
    ["an identity where the recipient belongs", () => ["--recipient", `AGE-SECRET-KEY-1${"Q".repeat(58)}`], "could not be sealed"],
    ["an unknown network", () => ["--network", "testnet3"], "--network wants one of mainnet, testnet4, signet, regtest."],
    ["a name that is none", () => ["--node", "Alice!"], "--node wants a lower-case letter"],
    ["a kind that there is not", () => ["--kind", "bip39"], "--kind wants one of lnd-seed, cln-hsm-secret, nsec, onion-key."],
    ["a name for the seed", () => ["--name", "second"], "a node has one LND seed"],
    ["an option that there is not", () => ["--seed", "abandon"], "Unknown option '--seed'"],
  ])("refuses %s in words, and makes nothing", async (_, change, words) => {
    const { exitCode, stdout, stderr } = await make(...all(), ...change(wallet.recipient));
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain(words);
    expect(stderr.split("\n").length).toBeLessThan(4);
  });

  it("says what is missing, and how it is used", async () => {
    expect((await make("--environment", "mainnet", "--network", "mainnet", "--node", "alice")).stderr).toContain("--recipient is missing");
    expect((await make("--help")).stdout).toContain("node holdfast-wallet.mjs --environment mainnet");
  });
});
