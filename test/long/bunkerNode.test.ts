import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { nip19 } from "nostr-tools";
import * as nip44 from "nostr-tools/nip44";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Invitation } from "../../cli/bunker/grants.js";
import type { BunkerStatus } from "../../cli/bunker/host.js";
import type { NodeStatus } from "../../cli/nodes.js";
import { hostLayout } from "../../formats/hostLayout.js";
import { restartMachine } from "../../rehearsal/machines/machine.js";
import { BRIDGE_ADDRESS } from "../../rehearsal/machines/names.js";
import { until } from "../../rehearsal/run.js";
import { startClient, type ClientProgram } from "../interop/nostr/client.js";
import { makeRelay, type RelayProgram } from "../interop/nostr/relays.js";
import { newProject, type Ended, type Project } from "../project.js";
import { observe, succeeds, type Observer } from "../machines/observer.js";

const UNIT = "bunker.service";
const admin = getPublicKey(generateSecretKey());

let project: Project;
let alice: Observer;
let relay: RelayProgram;
/** The relay listens on loopback; this is its door on the bridge. */
let door: Server | undefined;
let port: number;
let first: Ended;
const clients: ClientProgram[] = [];

const json = <T>({ stdout }: Ended): T => JSON.parse(stdout) as T;
const bunker = async <T>(...argv: string[]): Promise<T> => json<T>(await succeeds(project.holdfast("bunker", ...argv, "--json")));
const property = (name: string): Promise<string> => alice.on(`systemctl show --property=${name} --value ${UNIT}`);
const active = (): Promise<boolean> => until(async () => (await property("ActiveState")) === "active", 60_000, 250);
const keys = async (): Promise<Record<string, string>> => Object.fromEntries((await bunker<BunkerStatus>("keys")).keys.map(({ name, is }) => [name, is]));

async function openDoor(): Promise<void> {
  const inner = Number(new URL(relay.url).port);
  door = createServer((socket) => {
    const through = connect(inner, "127.0.0.1");
    for (const [one, other] of [[socket, through], [through, socket]] as const) one.on("error", () => other.destroy()).on("close", () => other.destroy());
    socket.pipe(through).pipe(socket);
  }).listen(port, BRIDGE_ADDRESS);
  await once(door, "listening");
}

/** A client of nostr-sdk's, bound by an invitation of the operator's. */
async function invited(key: string, called: string): Promise<{ readonly client: ClientProgram; readonly publicKey: string }> {
  const { uri } = await bunker<Invitation>("invite", key, called, "--policy", "messages", "--expires", "30d");
  const client = await startClient("nostr-sdk");
  clients.push(client);
  await client.ask("connect", { uri, secretKey: Buffer.from(generateSecretKey()).toString("hex") });
  return { client, publicKey: (await client.ask("get_public_key")) as string };
}

/** Both ways: what a friend has encrypted for the key, and what the key encrypts for the friend. */
async function roundTrips({ client, publicKey }: { readonly client: ClientProgram; readonly publicKey: string }): Promise<void> {
  const friend = generateSecretKey();
  const conversation = nip44.getConversationKey(friend, publicKey);
  const text = `grüß dich, ${Math.random()}`;
  expect(await client.ask("decrypt", { scheme: "nip44", with: getPublicKey(friend), text: nip44.encrypt(text, conversation) })).toBe(text);
  expect(nip44.decrypt((await client.ask("encrypt", { scheme: "nip44", with: getPublicKey(friend), text })) as string, conversation)).toBe(text);
}

beforeAll(async () => {
  project = await newProject();
  alice = observe(project, "alice");
  relay = await makeRelay("khatru");
  await relay.start();
  port = Number(new URL(relay.url).port);
  project.edit("Pulumi.dev.yaml", (text) => text.replace(/^( +)backup:$/m,
    `$1services: [lnd, bunker]\n$1bunker:\n$1  relays: [ws://${BRIDGE_ADDRESS}:${port}]\n$1  admins: [${nip19.npubEncode(admin)}]\n$&`));
  first = await project.holdfast("up", "--yes", "--json");
});
afterAll(async () => {
  for (const client of clients) await client.stop();
  door?.close();
  await relay.kill();
  if (process.env["HOLDFAST_KEEP"] === undefined) expect(await project.remove()).toEqual([]);
});

