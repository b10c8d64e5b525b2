import { build } from "esbuild";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { openKeyring } from "../../../../bunker/keyring/open.js";
import { openStore } from "../../../../bunker/store/open.js";
import { dataFolder } from "./folder.js";
import type { Durable } from "./writer.js";

const ROUNDS = 20;
const { path } = dataFolder();

/** Runs the writer until it is killed, at a random moment after it said its first line. @returns what it said */
async function killedWriter(program: string, round: number): Promise<Durable[]> {
  const writer = spawn(process.execPath, ["--no-warnings", program, path(), String(round)], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  let complaint = "";
  writer.stdout.on("data", (chunk) => { said += String(chunk); });
  writer.stderr.on("data", (chunk) => { complaint += String(chunk); });
  const closed = once(writer, "close");
  await Promise.race([once(writer.stdout, "data"), closed]);
  await sleep(Math.random() * 120);
  writer.kill("SIGKILL");
  await closed;
  expect(complaint).toBe("");
  // A last line without its end was cut off while it was being said.
  return said.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Durable);
}

it(`loses nothing that it called durable when it is killed, ${ROUNDS} times`, { timeout: 120_000 }, async () => {
  const program = join(path(), "..", "writer.mjs");
  await build({ entryPoints: [join(import.meta.dirname, "writer.ts")], outfile: program, bundle: true, platform: "node", format: "esm", target: "node22", logLevel: "error" });
  const durable: Durable[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    durable.push(...(await killedWriter(program, round)));
    const store = openStore(path(), Date.now);
    const { lines, fault } = store.audit.verify();
    expect(fault).toBeUndefined();
    const keys = new Map(store.keys.all().map((key) => [key.name, key.publicKey]));
    const uses = new Map<string, number>();
    for (const one of durable) {
      if (one.is === "key") expect(keys.get(one.name)).toBe(one.publicKey);
      if (one.is === "policy") expect(store.policies.get(one.id)?.rules).toHaveLength(one.rules);
      if (one.is === "redeemed") {
        expect(store.clients.find(one.keyName, one.client)).toBeDefined();
        expect(store.tokens.find(one.keyName, one.secret, 0)).toBeUndefined();
      }
      if (one.is === "token") expect(store.tokens.of(one.keyName).some((token) => token.secret === one.secret || token.redeemedAt !== undefined)).toBe(true);
      if (one.is !== "use") continue;
      expect(store.audit.hashAt(one.sequence)).toBe(one.hash);
      uses.set(`${one.ruleId} ${one.clientId}`, (uses.get(`${one.ruleId} ${one.clientId}`) ?? 0) + 1);
    }
    for (const [of, said] of uses) expect(store.usage.count(...(of.split(" ").map(Number) as [number, number]))).toBeGreaterThanOrEqual(said);
    // A use is recorded with its line, or neither is.
    expect(store.counts().usage).toBe(lines);
    store.close();
  }
  expect(durable.length).toBeGreaterThan(ROUNDS * 5);
  const store = openStore(path(), Date.now);
  const keyring = openKeyring({ store, log: () => undefined });
  for (const { name } of keyring.names()) expect(await keyring.unlock(name, "passphrase")).toBe("opened");
  store.close();
});
