import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DoctorFinding } from "../../cli/doctor.js";
import type { NodeStatus } from "../../cli/nodes.js";
import { sealText } from "../../custody/seal.js";
import { bundleSchema } from "../../formats/bundle.js";
import { hostLayout } from "../../formats/hostLayout.js";
import { placeSchema, type Place } from "../../formats/place.js";
import { printFormat } from "../../formats/versioned.js";
import { leftovers } from "../../rehearsal/machines/leftovers.js";
import { restartMachine } from "../../rehearsal/machines/machine.js";
import { processes } from "../../rehearsal/machines/processes.js";
import { until } from "../../rehearsal/run.js";
import { createStranger } from "../../rehearsal/machines/stranger.js";
import { bringUpTunnel } from "../../rehearsal/machines/tunnel.js";
import { newProject, type Ended, type Project } from "../project.js";
import { observe, succeeds, type Observer } from "./observer.js";
import { askLnd, scanTcp, walletOf } from "./outside.js";
import { passOf } from "./phone.js";

const AGENT = `${hostLayout.candidate}/sw/bin/holdfast-agent`;

let project: Project;
let alice: Observer;
let first: Ended;

interface Updated {
  readonly changes: Readonly<Record<string, number>>;
  readonly nodes: readonly NodeStatus[];
}
const json = <T>({ stdout }: Ended): T => JSON.parse(stdout) as T;
const node = (ended: Ended): NodeStatus => json<Updated>(ended).nodes[0]!;
const file = (name: string): string => join(project.state, name);
const nodeId = (): string => (JSON.parse(readFileSync(file("alice.lnd-seed.json"), "utf8")) as { nodePublicKey: string }).nodePublicKey;

const update = (): Promise<Ended> => succeeds(project.pulumi("up", "-s", "dev", "--yes", "--skip-preview"));

beforeAll(async () => {
  project = await newProject();
  alice = observe(project, "alice");
  const begin = Date.now();
  first = await project.holdfast("up", "--yes", "--json");
  console.log(`from nothing (warm cache) to an open gate: ${((Date.now() - begin) / 1000).toFixed(1)} s`);
});

afterAll(async () => {
  expect(await project.remove()).toEqual([]);
});

describe("up", () => {
  it("raises a node from nothing, and LND answers as the node of the delivered seed", async () => {
    expect(first.exitCode, first.output).toBe(0);
    expect(json<Updated>(first).changes).toEqual({ create: expect.any(Number) });
    expect(node(first)).toMatchObject({
      name: "alice", nodePublicKey: nodeId(), gate: { state: "open", decision: "fresh", nodePublicKey: nodeId() }, system: { state: "committed" },
      probe: { failedUnits: [], firewallLoaded: true, tunnel: { port: 51820, peers: 2 } },
    });
    expect(node(first).ports.filter(({ answer }) => answer === "open").map(({ port }) => port)).toEqual([22, 9735]);
    expect(await alice.lndIdentity()).toBe(nodeId());
  });

  it("changes nothing the second time, and opens no SSH connection", async () => {
    const called = project.connections();
    const { sessions, result } = await alice.sessionsDuring(async () => {
      const begin = Date.now();
      const second = await succeeds(project.holdfast("up", "--yes", "--json"));
      console.log(`a second up, nothing to do: ${((Date.now() - begin) / 1000).toFixed(1)} s`);
      return second;
    });
    expect(json<Updated>(result).changes).toEqual({ same: json<Updated>(first).changes["create"] });
    expect(node(result)).toMatchObject({ nodePublicKey: nodeId(), known: { gate: "open", decision: "fresh" } });
    expect([project.connections() - called, sessions]).toEqual([0, 0]);
    expect((await alice.sessionsDuring(() => alice.on("true"))).sessions, "the journal would have told").toBe(1);
    await project.holdfast("status");
    expect(project.connections(), "the count of connections too").toBeGreaterThan(called);
  });

  it("is no more than plain pulumi", async () => {
    const called = project.connections();
    await succeeds(project.pulumi("preview", "-s", "dev", "--expect-no-changes"));
    const { output } = await succeeds(project.pulumi("up", "-s", "dev", "--yes"));
    expect(output).toContain(`${json<Updated>(first).changes["create"]} unchanged`);
    expect(project.connections()).toBe(called);
  });

  it("refuses a wrong configuration in preview, by its path, and touches nothing", async () => {
    const right = readFileSync(join(project.folder, "Pulumi.dev.yaml"), "utf8");
    const called = project.connections();
    project.edit("Pulumi.dev.yaml", (text) => text.replace(/^( +)network: 10\.99\.0\.0\/24$/m, "$&\n$1tunel: here"));
    try {
      for (const refused of [await project.holdfast("preview"), await project.pulumi("preview", "-s", "dev"), await project.holdfast("up", "--yes")]) {
        expect(refused.exitCode).not.toBe(0);
        expect(refused.output).toContain('holdfast:nodes.alice.tunnel.tunel: found "here"; is no setting of ours');
      }
    } finally {
      project.edit("Pulumi.dev.yaml", () => right);
    }
    expect(project.connections()).toBe(called);
    await succeeds(project.pulumi("preview", "-s", "dev", "--expect-no-changes"));
  });
});

