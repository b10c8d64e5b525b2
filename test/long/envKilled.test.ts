import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkEnvironments } from "../../cli/envCheck.js";
import { placesOf, recordsFolder } from "../../cli/places.js";
import { passphraseFingerprint } from "../../custody/fingerprint.js";
import { identityOf } from "../../custody/identityFile.js";
import { readMarks } from "../../custody/records.js";
import { openText } from "../../custody/seal.js";

const nobody = () => Promise.reject(new Error("asked though nothing was to be asked"));

/** Creates environment `new` in the folder given, and kills itself before the n-th change to a file other than the audit log, which has its own such test. Its last line is how many there were. */
const DRIVER = `
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
const [folder, at] = process.argv.slice(2);
let count = 0;
for (const target of [fs, fs.promises]) for (const name of ["writeFileSync", "linkSync", "renameSync", "mkdirSync", "rmSync", "writeFile", "appendFile", "link", "rename", "rm", "open", "mkdir"]) {
  const real = target[name];
  if (typeof real !== "function" || (target === fs && !name.endsWith("Sync"))) continue;
  target[name] = (...args) => {
    if (String(args[0]).includes(folder) && !String(args[0]).includes("audit.jsonl") && count++ === Number(at)) process.kill(process.pid, "SIGKILL");
    return real.apply(target, args);
  };
}
syncBuiltinESMExports();
const { createEnvironment, placesOf } = await import("./created.mjs");
const nobody = () => Promise.reject(new Error("asked"));
await createEnvironment(placesOf(folder, "new"), { network: "signet", kind: "classical", identity: "file", walletRecipient: undefined, node: "alice", passphrases: { infrastructure: nobody, wallet: nobody } });
console.log(count);
`;

let scratch: string;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "holdfast-env-killed-"));
  symlinkSync(resolve("node_modules"), join(scratch, "node_modules"));
  writeFileSync(join(scratch, "driver.mjs"), DRIVER);
  writeFileSync(join(scratch, "created.ts"), `export { createEnvironment } from ${JSON.stringify(resolve("cli/envCreate.ts"))};\nexport { placesOf } from ${JSON.stringify(resolve("cli/places.ts"))};\n`);
  await build({ entryPoints: [join(scratch, "created.ts")], outfile: join(scratch, "created.mjs"), bundle: true, platform: "node", format: "esm", packages: "external", logLevel: "error" });
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const create = (folder: string, at: number) => spawnSync(process.execPath, [join(scratch, "driver.mjs"), folder, String(at)], { encoding: "utf8", timeout: 60_000 });
const identities = (folder: string): Map<string, string> => {
  const state = join(folder, ".holdfast", "new");
  return new Map((existsSync(state) ? readdirSync(state) : []).filter((name) => name.endsWith(".age-key")).map((name) => [name, readFileSync(join(state, name), "utf8")]));
};

it("an environment whose making is killed before any change to a file is completed by the same command, and no identity that was made is lost", { timeout: 240_000 }, async () => {
  const whole = create(mkdtempSync(join(scratch, "whole-")), -1);
  const points = Number(whole.stdout.trim());
  expect(points, whole.stderr).toBeGreaterThan(15);
  for (let at = 0; at < points; at += 1) {
    const folder = mkdtempSync(join(scratch, "killed-"));
    expect(create(folder, at).signal, `point ${at}`).toBe("SIGKILL");
    const before = identities(folder);
    const again = create(folder, -1);
    expect(again.status, `point ${at}: ${again.stderr}`).toBe(0);
    const after = identities(folder);
    expect([...after.keys()].sort()).toEqual(["environment.age-key", "recovery.age-key", "wallet.age-key"]);
    for (const [name, text] of before) expect(after.get(name), `${name} at point ${at}`).toBe(text);

    const places = placesOf(folder, "new");
    const sealed = readFileSync(join(recordsFolder(places), "passphrase.age"), "utf8");
    for (const role of ["environment", "recovery"]) {
      const passphrase = await openText(sealed, await identityOf(join(places.state, `${role}.age-key`), nobody));
      expect(passphraseFingerprint(passphrase), `point ${at}`).toBe(readMarks(recordsFolder(places)).passphrase);
    }
    expect(Object.keys(readMarks(recordsFolder(places)).made).sort()).toEqual(["environment", "passphrase", "recovery", "wallet"]);
    expect(checkEnvironments(folder)[0], `point ${at}`).toMatchObject({ findings: [], passphrase: "sealed", kind: "classical" });
    expect(readdirSync(places.state).filter((name) => name.endsWith(".part")), `point ${at}`).toEqual([]);
    rmSync(folder, { recursive: true });
  }
});
