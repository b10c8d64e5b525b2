import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { specification, type NodeStatus } from "../../cli/nodes.js";
import { placesOf } from "../../cli/places.js";
import { underway } from "../../cli/rotate/journal.js";
import { rotatables } from "../../cli/rotate/secret.js";
import { readMarks, readVersions } from "../../custody/records.js";
import { hostLayout } from "../../formats/hostLayout.js";
import type { IdentityFile } from "../../formats/identity.js";
import type { HostFile } from "../../rehearsal/machines/machine.js";
import { runIn } from "../../rehearsal/machines/namespace.js";
import { createStranger } from "../../rehearsal/machines/stranger.js";
import { bringUpTunnel } from "../../rehearsal/machines/tunnel.js";
import { until } from "../../rehearsal/run.js";
import { newProject, type Ended, type Project } from "../project.js";
import { pullThePlug, runningSteps } from "../machines/deployer.js";
import { observe, succeeds, type Observer } from "../machines/observer.js";
import { askLnd, walletOf } from "../machines/outside.js";
import { passOf } from "../machines/phone.js";

/** What every activation runs once it is committed, whatever it brought. */
const ACTIVATIONS_OWN = ["holdfast-gate.service", "rehearsal-boot.service"];

let project: Project;
let alice: Observer;
let host: HostFile;
const file = (name: string): string => join(project.state, name);
const seed = (): IdentityFile => JSON.parse(readFileSync(file("alice.lnd-seed.json"), "utf8")) as IdentityFile;
const versions = () => readVersions(project.state).nodes["alice"] ?? {};
const rotate = (...argv: string[]): Promise<Ended> => project.holdfast("rotate", ...argv, "--yes");
const neighbour = async (name: string, last: number): Promise<string> => (await createStranger({ state: project.state, name, address: host.address.replace(/\d+$/, String(last)) })).namespace;

/** Runs the command and kills all of it when it has come to a phase, and to a step of an update there. */
async function killedAt(phase: string, step: string | undefined, ...argv: string[]): Promise<string> {
  const rotation = project.start("rotate", ...argv, "--yes");
  let ended = false;
  void rotation.then(() => { ended = true; });
  const there = (): boolean => underway(project.state)[0]?.phase === phase && (step === undefined || runningSteps(project).includes(step));
  await until(() => ended || there(), 120_000, 20);
  expect(ended, ended ? (await rotation).all : "").toBe(false);
  await pullThePlug(project, rotation.pid!);
  expect(underway(project.state)).toMatchObject([{ phase }]);
  return (await rotation).all;
}

const requireOpen = async (): Promise<void> => {
  const { nodes } = JSON.parse((await succeeds(project.holdfast("status", "--json"))).stdout) as { readonly nodes: readonly NodeStatus[] };
  expect(nodes[0]).toMatchObject({ gate: { state: "open", nodePublicKey: seed().nodePublicKey }, probe: { failedUnits: [] } });
  expect(await alice.lndIdentity()).toBe(seed().nodePublicKey);
};

beforeAll(async () => {
  project = await newProject();
  alice = observe(project, "alice");
  await succeeds(project.holdfast("up", "--yes", "--json"));
  host = JSON.parse(readFileSync(file("machines/alice.json"), "utf8")) as HostFile;
});

afterAll(async () => {
  if (process.env["HOLDFAST_KEEP"] === undefined) expect(await project.remove()).toEqual([]);
});

describe("rotate secret", () => {
  it("restarts exactly the consumers of each secret, once, and the node is as it was", async () => {
    const [node] = specification(placesOf(project.folder, "dev")).nodes;
    const all = rotatables(node!);
    expect(all.map(({ id }) => id)).toEqual(expect.arrayContaining(["bitcoin-rpc-password", "lnd-tls-key", "wireguard-node"]));
    for (const { id, consumers, files } of all) {
      const contents = (): Promise<string> => alice.on(`cd ${hostLayout.secrets} && sha256sum ${files.join(" ")}`);
      const before = (await contents()).split("\n");
      const units = await alice.on(`systemctl show --property=Id,LoadState -- ${consumers.join(" ")}`);
      const readers = units.split("\n\n").flatMap((block) => (block.includes("LoadState=loaded") ? [/^Id=(.*)$/m.exec(block)![1]!] : []));
      const starts = await alice.starts(...readers);
      let output = "";
      const restarted = await alice.unitsChangedBy(async () => { ({ output } = await succeeds(rotate("secret", id))); });
      expect(restarted.filter((unit) => !ACTIVATIONS_OWN.includes(unit)), `${id}: ${output}`).toEqual(readers.sort());
      expect(await alice.starts(...readers), id).toBe(starts + readers.length);
      expect(output).toContain(`alice: restarted ${readers.join(", ")}`);
      const after = (await contents()).split("\n");
      for (const [index, line] of before.entries()) expect(after[index], line).not.toBe(line);
      expect(versions()[id]).toMatchObject({ version: 2 });
    }
    await requireOpen();
  });

  it("refuses what never rotates, and what there is not, in words that say what to do", async () => {
    const refusal = async (id: string): Promise<string> => {
      const { exitCode, output } = await rotate("secret", id);
      expect(exitCode).not.toBe(0);
      return output;
    };
    expect(await refusal("lnd-wallet-password")).toContain("is never rotated");
    expect(await refusal("nonsense")).toMatch(/no secret nonsense.*bitcoin-rpc-password/);
    expect((await project.holdfast("rotate", "secret", "lnd-tls-key")).output, "nobody said yes").toContain("Nothing was changed");
  });
});

