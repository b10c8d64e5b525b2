import { beforeAll, describe, expect, it } from "vitest";
import { requireTrustees, type Trustee } from "../../../../custody/escrow/trustees.js";
import { newIdentity } from "../../../../custody/seal.js";

let people: readonly Trustee[];
let hybrid: string;
beforeAll(async () => {
  people = await Promise.all(["anna", "bert", "cleo"].map(async (name) => ({ name, recipient: (await newIdentity()).recipient })));
  hybrid = (await newIdentity("hybrid")).recipient;
});
const rules = { threshold: 2, kind: "classical" as const, taken: [] };

describe("trustees", () => {
  it("are accepted with recipients of their own: classical, hybrid or a plugin's for a classical identity", () => {
    expect(() => requireTrustees([...people, { name: "dora", recipient: hybrid }, { name: "emil", recipient: `age1yubikey1${"q".repeat(60)}` }], rules)).not.toThrow();
    expect(() => requireTrustees(people, { ...rules, threshold: 3 })).not.toThrow();
  });

  it("must be as many as the threshold, which must be two or more", () => {
    expect(() => requireTrustees(people, { ...rules, threshold: 4 })).toThrow("--threshold 4, and 3 trustees are named: they could never recover anything");
    expect(() => requireTrustees(people.slice(0, 1), rules)).toThrow("one trustee is named");
    for (const threshold of [0, 1, 1.5, -2]) expect(() => requireTrustees(people, { ...rules, threshold })).toThrow("wants 2 or more");
    expect(() => requireTrustees(Array.from({ length: 256 }, (_, index) => ({ name: `t${index}`, recipient: `age1${index}` })), rules)).toThrow("256 trustees are too many");
  });

  it("must differ in name and recipient", () => {
    expect(() => requireTrustees([...people, { name: "anna", recipient: hybrid }], rules)).toThrow("Two trustees are called anna");
    expect(() => requireTrustees([...people, { name: "dora", recipient: people[0]!.recipient }], rules)).toThrow(/anna and dora have one recipient \(age1.*…\)/);
  });

  it("must not have a recipient that an environment has", () => {
    const taken = [{ recipient: people[1]!.recipient, whose: "the wallet recipient of prod itself" }];
    expect(() => requireTrustees(people, { ...rules, taken })).toThrow(/bert's recipient \(age1.*…\) is the wallet recipient of prod itself/);
  });

  it("of a post-quantum identity must be post-quantum, each of them", () => {
    const all = [{ name: "dora", recipient: hybrid }, { name: "emil", recipient: `${hybrid.slice(0, -1)}q` }];
    expect(() => requireTrustees(all, { ...rules, kind: "hybrid" })).not.toThrow();
    expect(() => requireTrustees([...all, people[0]!], { ...rules, kind: "hybrid" })).toThrow(/anna's recipient .* is classical: with such trustees the identity is as weak as a classical one/);
  });
});
