import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SecretFile } from "../../formats/bundle.js";
import type { SecretVersion } from "../../formats/records.js";
import { ensureEngine, type Engine } from "../../rehearsal/engine/engine.js";

/** A node's secrets alone, and the real step that makes certificates. */
const PROGRAM = `
import { readFileSync } from "node:fs";
import { Secrets } from "./components/secrets/secrets.js";
const secrets = new Secrets("alice-1-secrets", JSON.parse(readFileSync("node.json", "utf8")));
export const { files, certificate } = secrets;
`;

let engine: Engine;
let folder: string;

beforeAll(async () => {
  engine = await ensureEngine({ cache: process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast"), report: (line) => process.stderr.write(`${line}\n`) });
  folder = mkdtempSync(join(tmpdir(), "holdfast-secrets-"));
  for (const name of ["state", "dist/steps", ".holdfast/dev"]) mkdirSync(join(folder, name), { recursive: true });
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  const bundled = { bundle: true, platform: "node", format: "esm", target: "node20", packages: "external", logLevel: "error" } as const;
  await build({ ...bundled, stdin: { contents: PROGRAM, resolveDir: process.cwd() }, outfile: join(folder, "program.mjs") });
  await build({ ...bundled, entryPoints: ["components/secrets/steps/certify.ts"], outfile: join(folder, "dist/steps/certify.js") });
  writeFileSync(join(folder, "Pulumi.yaml"), "name: holdfast\nruntime: nodejs\nmain: program.mjs\n");
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "store-password"), "password-of-the-store");
  await pulumi("stack", "init");
}, 1_500_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function pulumi(...args: string[]): Promise<string> {
  const child = spawn(join(engine.path[0] ?? "", "pulumi"), [...args, "--stack", "dev", "--non-interactive"], {
    cwd: folder, timeout: 120_000,
    env: { ...process.env, ...engine.environment, PATH: [...engine.path, process.env["PATH"]].join(":"), PULUMI_BACKEND_URL: `file://${folder}/state`, PULUMI_CONFIG_PASSPHRASE: "test" },
  });
  let [stdout, all] = ["", ""];
  child.stdout.on("data", (chunk) => { stdout += String(chunk); all += String(chunk); });
  child.stderr.on("data", (chunk) => { all += String(chunk); });
  return new Promise((done, failed) => child.once("close", (code) => (code === 0 ? done(stdout) : failed(new Error(all)))));
}

interface Outcome {
  readonly certificate: string;
  readonly values: ReadonlyMap<string, string>;
  /** Names of the resources that were made, changed or replaced. */
  readonly touched: readonly string[];
}

/** Brings the node's secrets up to date, after what `holdfast rotate` would have written. */
async function up(versions: Readonly<Record<string, SecretVersion>>, name = "alice"): Promise<Outcome> {
  writeFileSync(join(folder, "node.json"), JSON.stringify({
    name, id: "alice-1", environment: "dev", services: ["bitcoind", "lnd", "wireguard", "offsite-backup"], versions,
    tunnel: { address: "10.10.0.1", peers: [{ name: "phone", address: "10.10.0.2" }] }, backup: { passwordFile: "store-password" },
  }));
  const { steps } = JSON.parse(await pulumi("preview", "--json")) as { steps: { op: string; urn: string }[] };
  await pulumi("up", "--yes", "--skip-preview");
  const { certificate, files } = JSON.parse(await pulumi("stack", "output", "--show-secrets", "--json")) as { certificate: string; files: SecretFile[] };
  return {
    certificate, values: new Map(files.map(({ name: file, content }) => [file, content])),
    touched: [...new Set(steps.filter(({ op, urn }) => op !== "same" && !urn.includes("pulumi:pulumi:Stack")).map(({ urn }) => urn.split("::").at(-1)!))].sort(),
  };
}
const changed = (before: Outcome, after: Outcome): string[] => [...after.values].filter(([file, content]) => before.values.get(file) !== content).map(([file]) => file);
const rotated = (version: number): SecretVersion => ({ version, rotated: "2026-11-21T12:00:00Z" });
const restore = (content: object): void => writeFileSync(join(folder, ".holdfast/dev/certificates.json"), JSON.stringify(content));

describe("a node's secrets in the real engine", () => {
  it("change by a rotation alone, and then those that were rotated; a certificate outlives everything but its key", async () => {
    const first = await up({});
    expect(first.values.size).toBe(12);

    const renamed = await up({}, "carol");
    expect([renamed.touched, changed(first, renamed)]).toEqual([[], []]);

    restore({ "alice-1/lnd-cert": first.certificate });
    const restored = await up({});
    expect([restored.touched, changed(first, restored)]).toEqual([["alice-1-secrets-lnd-certificate"], []]);
    rmSync(join(folder, ".holdfast/dev/certificates.json"));
    expect(changed(first, await up({}))).toEqual([]);

    const rpc = await up({ "bitcoin-rpc-password": rotated(2) });
    expect([rpc.touched, changed(first, rpc)]).toEqual([["alice-1-secrets-bitcoin-rpc-password-root"], ["bitcoin-rpcpassword-privileged", "bitcoin-HMAC-privileged"]]);
    expect((await up({ "bitcoin-rpc-password": rotated(2) })).touched).toEqual([]);

    const tls = await up({ "bitcoin-rpc-password": rotated(2), "lnd-tls-key": rotated(2) });
    expect([tls.touched, changed(rpc, tls)]).toEqual([["alice-1-secrets-lnd-certificate", "alice-1-secrets-lnd-tls-key-root"], ["lnd-key", "lnd-cert"]]);
  }, 180_000);
});