describe("rotate wireguard", () => {
  it("lets the old configuration in until the new one has made its handshake, and never after, though it is killed on its way", async () => {
    const before = await passOf(project, "phone");
    const wallet = walletOf(before.lndconnect);
    writeFileSync(file("lnd.pem"), wallet.certificate);
    const phone = await neighbour("phone", 200);
    const answers = async (): Promise<boolean> => (await askLnd(phone, wallet, file("lnd.pem"))).exitCode === 0;
    await bringUpTunnel(phone, before.configuration);
    expect(await answers()).toBe(true);

    const output = file("phone.conf");
    const command = ["wireguard", "phone", "--output", output];
    const restarted = await alice.unitsChangedBy(async () => {
      const waited = await rotate(...command, "--within", "1s");
      expect(waited.output).toContain("The old ones go on working");
      expect(waited.exitCode).toBe(1);
    });
    expect(restarted.filter((unit) => !ACTIVATIONS_OWN.includes(unit)), "no session of any peer was cut").toEqual([]);
    expect(statSync(output).mode & 0o777).toBe(0o600);
    expect(await answers()).toBe(true);
    expect(versions()["wireguard-peer-phone"]).toMatchObject({ version: 1, candidate: 2 });
    expect((await project.holdfast("rotate")).output).toContain("wireguard alice/phone: since");

    await bringUpTunnel(phone, readFileSync(output, "utf8"));
    expect(await answers(), "a handshake alone reaches nothing yet").toBe(false);
    await killedAt("drop", "install", ...command, "--within", "60s");
    const { output: said } = await succeeds(rotate(...command, "--within", "60s"));
    expect(said).toContain("its old configuration is worth nothing now");
    expect(await answers()).toBe(true);
    expect((await passOf(project, "phone")).configuration).toBe(readFileSync(output, "utf8"));

    const device = await bringUpTunnel(phone, before.configuration);
    expect(await answers()).toBe(false);
    expect((await runIn(phone, ["wg", "show", device, "latest-handshakes"])).stdout.trim()).toMatch(/\t0$/);
    expect((await alice.on("wg show wg-node allowed-ips")).trim().split("\n")).toHaveLength(2);
    await requireOpen();
  });
});

describe("rotate ssh", () => {
  it("has the host accept a new key, and the old one no more, though it is killed on its way", async () => {
    const thief = await neighbour("thief", 201);
    const key = join(project.folder, "old");
    writeFileSync(key, readFileSync(file("ssh_ed25519"), "utf8"), { mode: 0o600 });
    const getsIn = async (): Promise<boolean> => (await runIn(thief, [
      "ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", `UserKnownHostsFile=${join(project.state, "machines", "alice", "known_hosts")}`, "-o", "IdentitiesOnly=yes", "-i", key, `root@${host.address}`, "true",
    ])).exitCode === 0;
    expect(await getsIn()).toBe(true);
    await killedAt("drop", "activate", "ssh");
    const { output } = await succeeds(rotate("ssh"));
    expect(output).toMatch(/accept SHA256:\S+, and SHA256:\S+ no more/);
    expect(await getsIn()).toBe(false);
    for (const name of ["ssh_ed25519.next", "ssh_ed25519.previous", "rotation.json"]) expect(existsSync(file(name)), name).toBe(false);
    await requireOpen();
  });
});

describe("rotate age", () => {
  it("gives the environment another passphrase, and the state opens with it alone, though it is killed on its way", async () => {
    const { passphrase } = readMarks(project.state);
    await killedAt("change", undefined, "age", "environment");
    await succeeds(rotate("age", "environment"));
    expect(readMarks(project.state).passphrase).not.toBe(passphrase);
    await succeeds(project.pulumi("preview", "-s", "dev", "--expect-no-changes"));
    expect(existsSync(file("environment.age-key.previous"))).toBe(false);
  });

  it("gives it another recovery recipient, for which the roots are sealed", async () => {
    const { output } = await succeeds(rotate("age", "recovery"));
    expect(output).toContain("alice-deposit-deposit");
    expect(output).toContain("A new escrow is due");
  });

  it("seals the node's identity for another wallet, and the node is as it was", async () => {
    const before = seed();
    const restarted = await alice.unitsChangedBy(() => succeeds(rotate("age", "wallet")));
    expect(restarted).toEqual([]);
    expect(seed()).toMatchObject({ nodePublicKey: before.nodePublicKey, recipient: expect.not.stringMatching(before.recipient) as string });
    await requireOpen();
    expect((await succeeds(project.holdfast("audit", "verify", "--json"))).stdout).not.toContain('"fault"');
  });
});
