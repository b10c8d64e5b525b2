import { access, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { armor, Encrypter, generateIdentity, identityToRecipient } from "age-encryption";
import { describe, expect, it } from "vitest";
import { admit } from "../../../../agent/gate/admit.js";
import { AdmissionRefusal } from "../../../../agent/gate/admission.js";
import { runGate } from "../../../../agent/gate/gate.js";
import type { GateHost } from "../../../../agent/gate/host.js";
import { readJournal, writeJournal } from "../../../../agent/gate/journal.js";
import { gateReport } from "../../../../agent/gate/report.js";
import { publicIdentityOf } from "../../../../formats/publicIdentity.js";
import { fakeHost, foreign, ours, settings } from "./fakeHost.js";

const torFile = Buffer.concat([Buffer.from("== ed25519v1-secret: type0 ==\0\0\0"), Buffer.alloc(64, 7)]);
const onion = { kind: "onion-key", name: "main", publicIdentity: publicIdentityOf("onion-key", torFile), secret: torFile.toString("base64") } as const;
const mnemonic = Array.from({ length: 24 }, () => "abandon");

async function sealed(host: GateHost, change: object = {}, identity?: string): Promise<string> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(identity ?? (await readFile(host.paths.identity, "utf8")).split("\n")[1]!));
  return armor.encode(await encrypter.encrypt(JSON.stringify({ format: "holdfast-admission/1", place: settings.place, mnemonic, nodePublicKey: ours, sealedAt: "2026-01-02T03:04:05Z", ...change })));
}

describe("admit", () => {
  it("keeps the one-use bundle sealed, for root alone, and lets the gate look again", async () => {
    const { host } = await fakeHost();
    const restarts: string[] = [];
    const bundle = await sealed(host);
    expect(await admit(JSON.stringify({ sealed: bundle }), host, async () => void restarts.push("gate"))).toMatchObject({ phase: "the gate has not run yet" });
    expect(await readFile(host.paths.admission, "utf8")).toBe(bundle);
    expect((await stat(host.paths.admission)).mode & 0o777).toBe(0o600);
    expect(restarts).toEqual(["gate"]);
  });

  it.each([
    ["another environment", { place: { ...settings.place, environment: "prod" } }, /environment prod, and this host is environment dev/],
    ["another network", { place: { ...settings.place, network: "mainnet" } }, /network mainnet/],
    ["another generation", { place: { ...settings.place, generation: 1 } }, /generation 1, and this host is generation 2/],
    ["another node id", { nodePublicKey: foreign }, /holds the seed of node 03bbb/],
    ["an identity that is not what it says", { files: [{ ...onion, publicIdentity: "other.onion" }] }, /calls its onion-key main other\.onion, and it is \w{56}\.onion/],
    ["an identity that is none", { files: [{ ...onion, secret: Buffer.from("abandon").toString("base64") }] }, /onion-key main is none\. .*wants 96 bytes/],
    ["a seed that is too short", { mnemonic: mnemonic.slice(1) }, /at mnemonic/],
  ])("refuses %s, keeps nothing and quotes no word", async (_name, change, reason) => {
    const { host } = await fakeHost();
    const refusal = await admit(JSON.stringify({ sealed: await sealed(host, change) }), host, async () => expect.unreachable()).catch((error: Error) => error);
    expect(refusal).toBeInstanceOf(AdmissionRefusal);
    expect((refusal as Error).message).toMatch(reason);
    expect((refusal as Error).message).not.toContain("abandon");
    await expect(access(host.paths.admission)).rejects.toThrow();
  });

  it("refuses a bundle that lacks what the settings name, or holds another one under its name, and keeps nothing", async () => {
    const { host } = await fakeHost();
    await writeFile(host.paths.settings, JSON.stringify({ ...settings, identities: [{ kind: "onion-key", name: "main", publicIdentity: onion.publicIdentity }, { kind: "nsec", name: "signer", publicIdentity: "ab" }] }));
    await expect(admit(JSON.stringify({ sealed: await sealed(host, { files: [onion] }) }), host, async () => expect.unreachable())).rejects.toThrow("lacks what the settings name: nsec signer. Nothing was kept.");
    await writeFile(host.paths.settings, JSON.stringify({ ...settings, identities: [{ kind: "onion-key", name: "main", publicIdentity: "other.onion" }] }));
    await expect(admit(JSON.stringify({ sealed: await sealed(host, { files: [onion] }) }), host, async () => expect.unreachable())).rejects.toThrow(/with the public identity \w{56}\.onion, and the settings name other\.onion/);
    await expect(access(host.paths.admission)).rejects.toThrow();
  });

  it("refuses what is sealed for another host's identity", async () => {
    const { host } = await fakeHost();
    await expect(admit(JSON.stringify({ sealed: await sealed(host, {}, await generateIdentity()) }), host, async () => {})).rejects.toThrow(/not sealed for this host's identity/);
  });
});

describe("runGate", () => {
  const reachable = (host: GateHost) => writeFile(`${host.paths.secrets}/backup-store-password`, "x").then(() => writeFile(`${host.paths.secrets}/backup-password`, "x"));

  it("says what it refuses, fails, and stops what runs under another id", async () => {
    const { host, units, asked } = await fakeHost();
    await reachable(host);
    await writeFile(`${host.paths.lnd}/data/chain/bitcoin/regtest/wallet.db`, "");
    units.add(host.paths.identityTarget);
    await expect(runGate("", { ...host, waits: { ...host.waits, answer: 2_000 } })).rejects.toThrow("There is an lnd wallet on this disk that no gate has made");
    expect(await gateReport("", host)).toMatchObject({ state: "stop", reason: expect.stringContaining("no gate has made"), remedy: expect.stringContaining("/var/lib/lnd") });
    expect(asked).toEqual([`stop ${host.paths.identityTarget}`]);
  });

  it("reports a failure of its own as a stop as well", async () => {
    const { host } = await fakeHost();
    await writeFile(host.paths.settings, "{}");
    await expect(runGate("", host)).rejects.toThrow("The gate failed");
    expect((await gateReport("", host)).state).toBe("stop");
  });

  it("runs once at a time", async () => {
    const { host } = await fakeHost();
    await reachable(host);
    const both = await Promise.allSettled([runGate("", host), runGate("", host)]);
    expect(both.filter((one) => one.status === "rejected" && (one.reason as Error).message.includes("Another run of the gate"))).toHaveLength(1);
  });
});

describe("the journal", () => {
  it("is read as it was written", async () => {
    const { host } = await fakeHost();
    expect(await readJournal(host)).toBeUndefined();
    const written = await writeJournal(host, { place: settings.place, nodePublicKey: ours, decision: "fresh", phase: "recovering", recoveryWindow: 100 });
    expect(await readJournal(host)).toEqual(written);
  });
  it("is not guessed at when it was damaged", async () => {
    const { host } = await fakeHost();
    await mkdir(dirname(host.paths.gateJournal), { recursive: true });
    await writeFile(host.paths.gateJournal, '{"format":"holdfast-gate-journal/1"');
    await expect(readJournal(host)).rejects.toThrow(/is not JSON/);
  });
});