describe("status and doctor", () => {
  it("print what a script wants to know, as JSON", async () => {
    const status = await succeeds(project.holdfast("status", "--json"));
    expect(json<{ environment: string; nodes: NodeStatus[] }>(status)).toMatchObject({
      environment: "dev", nodes: [{ name: "alice", nodePublicKey: nodeId(), gate: { state: "open" }, ports: expect.arrayContaining([{ port: 8080, name: "lnd-rest", wanted: "closed", answer: "silent" }]) }],
    });
    const findings = json<DoctorFinding[]>(await succeeds(project.holdfast("doctor", "--json")));
    expect(findings.filter(({ ok }) => !ok)).toEqual([]);
    expect(findings.map(({ name }) => name)).toEqual(expect.arrayContaining(["Node.js", "machine alice", "Pulumi", "Pulumi.dev.yaml"]));
  });
});

describe("secrets", () => {
  const installed = (): Promise<string> => alice.traces(hostLayout.secrets, `${hostLayout.secrets}/`, `${hostLayout.secrets}.d`);

  it("restart their consumers once when they change, and nothing else; the old ones are worth nothing then", async () => {
    const before = await passOf(project, "phone");
    const wallet = walletOf(before.lndconnect);
    writeFileSync(file("lnd.pem"), wallet.certificate);
    const { namespace } = await createStranger({ state: project.state, name: "phone", address: node(first).address.replace(/\d+$/, "200") });
    const answers = async (configuration: string): Promise<boolean> => {
      await bringUpTunnel(namespace, configuration);
      return (await askLnd(namespace, wallet, file("lnd.pem"))).exitCode === 0;
    };
    expect(await answers(before.configuration)).toBe(true);
    const started = await alice.starts("wireguard-wg-node.service");

    await alice.taint("alice-secrets-wireguard-psk-phone-root");
    expect(await alice.unitsChangedBy(update)).toEqual(["wireguard-wg-node.service"]);

    expect(await alice.starts("wireguard-wg-node.service")).toBe(started + 1);
    expect(await answers(before.configuration)).toBe(false);
    expect(await answers((await passOf(project, "phone")).configuration)).toBe(true);
  });

  it("restart each of several consumers once, LND before it loses its chain backend, and LND is there again with the new RPC password", async () => {
    const started = await alice.starts("bitcoind.service", "lnd.service");
    await alice.taint("alice-secrets-bitcoin-rpc-password-root");
    expect(await alice.unitsChangedBy(update)).toEqual(["bitcoind.service", "lnd.service"]);
    expect(await alice.starts("bitcoind.service", "lnd.service")).toBe(started + 2);
    const last = await alice.on("journalctl --quiet --boot --output=cat --unit=bitcoind.service --unit=lnd.service | grep -oE '^(Stopping|Stopped|Starting|Started) [a-z]+' | tail --lines=8");
    expect(last.split("\n")).toEqual(["Stopping lnd", "Stopped lnd", "Stopping bitcoind", "Stopped bitcoind", "Starting bitcoind", "Started bitcoind", "Starting lnd", "Started lnd"]);
    expect(await alice.lndIdentity()).toBe(nodeId());
  });

  it.each(["deliver", "seal"])("touch no file and restart nothing when an unchanged bundle comes again (%s made anew)", async (step) => {
    const before = await installed();
    await alice.taint(`alice-bundle-${step}`);
    const restarted = await alice.unitsChangedBy(async () => {
      const { output } = await update();
      expect(output).toContain("0 secrets changed");
    });
    expect(restarted).toEqual([]);
    expect(await installed()).toBe(before);
  });

  describe("of somebody else", () => {
    let place: Place;
    let recipient: string;
    const deliver = async (meant: Place, version: number, sealedFor = recipient): Promise<Ended> => {
      const sealed = await sealText(printFormat(bundleSchema, { format: "holdfast-bundle/1", place: meant, version, files: [] }), sealedFor);
      return project.ssh("alice", `echo ${Buffer.from(JSON.stringify({ sealed })).toString("base64")} | base64 --decode | ${AGENT} receive`);
    };
    const refused = async (delivery: () => Promise<Ended>): Promise<string> => {
      const untouched = (): Promise<string> => alice.traces(hostLayout.secrets, `${hostLayout.secrets}.d`, hostLayout.bundle, hostLayout.installed, hostLayout.place, hostLayout.identity);
      const before = await untouched();
      const units = await alice.unitsChangedBy(async () => expect((await delivery()).exitCode).toBe(1));
      expect(units).toEqual([]);
      expect(await untouched()).toBe(before);
      return (await delivery()).output;
    };

    beforeAll(async () => {
      place = placeSchema.parse(JSON.parse(await alice.on(`cat ${hostLayout.place}`)));
      ({ recipient } = JSON.parse(await alice.on(`echo '${JSON.stringify({ place })}' | ${AGENT} contact`)) as { recipient: string });
    });

    it.each([
      ["environment", { environment: "prod" }, "environment prod, and this host is environment dev"],
      ["network", { network: "mainnet" }, "network mainnet, and this host is network regtest"],
      ["node", { node: "bob" }, "node bob, and this host is node alice"],
      ["generation", { generation: 2 }, "generation 2, and this host is generation 1"],
    ] as const)("are refused by the host: another %s", async (_, other, words) => {
      expect(await refused(() => deliver({ ...place, ...other }, Date.now()))).toContain(`is refused: it is meant for ${words}`);
    });

    it("are refused when they are older than the host's own", async () => {
      expect(await refused(() => deliver(place, 1))).toMatch(/is refused: it was sealed 1970-01-01.*, and this host has had one of 2\d{3}-/);
    });

    it("are refused when they are sealed for another host", async () => {
      const { recovery } = JSON.parse(readFileSync(file("recipients.json"), "utf8")) as { recovery: string };
      expect(await refused(() => deliver(place, Date.now(), recovery))).toContain(`sealed for another host than ${recipient}`);
    });
  });
});

