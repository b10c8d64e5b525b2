import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { eventually, listen, relay, request } from "../unit/bunker/relays/world.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const heap = (): number => {
  collect();
  return process.memoryUsage().heapUsed;
};

describe("a flood of garbage", () => {
  it.each([
    ["not-json", 3_000, "malformed"],
    ["unknown-verb", 3_000, "malformed"],
    ["wrong-shape", 2_000, "malformed"],
    ["wrong-id", 200, "bad-signature"],
    ["wrong-signature", 1_000, "bad-signature"],
    ["deep", 100, "malformed"],
    ["oversized", 20, "oversized"],
  ] as const)("of sort %s changes counters alone, while another relay is served", async (what, count, counted) => {
    const [bad, good] = await Promise.all([relay(), relay()]);
    const bunker = listen([bad.url, good.url], { timing: {} });
    await bunker.relays.ready(5_000);
    await bad.flood(what, 50);
    const before = heap();
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    let flooded = false;
    const flood = bad.flood(what, count).then(() => { flooded = true; });
    expect(await bunker.relays.publish(request("f".repeat(64)), 10_000)).not.toEqual([]);
    good.broadcast(request(bunker.key));
    await eventually(() => expect(bunker.events).toHaveLength(1), 5_000);
    await eventually(() => expect(flooded).toBe(true), 40_000);
    await flood;
    await eventually(() => expect(bunker.counted(counted) + bunker.counted("dropped")).toBe(count + 50), 40_000);
    delay.disable();
    expect(heap() - before).toBeLessThan(8 * 1_048_576);
    // Of the relay's work too, which runs in this process; other tests share the machine.
    expect(delay.percentile(50) / 1e6).toBeLessThan(250);
    expect(bunker.is(good.url)).toBe("listening");
    expect(bunker.is(bad.url)).toBe("listening");
    expect(bad.accepted()).toBe(1);
    bad.broadcast(request(bunker.key));
    await eventually(() => expect(bunker.events).toHaveLength(2), 10_000);
  }, 100_000);

  it("of messages beyond every bound ends that connection and no other", async () => {
    const [bad, good] = await Promise.all([relay(), relay()]);
    const bunker = listen([bad.url, good.url]);
    await bunker.relays.ready(5_000);
    bad.say("x".repeat(5_000_000));
    await eventually(() => expect(bad.accepted()).toBe(2));
    expect(bunker.counted("oversized")).toBe(1);
    expect(good.accepted()).toBe(1);
  });
});
