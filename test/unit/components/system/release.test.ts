import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { runningSystem } from "../../../../cli/release.js";
import { configurationDigest } from "../../../../config/release.js";
import type { StackSpecification } from "../../../../config/specification.js";
import { provenBy, requireProven, writeProof } from "../../../../components/system/releaseProofs.js";
import type { ReleaseStatement } from "../../../../formats/release.js";
import { exampleNode } from "../recorder.js";

vi.mock("../../../../components/system/sources.js", () => ({ sourcesDigest: (flake: string) => `digest of ${flake}` }));

const keys = mkdtempSync(join(tmpdir(), "holdfast-release-"));
const { specification, stack: example, remove } = exampleNode();
remove();
const newKey = (name: string): { readonly file: string; readonly publicKey: string } => {
  const file = join(keys, name);
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file]);
  return { file, publicKey: readFileSync(`${file}.pub`, "utf8").trim() };
};
const [operator, stranger] = [newKey("operator"), newKey("stranger")];
const system = `/nix/store/${"a".repeat(32)}-system`;
const statement: ReleaseStatement = {
  format: "holdfast-release/1", environment: "testnet", network: "testnet4", proven: "2026-11-21T10:00:00.000Z",
  nodes: { "t-1": { configuration: configurationDigest(specification, "digest of ./flake"), system } },
};
const production: StackSpecification = { ...example, environment: "prod", network: "mainnet", authorizedKeys: [operator.publicKey] };

let project: string;
let records: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "holdfast-release-"));
  records = join(project, "environments", "testnet");
  writeFileSync(join(project, "Pulumi.testnet.yaml"), "config:\n  holdfast:network: testnet4\n");
});
afterEach(() => rmSync(project, { recursive: true }));
afterAll(() => rmSync(keys, { recursive: true }));

const signed = (key: typeof operator): string => writeProof(statement, records, { authorizedKeys: [key.publicKey], identityFile: key.file });
const refusal = (): string => {
  try {
    requireProven(production, "testnet", project);
    return "accepted";
  } catch (error) {
    return (error as Error).message;
  }
};
const change = (path: string, edit: (text: string) => string): void => writeFileSync(path, edit(readFileSync(path, "utf8")));

describe("a proof", () => {
  it("that one of the production stack's own access keys has signed is taken", () => {
    expect(refusal()).toContain("holdfast up -s testnet, then holdfast release prove -s testnet");
    expect(signed(operator)).toBe(join(records, "proofs", "20261121T100000.000Z.json"));
    expect(refusal()).toBe("accepted");
    expect(provenBy(project, "testnet", [stranger.publicKey, operator.publicKey])).toEqual({ network: "testnet4", statements: [statement], faults: [] });
  });

  it("of somebody else is not, whoever may log in to the test stack", () => {
    signed(stranger);
    expect(refusal()).toMatch(/proofs that do not count: .*is signed by none of holdfast:access\.authorizedKeys/);
  });

  it("that was changed is not", () => {
    change(signed(operator), (text) => text.replace("t-1", "t-2"));
    expect(refusal()).toContain("is signed by none of holdfast:access.authorizedKeys, or was changed");
  });

  it("that was signed for another purpose is not", () => {
    const path = signed(operator);
    const signature = execFileSync("ssh-keygen", ["-Y", "sign", "-q", "-f", operator.file, "-n", "git"], { input: JSON.stringify(statement), stdio: ["pipe", "pipe", "ignore"] }).toString();
    change(path, (text) => JSON.stringify({ ...(JSON.parse(text) as object), signature }));
    expect(refusal()).toContain("do not count");
  });

  it("that is none is named, and does not hide a good one", () => {
    signed(operator);
    writeFileSync(join(records, "proofs", "broken.json"), "{");
    expect(provenBy(project, "testnet", [operator.publicKey]).faults.join()).toContain("broken.json");
    expect(refusal()).toBe("accepted");
  });

  it("lies in the records that the test stack names", () => {
    writeFileSync(join(project, "Pulumi.testnet.yaml"), "config:\n  holdfast:network: testnet4\n  holdfast:records: elsewhere\n");
    mkdirSync(join(project, "elsewhere"));
    signed(operator);
    expect(refusal()).not.toBe("accepted");
  });

  it("is not written by a key that may not log in", () => {
    expect(() => writeProof(statement, records, { authorizedKeys: [operator.publicKey], identityFile: stranger.file })).toThrow("is signed by none");
    expect(() => readdirSync(join(records, "proofs"))).toThrow("ENOENT");
  });
});

describe("a key in OpenSSH's agent", () => {
  const socket = join(keys, "agent");
  const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  const before = process.env["SSH_AUTH_SOCK"];
  beforeAll(async () => {
    await vi.waitFor(() => execFileSync("ssh-add", ["-q", operator.file], { env: { ...process.env, SSH_AUTH_SOCK: socket }, stdio: "ignore" }), { timeout: 5000 });
    process.env["SSH_AUTH_SOCK"] = socket;
  });
  afterAll(() => {
    agent.kill();
    if (before === undefined) delete process.env["SSH_AUTH_SOCK"];
    else process.env["SSH_AUTH_SOCK"] = before;
  });

  it("signs without its file, and without being named", () => {
    writeProof(statement, records, { authorizedKeys: [stranger.publicKey, operator.publicKey] });
    expect(refusal()).toBe("accepted");
  });

  it("that is not there is asked for", () => {
    expect(() => writeProof(statement, records, { authorizedKeys: [stranger.publicKey] })).toThrow(/No access key could sign.*ssh-agent/);
  });
});

describe("a node", () => {
  const sound = {
    name: "alice", system: { state: "committed", toplevel: system, previous: "none" }, gate: { state: "open" },
    probe: { system, failedUnits: [] as string[], firewallLoaded: true, tunnel: null, secretsVersion: 1 },
  } as unknown as Parameters<typeof runningSystem>[0];

  it("proves what it runs, committed, with an open gate", () => {
    expect(runningSystem(sound)).toBe(system);
  });

  it.each<[string, object, string]>([
    ["is away", { unreachable: "no answer in time" }, "no answer in time"],
    ["has taken its system back", { system: { ...sound.system, state: "rolled-back" } }, "its last activation is rolled-back"],
    ["runs another system", { probe: { ...sound.probe, system: "/nix/store/other" } }, "it runs /nix/store/other"],
    ["has failed units", { probe: { ...sound.probe, failedUnits: ["lnd.service"] } }, "failed units: lnd.service"],
    ["waits", { gate: { state: "waiting-for-chain" } }, "its gate is waiting-for-chain"],
  ])("proves nothing when it %s", (_, changes, words) => {
    expect(() => runningSystem({ ...sound, ...changes })).toThrow(`Node alice proves nothing: ${words}`);
  });
});
