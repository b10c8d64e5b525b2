import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planOf, rehearsedNodes } from "../../../rehearsal/plan.js";
import { checkAddress } from "../../../rehearsal/machines/names.js";

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `n${index + 1}`);

describe("a rehearsed environment's plan", () => {
  it("gives each machine a valid address of its own, and the store and the chain ports of their own, wherever the project lies", () => {
    fc.assert(fc.property(fc.string(), fc.integer({ min: 0, max: 16 }), (folder, count) => {
      const { machines, storePort, chainPort } = planOf(`/p/${folder}`, names(count));
      expect(new Set(machines.map(({ address }) => address)).size).toBe(count);
      for (const { address } of machines) checkAddress(address);
      expect(new Set([storePort, chainPort, chainPort + 1]).size).toBe(3);
      for (const port of [storePort, chainPort + 1]) expect(port > 1024 && port < 32768, `${port} is no port that a connection may have taken`).toBe(true);
    }));
  });

  it("is the same each time for a folder, and mostly another for another", () => {
    expect(planOf("/a/.holdfast/dev", ["alice"])).toEqual(planOf("/a/.holdfast/dev", ["alice"]));
    const ports = new Set(Array.from({ length: 50 }, (_, index) => planOf(`/tmp/holdfast-project-${index}/.holdfast/dev`, []).storePort));
    expect(ports.size).toBeGreaterThanOrEqual(49);
    const addresses = Array.from({ length: 200 }, (_, index) => planOf(`/tmp/holdfast-project-${index}/.holdfast/dev`, ["alice"]).machines[0]!.address);
    const pairs = addresses.flatMap((one, index) => addresses.slice(index + 1).map((other) => one === other));
    expect(pairs.filter(Boolean).length / pairs.length).toBeLessThan(0.002);
  });

  it("leaves a node whose host is not made here to itself", () => {
    const node = (file: string) => ({ host: { commodity: { file } } });
    expect(rehearsedNodes("dev", { nodes: { a: node(".holdfast/dev/machines/a.json"), b: node(".holdfast/prod/machines/b.json"), c: { host: { commodity: { address: "10.0.0.1" } } } } })).toEqual(["a"]);
    expect(rehearsedNodes("dev", {})).toEqual([]);
  });
});
