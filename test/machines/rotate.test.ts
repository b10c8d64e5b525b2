import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rotatables } from "../../cli/rotate/secret.js";
import { specification, type NodeStatus } from "../../cli/nodes.js";
import { placesOf } from "../../cli/places.js";
import { readMarks, readVersions } from "../../custody/records.js";
import type { HostFile } from "../../rehearsal/machines/machine.js";
import { createStranger } from "../../rehearsal/machines/stranger.js";
import { bringUpTunnel } from "../../rehearsal/machines/tunnel.js";
import { runIn } from "../../rehearsal/machines/namespace.js";
import { until } from "../../rehearsal/run.js";
import { newProject, type Ended, type Project } from "../project.js";
import { observe, succeeds, type Observer } from "./observer.js";
import { askLnd, walletOf } from "./outside.js";
import { passOf } from "./phone.js";

let project: Project;
let alice: Observer;
let host: HostFile;
const file = (name: string): string => join(project.state, name);
const nodeId = (): string => (JSON.parse(readFileSync(file("alice.lnd-seed.json"), "utf8")) as { nodePublicKey: string }).nodePublicKey;
const versions = () => readVersions(project.state).nodes["alice"] ?? {};
const timed = async (what: string, work: () => Promise<Ended>): Promise<Ended> => {
  const begin = Date.now();
  const ended = await work();
  console.log(`${what}: ${((Date.now() - begin) / 1000).toFixed(1)} s`);
  return ended;
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

const requireOpen = async (): Promise<void> => {
  const { nodes } = JSON.parse((await succeeds(project.holdfast("status", "--json"))).stdout) as { readonly nodes: readonly NodeStatus[] };
  expect(nodes[0]).toMatchObject({ gate: { state: "open", nodePublicKey: nodeId() }, probe: { failedUnits: [] } });
  expect(await alice.lndIdentity()).toBe(nodeId());
};

describe("rotate secret", () => {
  it("restarts exactly the consumers of each secret, and the node is as it was", async () => {
    const [node] = specification(placesOf(project.folder, "dev")).nodes;
    const all = rotatables(node!);
    expect(all.map(({ id }) => id)).toEqual(expect.arrayContaining(["bitcoin-rpc-password", "lnd-tls-key", "wireguard-node"]));
    for (const { id, consumers, files } of all) {
      const content = (): Promise<string> => alice.on(`cd /etc/nix-bitcoin-secrets && sha256sum ${files.join(" ")}`);
      const before = await content();
      const there = (await alice.on(`systemctl show --property=Id,LoadState -- ${consumers.join(" ")}`)).split("\n\n").flatMap((block) => (block.includes("LoadState=loaded") ? [/^Id=(.*)$/m.exec(block)![1]!] : []));
      let ended: Ended | undefined;
      const restarted = await alice.unitsChangedBy(async () => { ended = await timed(id, () => succeeds(project.holdfast("rotate", "secret", id, "--yes"))); });
      expect(restarted, `${id}: ${ended!.output}`).toEqual(there.sort());
      const after = await content();
      for (const [index, line] of before.split("\n").entries()) expect(after.split("\n")[index], line).not.toBe(line);
      expect(versions()[id]).toMatchObject({ version: 2 });
    }
    await requireOpen();
  });

  it("refuses what never rotates, and what there is not, in words that say what to do", async () => {
    const refusal = async (...argv: string[]): Promise<string> => {
      const { exitCode, output } = await project.holdfast("rotate", "secret", ...argv, "--yes");
      expect(exitCode).not.toBe(0);
      return output;
    };
    expect(await refusal("lnd-wallet-password")).toContain("is never rotated");
    expect(await refusal("wireguard-psk-phone")).toContain("holdfast rotate wireguard phone");
    expect(await refusal("nonsense")).toMatch(/no secret nonsense.*bitcoin-rpc-password/);
    expect((await project.holdfast("rotate", "secret", "lnd-tls-key")).output).toContain("Nothing was changed");
  });
});

describe("rotate wireguard", () => {
  it("lets the old configuration in until the new one has made its handshake, and never after", async () => {
    const before = await passOf(project, "phone");
    const { writeFileSync } = await import("node:fs");
    const wallet = walletOf(before.lndconnect);
    writeFileSync(file("lnd.pem"), wallet.certificate);
    const { namespace } = await createStranger({ state: project.state, name: "phone", address: host.address.replace(/\d+$/, "200") });
    const answers = async (): Promise<boolean> => (await askLnd(namespace, wallet, file("lnd.pem"))).exitCode === 0;
    await bringUpTunnel(namespace, before.configuration);
    expect(await answers()).toBe(true);

    const output = file("phone.conf");
    const waited = await timed("a phone that does not come", () => project.holdfast("rotate", "wireguard", "phone", "--yes", "--within", "1s", "--output", output));
    expect(waited.exitCode, waited.output).toBe(1);
    expect(waited.output).toContain("The old ones go on working");
    expect(statSync(output).mode & 0o777).toBe(0o600);
    expect(await answers()).toBe(true);
    expect(versions()["wireguard-peer-phone"]).toMatchObject({ version: 1, candidate: 2 });
    expect((await project.holdfast("rotate")).output).toContain('wireguard alice/phone: since');

    const rotation = project.start("rotate", "wireguard", "phone", "--yes", "--within", "60s", "--output", output);
    await until(() => readFileSync(output, "utf8") !== "", 1000);
    await bringUpTunnel(namespace, readFileSync(output, "utf8"));
    const { all } = await rotation;
    expect(all).toContain("its old configuration is worth nothing now");
    expect(await answers()).toBe(true);
    expect((await passOf(project, "phone")).configuration).toBe(readFileSync(output, "utf8"));
    await bringUpTunnel(namespace, before.configuration);
    expect(await answers()).toBe(false);
    expect((await runIn(namespace, ["wg", "show", "all", "latest-handshakes"])).stdout.trim()).toMatch(/\t0$/);
    expect((await alice.on("wg show wg-node allowed-ips")).trim().split("\n")).toHaveLength(2);
    await requireOpen();
  });
});

describe("rotate ssh", () => {
  it("has the hosts accept a new key, and the old one no more", async () => {
    const old = readFileSync(file("ssh_ed25519"), "utf8");
    const { output } = await timed("ssh", () => succeeds(project.holdfast("rotate", "ssh", "--yes")));
    expect(output).toMatch(/accept SHA256:\S+, and SHA256:\S+ no more/);
    expect(readFileSync(file("ssh_ed25519"), "utf8")).not.toBe(old);
    for (const name of ["ssh_ed25519.next", "ssh_ed25519.previous", "rotation.json"]) expect(existsSync(file(name)), name).toBe(false);
    await requireOpen();
    const key = join(project.folder, "old");
    const { writeFileSync } = await import("node:fs");
    writeFileSync(key, old, { mode: 0o600 });
    const { exitCode } = await runIn((await createStranger({ state: project.state, name: "thief", address: host.address.replace(/\d+$/, "201") })).namespace,
      ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-i", key, `root@${host.address}`, "true"]);
    expect(exitCode).toBe(255);
    expect(readMarks(project.state).made["ssh"]).toBeDefined();
  });
});

describe("rotate age", () => {
  it("gives the environment another passphrase, and the state opens with it alone", async () => {
    const marks = readMarks(project.state);
    await timed("age environment", () => succeeds(project.holdfast("rotate", "age", "environment", "--yes")));
    expect(readMarks(project.state).passphrase).not.toBe(marks.passphrase);
    await succeeds(project.pulumi("preview", "-s", "dev", "--expect-no-changes"));
    expect(existsSync(file("environment.age-key.previous"))).toBe(false);
    await requireOpen();
  });

  it("gives it another recovery recipient", async () => {
    const { output } = await timed("age recovery", () => succeeds(project.holdfast("rotate", "age", "recovery", "--yes")));
    expect(output).toContain("A new escrow is due");
  });

  it("seals the node identities for another wallet", async () => {
    const before = JSON.parse(readFileSync(file("alice.lnd-seed.json"), "utf8")) as { readonly recipient: string; readonly nodePublicKey: string };
    await timed("age wallet", () => succeeds(project.holdfast("rotate", "age", "wallet", "--yes")));
    const after = JSON.parse(readFileSync(file("alice.lnd-seed.json"), "utf8")) as { readonly recipient: string; readonly nodePublicKey: string };
    expect(after.recipient).not.toBe(before.recipient);
    expect(after.nodePublicKey).toBe(before.nodePublicKey);
    expect((await succeeds(project.holdfast("audit", "verify"))).output).not.toContain("changed");
  });
});
