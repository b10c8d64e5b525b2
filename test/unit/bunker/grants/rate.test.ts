import { describe, expect, it } from "vitest";
import { createRateLimit } from "../../../../bunker/grants/rate.js";

const rates = { client: { burst: 3, perSecond: 2 }, stranger: { burst: 2, perSecond: 1 }, strangers: { burst: 5, perSecond: 1 } };
const times = <T>(n: number, what: (n: number) => T): T[] => Array.from({ length: n }, (_, i) => what(i));

describe("the rate limit", () => {
  it("lets a client go a burst at once and then so many a second", () => {
    const limit = createRateLimit(rates);
    expect(times(4, () => limit.take("a", "client", 0))).toEqual(["go", "go", "go", "tell"]);
    expect(times(3, () => limit.take("a", "client", 1000))).toEqual(["go", "go", "tell"]);
    expect(times(4, () => limit.take("a", "client", 3_600_000))).toEqual(["go", "go", "go", "tell"]);
  });

  it("tells a client that it is over its rate, but not for ever", () => {
    const limit = createRateLimit(rates);
    const taken = times(100, () => limit.take("a", "client", 0));
    expect(taken.filter((leave) => leave === "tell").length).toBe(20);
    expect(taken.at(-1)).toBe("drop");
  });

  it("keeps each client from being slowed by another, or by any number of strangers", () => {
    const limit = createRateLimit(rates);
    times(1000, (n) => limit.take(`stranger ${n}`, "stranger", 0));
    times(100, () => limit.take("a", "client", 0));
    expect(limit.take("b", "client", 0)).toBe("go");
  });

  it("lets all strangers together go no faster than one rate, each within its own", () => {
    const limit = createRateLimit(rates);
    expect(times(3, () => limit.take("a", "stranger", 0))).toEqual(["go", "go", "drop"]);
    expect(times(1000, (n) => limit.take(`fresh ${n}`, "stranger", 0)).filter((leave) => leave === "go").length).toBe(3);
  });

  it("gives back what was taken for nothing", () => {
    const limit = createRateLimit(rates);
    for (const _ of times(50, (n) => n)) {
      expect(limit.take("a", "client", 0)).toBe("go");
      limit.giveBack("a", "client");
      expect(limit.take("s", "stranger", 0)).toBe("go");
      limit.giveBack("s", "stranger");
    }
  });

  it("is not opened by a clock that was set back", () => {
    const limit = createRateLimit(rates);
    times(3, () => limit.take("a", "client", 10_000));
    expect(limit.take("a", "client", 0)).toBe("tell");
  });

  it("remembers no more senders than it may", () => {
    const limit = createRateLimit(rates, 100);
    times(20_000, (n) => limit.take(`fresh ${n}`, n % 2 === 0 ? "stranger" : "client", n));
    expect(limit.size()).toBeLessThanOrEqual(300);
  });
});
