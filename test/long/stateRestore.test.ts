import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeStatus } from "../../cli/nodes.js";
import { newIdentity } from "../../custody/seal.js";
import { hostLayout } from "../../formats/hostLayout.js";
import type { HostFile } from "../../rehearsal/machines/machine.js";
import { generate, runningChain } from "../../rehearsal/system/chain.js";
import { newProject, type Ended, type Project } from "../project.js";
import { eventually } from "../machines/lightningWorld.js";
import { observe, succeeds, type Observer } from "../machines/observer.js";
import { passOf, phoneWith, type Pass, type Phone } from "../machines/phone.js";

/** Blocks after which a reward may be spent. @see Bitcoin Core, COINBASE_MATURITY */
const MATURITY = 100;
const TRUSTEES = ["anna", "bert", "cleo"];
/** What is not on the laptop, though in a rehearsal it lies there: machines, store and chain; the wallet identity, which is kept elsewhere; and a key for logging in, which its owner has anew. */
const ELSEWHERE = ["machines", "strangers", "store", "chain", "chain.json", "store.pem", "alice.store.json", "wallet.age-key", "wallet.age-key.pub", "ssh_ed25519", "ssh_ed25519.pub"];

let project: Project;
let alice: Observer;
let phone: Phone;
/** Where the trustees keep what they have: a share of the kit, and an identity of their own. */
let trustees: string;

/** What nobody may notice the loss by. */
interface Outside {
  readonly nodePublicKey: string;
  readonly balance: string;
  readonly tunnelKey: string;
  readonly certificate: string;
  readonly passes: readonly Pass[];
}

const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
  const begin = Date.now();
  const result = await work();
  console.log(`${what}: ${((Date.now() - begin) / 1000).toFixed(1)} s`);
  return result;
};

async function outside(): Promise<Outside> {
  return {
    nodePublicKey: (await phone<{ identity_pubkey: string }>("GET", "/v1/getinfo")).identity_pubkey,
    balance: (await phone<{ confirmed_balance: string }>("GET", "/v1/balance/blockchain")).confirmed_balance,
    tunnelKey: await alice.on("wg show wg-node public-key"),
    certificate: await alice.on(`cat ${hostLayout.secrets}/lnd-cert`),
    passes: [await passOf(project, "phone"), await passOf(project, "laptop")],
  };
}

/** The laptop is gone: Pulumi's state, and all that only it had. The repository is cloned anew. */
function lose(): void {
  rmSync(join(project.folder, ".holdfast", "state"), { recursive: true });
  for (const name of readdirSync(project.state)) if (!ELSEWHERE.includes(name)) rmSync(join(project.state, name), { recursive: true });
  project.edit("Pulumi.dev.yaml", (text) => text.replace(/^encryptionsalt:.*\n?/m, ""));
}

const restore = (...names: readonly string[]): Promise<Ended> => timed("state restore", () =>
  project.holdfast("state", "restore", "--yes", ...names.flatMap((name) => ["--share", join(trustees, `${name}.age`), "--identity", join(trustees, `${name}.key`)])));

const update = (): Promise<{ readonly changes: Record<string, number>; readonly nodes: readonly NodeStatus[] }> => timed("up", async () =>
  JSON.parse((await succeeds(project.holdfast("up", "--yes", "--json"))).stdout) as { readonly changes: Record<string, number>; readonly nodes: readonly NodeStatus[] });

beforeAll(async () => {
  project = await newProject();
  alice = observe(project, "alice");
  trustees = mkdtempSync(join(tmpdir(), "holdfast-trustees-"));
  await update();
  phone = await phoneWith(project, await passOf(project, "phone"), (JSON.parse(readFileSync(join(project.state, "machines", "alice.json"), "utf8")) as HostFile).address.replace(/\d+$/, "200"));
});

afterAll(async () => {
  rmSync(trustees, { recursive: true, force: true });
  if (process.env["HOLDFAST_KEEP"] === undefined) expect(await project.remove()).toEqual([]);
});