describe("a node's bunker", () => {
  it("does not hold the node up while no relay is there, and is ready once one has answered", async () => {
    expect(first.exitCode, first.output).toBe(0);
    const { nodes: [node] } = json<{ readonly nodes: readonly NodeStatus[] }>(await succeeds(project.holdfast("status", "--json")));
    expect(node).toMatchObject({ gate: { state: "open" }, probe: { failedUnits: [] }, bunker: { keys: [], relays: [{ url: `ws://${BRIDGE_ADDRESS}:${port}` }] } });
    expect(node!.bunker!.relays[0]!.is).not.toBe("listening");
    expect(await property("ActiveState")).toBe("activating");
    await openDoor();
    expect(await active()).toBe(true);
    expect((await bunker<BunkerStatus>("keys")).relays).toMatchObject([{ is: "listening" }]);
  });

  it("is confined, watched, and reads its secrets from credentials alone", async () => {
    const shown = Object.fromEntries((await alice.on(`systemctl show --all ${UNIT}`)).split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
    expect(shown).toMatchObject({
      Type: "notify", NotifyAccess: "all", WatchdogUSec: "2min", User: "bunker", NoNewPrivileges: "yes", ProtectSystem: "strict", ProtectHome: "yes", PrivateTmp: "yes", PrivateDevices: "yes",
      ProtectProc: "invisible", ProcSubset: "pid", CapabilityBoundingSet: "", RestrictNamespaces: "yes", LimitCORE: "0", UMask: "0077", StateDirectoryMode: "0700", RestrictAddressFamilies: "AF_INET AF_INET6 AF_UNIX",
    });
    expect(shown["Environment"]).toMatch(/NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE=\/run\/credentials\/bunker\.service\/passphrase/);
    const calls = shown["SystemCallFilter"]!.split(" ");
    expect(calls).toEqual(expect.arrayContaining(["read", "pkey_alloc"]));
    for (const call of ["keyctl", "process_vm_readv", "unshare", "bpf", "mount"]) expect(calls).not.toContain(call);
    expect(await alice.on("stat --format='%U %a' /var/lib/bunker /run/bunker /run/bunker/control.sock")).toBe("bunker 700\nbunker 700\nbunker 600");
  });

  it("serves two keys that the operator made: a client decrypts with both, after a restart and after a reboot as before", async () => {
    const status = await bunker<{ readonly name: string }>("policy", "add", "--preset", "messages");
    expect(status.name).toBe("messages");
    for (const key of ["shop", "blog"]) await bunker("create", key);
    const bound = [await invited("shop", "wallet server"), await invited("blog", "phone")];
    for (const one of bound) await roundTrips(one);

    const begin = Date.now();
    await alice.on(`systemctl restart ${UNIT}`);
    expect(await keys()).toEqual({ shop: "open", blog: "open" });
    for (const one of bound) await roundTrips(one);
    console.log(`restart to served again: ${((Date.now() - begin) / 1000).toFixed(1)} s`);

    await restartMachine(project.state, "alice", () => undefined);
    expect(await until(async () => (await project.ssh("alice", `systemctl is-active ${UNIT}`)).stdout === "active", 90_000, 500)).toBe(true);
    expect(await keys()).toEqual({ shop: "open", blog: "open" });
    for (const one of bound) await roundTrips(one);
    expect(await alice.on(`journalctl --quiet --boot --output=cat --unit=${UNIT} | grep --only-matching 'autounlock: unlocked [a-z]*\\|unlocked ./.'`)).toBe("autounlock: unlocked shop\nautounlock: unlocked blog\nunlocked 2/2");
  });

  it("takes the identity that the stack names, once the gate has placed it, and leaves no secret in its file", async () => {
    const made = (await succeeds(project.holdfast("wallet", "create", "alice", "--kind", "nsec", "--name", "press"))).output;
    const [, path, publicKey] = /^(\S+): nsec ([0-9a-f]{64})/m.exec(made)!;
    project.edit("Pulumi.dev.yaml", (text) => text.replace(/^( +)services: \[lnd, bunker\]$/m, `$&\n$1identities: [${path}]`));
    await succeeds(project.holdfast("up", "--yes", "--json"));
    expect(await active()).toBe(true);
    expect(await keys()).toEqual({ shop: "open", blog: "open", press: "open" });
    const place = `${hostLayout.bunker}/identities/press`;
    expect(await alice.on(`cat ${place}`)).toBe(nip19.npubEncode(publicKey!));
    const press = await invited("press", "journalist");
    expect(press.publicKey).toBe(publicKey);
    await roundTrips(press);

    await alice.on("systemctl restart holdfast-gate.service");
    expect(await until(async () => json<{ nodes: NodeStatus[] }>(await project.holdfast("status", "--json")).nodes[0]!.gate?.state === "open", 30_000, 500)).toBe(true);
    const other = nip19.npubEncode(getPublicKey(generateSecretKey()));
    await alice.on(`cp -p ${place} /root/press; echo ${other} > ${place}; systemctl restart holdfast-gate.service || true`);
    expect(await until(async () => json<{ nodes: NodeStatus[] }>(await project.holdfast("status", "--json")).nodes[0]!.gate?.state === "stop", 30_000, 500)).toBe(true);
    expect(json<{ nodes: NodeStatus[] }>(await project.holdfast("status", "--json")).nodes[0]!.gate?.reason).toContain(`${place} holds `);
    await alice.on(`cp -p /root/press ${place}; systemctl restart holdfast-gate.service`);
  });

  it("obeys the operator: a revoked client is refused, a locked key stays locked over a restart, the audit log is whole", async () => {
    const { client, publicKey } = await invited("blog", "borrowed laptop");
    await roundTrips({ client, publicKey });
    await bunker("revoke", "blog", "borrowed laptop");
    await expect(roundTrips({ client, publicKey })).rejects.toThrow(/access to this key has ended/);
    await bunker("lock", "blog");
    await alice.on(`systemctl restart ${UNIT}`);
    expect(await keys()).toMatchObject({ blog: "locked", shop: "open" });
    expect((await project.holdfast("bunker", "invite", "blog", "late", "--policy", "messages")).output).toMatch(/blog is locked.*holdfast bunker unlock blog/);
    await bunker("unlock", "blog");
    expect(await keys()).toMatchObject({ blog: "open" });
    expect(await bunker("audit", "--verify")).toMatchObject({ whole: true });
    expect((await succeeds(project.holdfast("bunker", "audit", "--key", "blog"))).output).toMatch(/revoke_user|lock/);
    const file = `${project.folder}/bunker.age`;
    expect(await bunker<{ readonly bytes: number }>("backup", file)).toMatchObject({ file });
    expect((await project.holdfast("bunker", "backup", file)).output).toContain("is there already");
    expect((await succeeds(project.holdfast("status"))).output).toMatch(/bunker +3 of 3 keys unlocked, 1 of 1 relays listening/);
  });

  it("shows its passphrase and keys nowhere: not in the journal, in its own environment, in arguments, in its files", async () => {
    const found = (where: string): Promise<string> => alice.on(`(${where}) | tr '\\0' '\\n' | grep --count --fixed-strings --file=${hostLayout.secrets}/bunker-passphrase || true`);
    expect(await found(`cat ${hostLayout.secrets}/bunker-passphrase`), "it can be found").toBe("1");
    expect(await found("journalctl --sync; journalctl --quiet --output=export")).toBe("0");
    const pid = await property("MainPID");
    expect(await found(`cat /proc/${pid}/environ /proc/${pid}/cmdline; systemctl show ${UNIT}; find ${hostLayout.bunker} -type f -exec cat {} +`)).toBe("0");
    expect(await alice.on(`grep --recursive --text --count nsec1 ${hostLayout.bunker}/identities || true`)).toBe(`${hostLayout.bunker}/identities/press:0`);
    expect(await alice.on("journalctl --quiet --output=cat | grep --count nsec1 || true")).toBe("0");
  });
});
