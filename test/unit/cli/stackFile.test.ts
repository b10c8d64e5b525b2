import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { fillRecipients, stackFileText } from "../../../cli/stackFile.js";

const placeholders = { environment: "age1-REPLACE-ME", recovery: "age1-REPLACE-ME", wallet: "age1-REPLACE-ME" };
const real = { environment: `age1${"e".repeat(58)}`, recovery: `age1${"r".repeat(58)}`, wallet: `age1pq1${"w".repeat(1952)}` };

describe("a stack file", () => {
  it("of a new environment has the form of the project's own", () => {
    expect(stackFileText({ environment: "prod", network: "mainnet", recipients: placeholders, node: "alice", tunnel: "10.10.0", host: "203.0.113.10", store: "203.0.113.20" })).toBe(readFileSync("Pulumi.prod.yaml", "utf8"));
    expect(stackFileText({ environment: "testnet", network: "testnet4", recipients: placeholders, node: "bob", tunnel: "10.11.0", host: "203.0.113.11", store: "203.0.113.21" })).toBe(readFileSync("Pulumi.testnet.yaml", "utf8"));
  });

  it("gets its recipients, and is otherwise left as it is, letter for letter", () => {
    const before = readFileSync("Pulumi.prod.yaml", "utf8");
    const after = fillRecipients(before, real);
    expect(parse(after)).toMatchObject({ config: { "holdfast:recipients": real } });
    expect(after.replace(real.environment, placeholders.environment).replace(real.recovery, placeholders.recovery).replace(real.wallet, placeholders.wallet)).toBe(before);
  });

  it("keeps a recipient that is there, and all comments where one is added", () => {
    const text = "# about it\nconfig:\n  holdfast:network: signet # a chain\n  holdfast:recipients:\n    environment: age1mine   # ours\n    recovery: age1-REPLACE-ME\n";
    const after = fillRecipients(text, real);
    expect(parse(after)).toEqual({ config: { "holdfast:network": "signet", "holdfast:recipients": { ...real, environment: "age1mine" } } });
    for (const comment of ["# about it", "# a chain", "# ours"]) expect(after).toContain(comment);
    expect(parse(fillRecipients("config:\n  holdfast:network: signet\n", real))).toMatchObject({ config: { "holdfast:recipients": real } });
  });

  it("that takes its recipients from another file is a rehearsal's, and refused", () => {
    expect(() => fillRecipients(readFileSync("Pulumi.dev.yaml", "utf8"), real)).toThrow("`holdfast up` makes the keys of a rehearsal");
  });
});
