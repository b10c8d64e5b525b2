import { describe, expect, it, onTestFinished } from "vitest";
import type { Relays } from "../../../../bunker/relays/relays.js";
import { superviseLiveness } from "../../../../bunker/supervision/liveness.js";
import { eventually, listen, relay, type Listener } from "../relays/world.js";

/** With an interval of 400 ms: a round every 100 ms. */
function watched(relays: Pick<Relays, "probe" | "states">) {
  const fed: string[] = [];
  const lines: string[] = [];
  let alive = 0;
  const liveness = superviseLiveness({
    relays,
    notifier: { alive: async (status) => { fed.push(status); alive++; } },
    intervalMs: 400,
    status: () => "fine",
    log: (_, line) => lines.push(line),
  });
  onTestFinished(() => liveness.stop());
  return { fed, lines, liveness, count: () => alive };
}

const started = async (bunker: Listener): Promise<Listener> => {
  await bunker.relays.ready(5_000);
  return bunker;
};

describe("the watchdog", () => {
  it("is fed while one relay of many brings probes back", async () => {
    const [good, deaf] = await Promise.all([relay(), relay({ events: "deaf" })]);
    const bunker = await started(listen([good.url, deaf.url]));
    const { count, fed } = watched(bunker.relays);
    await eventually(() => expect(count()).toBeGreaterThan(6));
    expect(fed[0]).toBe("fine");
  });

  it("is not fed any more when relays listen and none brings a probe, though each was connected anew; and again once one does", async () => {
    const at = await relay({ events: "deaf" });
    const bunker = await started(listen([at.url]));
    const { count, lines } = watched(bunker.relays);
    await eventually(() => expect(lines.join()).toContain("not fed any more"), 10_000);
    expect(at.accepted()).toBeGreaterThan(2);
    const then = count();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(count()).toBe(then);
    expect(lines).toHaveLength(1);
    at.heal();
    await eventually(() => expect(count()).toBeGreaterThan(then), 10_000);
  });

  it("is fed while no relay can be reached", async () => {
    const at = await relay();
    const bunker = await started(listen([at.url]));
    await at.stop();
    const { count, lines } = watched(bunker.relays);
    await eventually(() => expect(count()).toBeGreaterThan(6));
    expect(lines).toEqual([]);
  });

  it("is fed when relays say that they are asked too often", async () => {
    const at = await relay({ reject: "rate-limited: slow down" });
    const bunker = await started(listen([at.url]));
    const { count } = watched(bunker.relays);
    await eventually(() => expect(count()).toBeGreaterThan(6));
  });

  it("is not fed while a probe is under way for ever, nor after a stop", async () => {
    const { count } = watched({ states: () => [], probe: () => new Promise((resolve) => setTimeout(() => resolve([]), 300)) });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(count()).toBe(0);
    const other = watched({ states: () => [], probe: async () => [] });
    await eventually(() => expect(other.count()).toBeGreaterThan(0));
    await other.liveness.stop();
    const then = other.count();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(other.count()).toBe(then);
  });

  it("survives a round that throws", async () => {
    let rounds = 0;
    const { lines, count } = watched({ states: () => [], probe: async () => { if (rounds++ < 2) throw new Error("broken"); return ["ws://x"]; } });
    await eventually(() => expect(count()).toBeGreaterThan(0));
    expect(lines).toEqual(["a round of probes failed: broken", "a round of probes failed: broken"]);
  });
});
