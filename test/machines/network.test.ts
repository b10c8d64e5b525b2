import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HostFile } from "../../rehearsal/machines/machine.js";
import { runIn } from "../../rehearsal/machines/namespace.js";
import { createStranger } from "../../rehearsal/machines/stranger.js";
import { bringUpTunnel } from "../../rehearsal/machines/tunnel.js";
import { BRIDGE_ADDRESS } from "../../rehearsal/machines/names.js";
import { newProject, type Project } from "../project.js";
import { askLnd, hears, knockUdp, listenIn, scanTcp, walletOf, type Wallet } from "./outside.js";
import { passOf } from "./phone.js";

const LISTENER = 4000;
const NODE = "10.99.0.1";

let project: Project;
let host: HostFile;
let phone: { readonly configuration: string; readonly wallet: Wallet };
let certificateFile: string;

/** A namespace beside the machine, in its own /24. */
const neighbour = async (name: string, last: number): Promise<{ readonly namespace: string; readonly address: string }> =>
  createStranger({ state: project.state, name, address: host.address.replace(/\d+$/, String(last)) });

/** A peer that takes more than it was given. */
const reachingFor = (configuration: string, allowed: string): string => configuration.replace(/^AllowedIPs = .*$/m, `AllowedIPs = ${allowed}`);

beforeAll(async () => {
  project = await newProject();
  const up = await project.holdfast("up", "--yes", "--json");
  expect(up.exitCode, up.output).toBe(0);
  host = JSON.parse(readFileSync(join(project.state, "machines", "alice.json"), "utf8")) as HostFile;
  const { configuration, lndconnect } = await passOf(project, "phone");
  phone = { configuration, wallet: walletOf(lndconnect) };
  certificateFile = join(project.folder, "lnd.pem");
  writeFileSync(certificateFile, phone.wallet.certificate);
});

afterAll(async () => {
  expect(await project.remove()).toEqual([]);
});

describe("a peer with its printed configuration", () => {
  let namespace: string;

  beforeAll(async () => {
    ({ namespace } = await neighbour("phone", 200));
  });

  it("reaches LND's REST interface through the tunnel, the delivered certificate verified and the macaroon made offline", async () => {
    expect((await askLnd(namespace, phone.wallet, certificateFile)).exitCode, "without a tunnel").not.toBe(0);
    const device = await bringUpTunnel(namespace, phone.configuration);
    const { exitCode, answer } = await askLnd(namespace, phone.wallet, certificateFile);
    expect(exitCode, answer).toBe(0);
    const { nodePublicKey } = JSON.parse(readFileSync(join(project.state, "alice.lnd-seed.json"), "utf8")) as { nodePublicKey: string };
    expect(JSON.parse(answer)).toMatchObject({ identity_pubkey: nodePublicKey, chains: [{ chain: "bitcoin", network: "regtest" }] });
    expect((await runIn(namespace, ["wg", "show", device, "latest-handshakes"])).stdout).toMatch(/\t[1-9]\d+$/);
  });

  it("is refused with another macaroon, and refuses another certificate", async () => {
    const { exitCode, answer } = await askLnd(namespace, { ...phone.wallet, macaroon: phone.wallet.macaroon.replace(/.$/, (digit) => (digit === "0" ? "1" : "0")) }, certificateFile);
    expect(exitCode).not.toBe(0);
    expect(answer).toContain("verification failed");
    const CANNOT_BE_VERIFIED = 60;
    expect((await askLnd(namespace, phone.wallet, join(project.state, "store.pem"))).exitCode).toBe(CANNOT_BE_VERIFIED);
  });

  it("reaches no other TCP port of the node", async () => {
    expect(await scanTcp(namespace, NODE)).toEqual({ open: [8080], refused: [], silent: 65_534 });
  });

  it("reaches nothing behind the node: no other peer, no neighbour", async () => {
    const [laptop, neighbouring] = await Promise.all([neighbour("laptop", 201), neighbour("neighbour", 202)]);
    await Promise.all([laptop, neighbouring].map((one) => listenIn(one.namespace, LISTENER)));
    await bringUpTunnel(laptop.namespace, reachingFor((await passOf(project, "laptop")).configuration, "10.99.0.0/24"));
    // Its answers would find their way: it takes the node for the router to the tunnel.
    await runIn(neighbouring.namespace, ["ip", "route", "add", "10.99.0.0/24", "via", host.address]);
    expect(await hears(namespace, neighbouring.address, LISTENER), "the neighbour is there, on the bridge").toBe(true);
    await bringUpTunnel(namespace, reachingFor(phone.configuration, `10.99.0.0/24, ${neighbouring.address}/32`));
    expect((await askLnd(namespace, phone.wallet, certificateFile)).exitCode, "the tunnel works").toBe(0);

    const heard = async (): Promise<boolean[]> => Promise.all([["10.99.0.3", LISTENER], [neighbouring.address, LISTENER]].map(([address, port]) => hears(namespace, String(address), Number(port))));
    expect(await heard()).toEqual([false, false]);
    expect((await project.ssh("alice", "sysctl -q net.ipv4.ip_forward=1")).exitCode).toBe(0);
    expect(await heard(), "even if something made the host a router").toEqual([false, false]);
    expect((await project.ssh("alice", "nft add rule inet holdfast forward accept")).exitCode).toBe(0);
    expect(await heard(), "without the firewall's word both would answer: the test can fail").toEqual([true, true]);
    expect((await project.ssh("alice", "sysctl -q net.ipv4.ip_forward=0 && systemctl reload holdfast-firewall")).exitCode).toBe(0);
    expect(await heard()).toEqual([false, false]);
  });
});

describe("a stranger on the internet", () => {
  let namespace: string;

  beforeAll(async () => {
    ({ namespace } = await neighbour("stranger", 210));
  });

  it("finds SSH and Lightning open, and all other TCP ports silent", async () => {
    expect(await scanTcp(namespace, host.address)).toEqual({ open: [22, 9735], refused: [], silent: 65_533 });
  });

  it("gets no answer and no refusal from any UDP port, WireGuard's neither", async () => {
    const answers = await Promise.all([51_820, 51_821, 53, 9735].map((port) => knockUdp(namespace, host.address, port)));
    expect(answers).toEqual(["silent", "silent", "silent", "silent"]);
  });

  it("would have noticed a refusal", async () => {
    const [chain] = (JSON.parse(readFileSync(join(project.state, "chain.json"), "utf8")) as { peers: string[] }).peers;
    const port = Number(chain!.split(":")[1]);
    const seen = await scanTcp(namespace, BRIDGE_ADDRESS, [port, port + 100]);
    expect(seen.open).toContain(port);
    expect(seen.refused.length).toBeGreaterThan(50);
    expect(await knockUdp(namespace, BRIDGE_ADDRESS, 3)).toBe("refused");
  });
});