describe("a node whose operator lost laptop, state and keys", () => {
  let before: Outside;

  it("has coins, its roots off-site, and a recovery identity that is with trustees alone", async () => {
    const chain = (await runningChain(project.state))!;
    const { address } = await eventually("the phone to reach its node", 30_000, () => phone<{ address: string }>("GET", "/v1/newaddress?type=WITNESS_PUBKEY_HASH"));
    await generate(chain, 1, address);
    await generate(chain, MATURITY);
    await eventually("the coins", 60_000, async () => Number((await phone<{ confirmed_balance: string }>("GET", "/v1/balance/blockchain")).confirmed_balance) > 0);
    before = await outside();

    for (const name of TRUSTEES) {
      const { identity, recipient } = await newIdentity();
      writeFileSync(join(trustees, `${name}.key`), `# public key: ${recipient}\n${identity}\n`, { mode: 0o600 });
    }
    const recipientOf = (name: string): string => /age1\S+/.exec(readFileSync(join(trustees, `${name}.key`), "utf8"))![0];
    await succeeds(project.holdfast("escrow", "create", "--threshold", "2", ...TRUSTEES.flatMap((name) => ["--trustee", `${name}=${recipientOf(name)}`]), "--yes"));
    const kit = join(project.state, "escrow");
    for (const name of TRUSTEES) cpSync(join(kit, readdirSync(kit, { recursive: true }).map(String).find((path) => path.endsWith(`${name}.age`))!), join(trustees, `${name}.age`));
    expect(readdirSync(project.state)).not.toContain("recovery.age-key");
    await eventually("the balance to be off-site", 60_000, async () => (await alice.on(`cat ${hostLayout.backupStaging}/manifest.json`)).includes(`"confirmedBalance":${before.balance},`));
  });

  it("lives on while everything is made again around it: no key changes, and nothing restarts", async () => {
    lose();
    const secrets = await alice.traces(`${hostLayout.secrets}/`, hostLayout.currentSystem, hostLayout.systemProfile);
    const restarted = await alice.unitsChangedBy(async () => {
      const { exitCode, output } = await restore("anna", "cleo");
      expect(exitCode, output).toBe(0);
      expect(output).toContain(before.nodePublicKey);
      const { nodes } = await update();
      expect(nodes[0]).toMatchObject({ gate: { state: "open", decision: "fresh" } });
    });
    expect(restarted).toEqual([]);
    expect(await alice.traces(`${hostLayout.secrets}/`, hostLayout.currentSystem, hostLayout.systemProfile)).toBe(secrets);
    expect(await outside()).toEqual(before);
    expect((await update()).changes).toEqual({ same: expect.any(Number) as number });
  });

  it("comes back when its machine is lost too: the same node to the world, to its phone and to its coins", async () => {
    await succeeds(project.holdfast("machine", "delete", "alice"));
    lose();
    const { exitCode, output } = await restore("bert", "cleo");
    expect(exitCode, output).toBe(0);
    const { nodes } = await update();
    expect(nodes[0]).toMatchObject({ gate: { state: "open", decision: "restore", nodePublicKey: before.nodePublicKey }, generation: 2 });
    // The phone did nothing: its tunnel finds the new host by itself.
    await eventually("the phone to be back with what it had", 60_000, () => phone<object>("GET", "/v1/getinfo"));
    expect(await outside()).toEqual(before);
  });

  it("is not given other keys where its state is lost and nobody has restored it: the update says what to do instead", async () => {
    rmSync(join(project.folder, ".holdfast", "state"), { recursive: true });
    mkdirSync(join(project.folder, ".holdfast", "state"));
    const traces = await alice.traces(`${hostLayout.secrets}/`, hostLayout.bundle);
    const command = await project.holdfast("up", "--yes");
    expect(command.exitCode).not.toBe(0);
    expect(command.output).toMatch(/its state in .* is empty: an update would give it new keys\. Nothing was touched\. .*holdfast state restore -s dev/);
    const plain = await project.pulumi("up", "-s", "dev", "--yes", "--skip-preview");
    expect(plain.exitCode).not.toBe(0);
    expect(plain.output).toMatch(/The state is refused, and no host was touched:\n.*holdfast state restore -s dev/);
    expect(plain.output).not.toContain("error serializing property");
    expect(await alice.traces(`${hostLayout.secrets}/`, hostLayout.bundle)).toBe(traces);
    expect(await phone("GET", "/v1/getinfo")).toMatchObject({ identity_pubkey: before.nodePublicKey });
  });
});
