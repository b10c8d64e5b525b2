import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planInstallation, type Standing, type Wanted } from "../../../../agent/secrets/plan.js";

const names: fc.Arbitrary<string> = fc.constantFrom("a", "b", "c", "d", "e");
const units = fc.uniqueArray(fc.constantFrom("lnd.service", "bitcoind.service", "wg.service"));
const attributes = fc.record({ content: fc.constantFrom("x", "y").map((text) => Buffer.from(text)), uid: fc.constantFrom(1, 2), gid: fc.constantFrom(1, 2), mode: fc.constantFrom(0o440, 0o400) });
const standing = fc.uniqueArray(fc.tuple(names, attributes), { selector: ([name]) => name }).map((entries) => new Map<string, Standing>(entries));
const wanted = fc.uniqueArray(fc.record({ name: names, consumers: units, attributes }), { selector: (file) => file.name }).map((files) => files.map(({ name, consumers, attributes: of }): Wanted => ({ name, consumers, ...of })));
const former = fc.uniqueArray(fc.tuple(names, units), { selector: ([name]) => name }).map((entries) => new Map(entries));

describe("planInstallation", () => {
  it("keeps or writes every wanted file, and no other", () => {
    fc.assert(fc.property(standing, wanted, former, (old, files, consumers) => {
      const plan = planInstallation(old, files, consumers);
      expect([...plan.keep, ...plan.write.map((file) => file.name)].sort()).toEqual(files.map((file) => file.name).sort());
    }));
  });

  it("keeps exactly what is the same in content, owner, group and mode", () => {
    fc.assert(fc.property(standing, wanted, former, (old, files, consumers) => {
      const kept = new Set(planInstallation(old, files, consumers).keep);
      for (const { name, content, uid, gid, mode } of files) {
        const before = old.get(name);
        expect(kept.has(name)).toBe(before !== undefined && before.content.toString() === content.toString() && before.uid === uid && before.gid === gid && before.mode === mode);
      }
    }));
  });

  it("restarts each consumer of a changed file once, and nobody else", () => {
    fc.assert(fc.property(standing, wanted, former, (old, files, consumers) => {
      const plan = planInstallation(old, files, consumers);
      expect(new Set(plan.restart).size).toBe(plan.restart.length);
      const readers = plan.changed.flatMap((name) => files.find((file) => file.name === name)?.consumers ?? consumers.get(name) ?? []);
      expect(new Set(plan.restart)).toEqual(new Set(readers));
    }));
  });

  it("has nothing to do after it was carried out", () => {
    fc.assert(fc.property(standing, wanted, former, (old, files, consumers) => {
      const carriedOut = new Map([...planInstallation(old, files, consumers).keep.map((name) => [name, old.get(name)!] as const), ...files.map((file) => [file.name, file as Standing] as const)]);
      expect(planInstallation(carriedOut, files, consumers)).toMatchObject({ write: [], changed: [], restart: [] });
    }));
  });

  it("counts a file as changed whose owner the host does not know yet", () => {
    const one = { content: Buffer.from("x"), uid: 1, gid: 1, mode: 0o440 };
    expect(planInstallation(new Map([["a", one]]), [{ ...one, uid: undefined, name: "a", consumers: [] }], new Map()).changed).toEqual(["a"]);
  });
});
