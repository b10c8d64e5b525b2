import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { alone } from "../../../../rehearsal/machines/lock.js";

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("a lock", () => {
  it("lets one in at a time, and the next one after a failure", async () => {
    let inside = 0;
    let most = 0;
    const enter = (fails: number) => alone("unit test of the lock", 5_000, async () => {
      most = Math.max(most, ++inside);
      await pause(30);
      inside--;
      if (fails) throw new Error("failed inside");
    });
    expect((await Promise.allSettled([enter(1), enter(0), enter(0)])).map(({ status }) => status).sort()).toEqual(["fulfilled", "fulfilled", "rejected"]);
    expect(most).toBe(1);
  });

  it("says at its deadline what it waited for", async () => {
    await alone("the long one", 1_000, async () => {
      await expect(alone("the long one", 100, async () => undefined)).rejects.toThrow('at "the long one"');
    });
  });

  it("is free again once its owner was killed", async () => {
    const owner = spawn(process.execPath, ["-e", `
      const address = "\\0holdfast-" + require("node:crypto").createHash("sha256").update("killed owner").digest("hex").slice(0, 32);
      require("node:net").createServer().listen(address, () => console.log("locked"));`]);
    await once(owner.stdout, "data");
    await expect(alone("killed owner", 100, async () => undefined)).rejects.toThrow("wait for it");
    owner.kill("SIGKILL");
    await once(owner, "exit");
    expect(await alone("killed owner", 1_000, async () => "mine")).toBe("mine");
  });
});
