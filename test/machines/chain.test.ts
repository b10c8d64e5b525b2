import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureDaemons } from "../../rehearsal/system/daemons/daemons.js";
import { cacheFolder } from "../../cli/places.js";
import { generate, height, runningChain, startChain, stopChain, type Chain } from "../../rehearsal/system/chain.js";
import { ensurePrograms } from "../../rehearsal/system/programs.js";

const cache = cacheFolder();
const state = mkdtempSync(join(tmpdir(), "holdfast-chain-"));
const report = (): void => {};
let programs = "";
const start = (): Promise<Chain> => startChain({ state, programs, address: "127.0.0.1", port: 19644, report });
const pid = (): number => Number(readFileSync(join(state, "chain/pid"), "utf8"));

beforeAll(async () => {
  programs = (await ensurePrograms({ cache, daemonsFolder: (await ensureDaemons({ cache, report })).folder, report })).folder;
});
afterAll(async () => {
  await stopChain({ state, report, blocks: "delete" });
  rmSync(state, { recursive: true });
});

describe("the chain", () => {
  it("starts high enough for channels, and is left alone by a second start", async () => {
    const chain = await start();
    expect(await height(chain)).toBe(432);
    const before = pid();
    expect(await start()).toEqual(chain);
    expect(pid()).toBe(before);
  });

  it("keeps its blocks when it is stopped and when it mines for somebody else, and starts again after a kill", async () => {
    const chain = await start();
    expect(await generate(chain, 5)).toHaveLength(5);
    await stopChain({ state, report });
    expect(await runningChain(state)).toBeUndefined();
    expect(await height(await start())).toBe(437);
    await generate(chain, 1, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080");
    await generate(chain, 1);
    expect(await height(chain)).toBe(439);
    process.kill(pid(), "SIGKILL");
    // btcd writes its blocks out every few minutes, and when it ends in order.
    expect(await height(await start())).toBeGreaterThanOrEqual(438);
  }, 60_000);

  it("keeps its password to itself", async () => {
    const chain = await start();
    expect(readFileSync(`/proc/${pid()}/cmdline`, "utf8")).not.toContain(chain.rpc.password);
    for (const file of ["btcd.conf", "btcctl.conf", "chain.json"]) expect(statSync(join(state, "chain", file)).mode & 0o077).toBe(0);
  });

  it("is deleted with its blocks when that is asked for", async () => {
    await start();
    await stopChain({ state, report, blocks: "delete" });
    expect(existsSync(join(state, "chain"))).toBe(false);
  });
});