describe("a host", () => {
  it("with another key than the pinned one stops the update before anything is sent", async () => {
    const right = readFileSync(file("machines/alice.json"), "utf8");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file("other")]);
    // Leaves a shared connection open, proven by the right key: it must not serve a host of another one.
    await succeeds(project.holdfast("status"));
    const { sessions, result } = await alice.sessionsDuring(async () => {
      project.edit(".holdfast/dev/machines/alice.json", (text) => JSON.stringify({ ...(JSON.parse(text) as object), hostKey: readFileSync(file("other.pub"), "utf8").trim() }));
      try {
        return await project.pulumi("up", "-s", "dev", "--yes", "--skip-preview");
      } finally {
        project.edit(".holdfast/dev/machines/alice.json", () => right);
      }
    });
    expect(result.exitCode).not.toBe(0);
    expect(result.output).toContain("Host key verification failed");
    expect(result.output).toContain("its key must be the pinned one");
    expect(result.output).toMatch(/alice-host-reach.*(failed|errored)/);
    expect(result.output).not.toMatch(/alice-system-install.*updat/);
    expect(sessions).toBe(0);
    const again = await update();
    expect(again.output).toMatch(/unchanged/);
  });

  it("comes back from a restart by itself: LND unlocked, firewall and tunnel up", async () => {
    await restartMachine(project.state, "alice", () => undefined);
    let status: NodeStatus | undefined;
    const begin = Date.now();
    const opened = await until(async () => {
      status = node(await project.holdfast("status", "--json"));
      return status.gate?.state === "open";
    }, 60_000, 500);
    expect(opened, JSON.stringify(status)).toBe(true);
    console.log(`open again ${((Date.now() - begin) / 1000).toFixed(1)} s after a restart`);
    expect(status).toMatchObject({
      gate: { decision: "adopt", nodePublicKey: nodeId() }, system: { state: "committed", toplevel: node(first).system!.toplevel },
      probe: { failedUnits: [], firewallLoaded: true, tunnel: { ...node(first).probe!.tunnel, lastHandshake: null } },
    });
    const { namespace } = await createStranger({ state: project.state, name: "stranger", address: node(first).address.replace(/\d+$/, "210") });
    expect(await scanTcp(namespace, node(first).address, [1, 12_000])).toEqual({ open: [22, 9735], refused: [], silent: 11_998 });
  });
});

describe("destroy", () => {
  it("leaves no machine, namespace, process, mount, link or rule, and no resource", async () => {
    const { address } = node(first);
    await succeeds(project.holdfast("destroy", "--yes"));
    expect(leftovers(project.state)).toEqual([]);
    expect(processes().filter(({ argv }) => argv.some((one) => one.includes(project.folder)))).toEqual([]);
    expect(existsSync(file("machines/alice.json"))).toBe(false);
    expect(execFileSync("nft", ["list", "ruleset"]).toString()).not.toMatch(new RegExp(`holdfast|${address}`));
    expect(json<{ deployment: { resources?: unknown[] } }>(await succeeds(project.pulumi("stack", "export", "-s", "dev"))).deployment.resources ?? []).toEqual([]);
  });
});
