import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { newIdentity } from "../../custody/seal.js";
import { makeSeed } from "../../custody/wallet/make.js";
import { startCloud, type Cloud } from "../../rehearsal/cloud/cloud.js";
import { parseFaults, type FaultInput } from "../../rehearsal/cloud/api/faults.js";
import type { World } from "../../rehearsal/cloud/api/world.js";
import { ownerOf, releaseEnvironment } from "../../components/host/hetznerProject.js";
import { ensureEngine, type Engine } from "../../rehearsal/engine/engine.js";
import { fakeBackend, type FakeBackend } from "../cloud/fakeBackend.js";
import { HOST_STEPS, layHostlessProject, say, stepsThatRan, type Said } from "../hostless.js";

let engine: Engine;
/** A project whose stack was updated once, and the state of its cloud. Each test works on a copy. */
let raised: string;
let raisedCloud: string;
let folder: string;
let cloudFolder: string;
let cloud: Cloud;
let backend: FakeBackend;
/** What the first update asked for. */
let created: string[];

const key = (letter: string): string => {
  const part = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  return `ssh-ed25519 ${Buffer.concat([part(Buffer.from("ssh-ed25519")), part(Buffer.alloc(32, letter))]).toString("base64")}`;
};

beforeAll(async () => {
  const cache = process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast");
  engine = await ensureEngine({ cache, report: (line) => process.stderr.write(`${line}\n`) });
  raised = folder = mkdtempSync(join(tmpdir(), "holdfast-hetzner-"));
  raisedCloud = cloudFolder = mkdtempSync(join(tmpdir(), "holdfast-hetzner-cloud-"));
  await project();
  await start();
  await pulumi("stack", "init");
  await up();
  created = asked();
  await cloud.close();
}, 1_500_000);
afterAll(() => {
  for (const one of [raised, raisedCloud]) rmSync(one, { recursive: true, force: true });
});

let port = 0;
/** Starts the cloud where the last one was, over a backend that has what its state says. */
async function start(): Promise<void> {
  backend = fakeBackend();
  cloud = await startCloud({ state: cloudFolder, backend, port, projects: ["ours", "other"] });
  port = cloud.port;
  for (const { id, size } of ours().volumes) await backend.createVolume(id, size);
  for (const { id, name } of ours().servers) await backend.createServer({ id, name, image: "debian-13", sshKeys: [], addresses: {}, volumes: ours().volumes.map((one) => one.id), power: "on" });
}
/** What the stack's own project has. */
const ours = (name = "ours"): World => cloud.state().projects[name] ?? { servers: [], ssh_keys: [], volumes: [], primary_ips: [], firewalls: [], networks: [], placement_groups: [] };

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-hetzner-"));
  cloudFolder = mkdtempSync(join(tmpdir(), "holdfast-hetzner-cloud-"));
  cpSync(raised, folder, { recursive: true, verbatimSymlinks: true });
  cpSync(raisedCloud, cloudFolder, { recursive: true });
  await start();
  ran();
});
afterEach(async () => {
  await cloud.close();
  for (const one of [folder, cloudFolder]) rmSync(one, { recursive: true, force: true });
});

async function project(): Promise<void> {
  await layHostlessProject(folder, ["secrets/steps/hold", "host/steps/release"]);
  const wallet = (await newIdentity()).recipient;
  writeFileSync(join(folder, "Pulumi.dev.yaml"), stringify({ config: {
    "holdfast:network": "regtest",
    "holdfast:system": { flake: "flake" },
    "holdfast:access": { authorizedKeys: [key("k")] },
    "holdfast:recipients": { environment: `age1${"e".repeat(58)}`, recovery: `age1${"r".repeat(58)}`, wallet },
    "holdfast:deposit": { folder: "deposit" },
    "holdfast:nodes": { alice: {
      host: { hetzner: { location: "fsn1", serverType: "cx33", volume: { size: 20 } } }, identity: "seed.json", tunnel: { peers: { phone: { address: "10.10.0.2" } } },
      backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: "store-password" },
    } },
  } }));
  writeFileSync(join(folder, "seed.json"), JSON.stringify(await makeSeed({ environment: "dev", network: "regtest", node: "alice", recipient: wallet }, new Date())));
}

type Hetzner = Record<string, unknown> & { volume: Record<string, unknown> };
/** Changes the host's part of the stack file. */
function configure(change: (hetzner: Hetzner, alice: Record<string, unknown>) => void): void {
  const file = join(folder, "Pulumi.dev.yaml");
  const stack = parse(readFileSync(file, "utf8")) as { readonly config: { readonly "holdfast:nodes": { readonly alice: { readonly host: { readonly hetzner: Hetzner } } } } };
  const { alice } = stack.config["holdfast:nodes"];
  change(alice.host.hetzner, alice as unknown as Record<string, unknown>);
  writeFileSync(file, stringify(stack));
}

const environment = (token: string): NodeJS.ProcessEnv => ({
  ...process.env, ...engine.environment, PATH: [...engine.path, process.env["PATH"]].join(":"), PULUMI_BACKEND_URL: `file://${folder}/state`, PULUMI_CONFIG_PASSPHRASE: "test",
  HCLOUD_TOKEN: token, HCLOUD_ENDPOINT: cloud.endpoint,
});
const run = (args: readonly string[], token = cloud.tokens["ours"]!.write): Promise<Said> =>
  say(join(engine.path[0] ?? "", "pulumi"), [...args, "--stack", "dev", "--non-interactive"], { folder, environment: environment(token) });

async function pulumi(...args: string[]): Promise<string> {
  const { well, stdout, output } = await run(args);
  if (!well) throw new Error(output);
  return stdout;
}
/** Alone on its line: nothing else was there to count. */
const UNCHANGED = /^ +\d+ unchanged$/m;
const UP = ["up", "--yes", "--skip-preview"];
const up = (): Promise<string> => pulumi(...UP);
async function failure(args: readonly string[], token?: string): Promise<string> {
  const { well, output } = await run(args, token);
  if (well) throw new Error(`it did not fail:\n${output}`);
  return output;
}
const ran = (): string[] => stepsThatRan(folder).sort();
/** Method and path of every request since a number, ids as `N` and without queries. */
const asked = (after = 0): string[] => cloud.requests().filter(({ number }) => number > after).map(({ method, path }) => `${method} ${path.split("?")[0]!.replaceAll(/\d{3,}/g, "N")}`);
const writes = (after = 0): string[] => asked(after).filter((one) => !one.startsWith("GET "));

/** Something that somebody does in Hetzner's console. */
async function inConsole(method: string, path: string, body?: unknown): Promise<void> {
  const response = await fetch(`${cloud.endpoint}${path}`, { method, headers: { authorization: `Bearer ${cloud.tokens["ours"]!.write}`, connection: "close" }, ...(body !== undefined && { body: JSON.stringify(body) }) });
  expect(response.ok, await response.text()).toBe(true);
  await cloud.idle();
}
async function loseServer(id: number): Promise<void> {
  await inConsole("POST", `/servers/${id}/actions/change_protection`, { delete: false, rebuild: false });
  await inConsole("DELETE", `/servers/${id}`);
}
const ids = (world = ours()) => ({ server: world.servers.map(({ id }) => id), volume: world.volumes.map(({ id }) => id), addresses: world.primary_ips.map(({ id }) => id), firewalls: world.firewalls.map(({ id }) => id), keys: world.ssh_keys.map(({ id }) => id) });
/** What must be true of the project whenever an update has ended well. */
function expectWhole(): void {
  const { servers: [server, ...servers], volumes: [volume, ...volumes], primary_ips, firewalls } = ours();
  expect([servers, volumes, primary_ips.length, firewalls.length, ours().ssh_keys.length]).toEqual([[], [], 2, 2, 1]);
  expect(server).toMatchObject({ status: "running", protection: { delete: true, rebuild: true } });
  expect(volume).toMatchObject({ server: server!.id, protection: { delete: true } });
  for (const ip of primary_ips) expect(ip).toMatchObject({ assignee: server!.id, autoDelete: false, protection: { delete: true } });
  expect(firewalls.map(({ appliedTo }) => appliedTo)).toEqual(expect.arrayContaining([[{ server: server!.id, status: "applied" }], [{ selector: expect.stringContaining("holdfast-node=alice") as string }]]));
}
interface Exported { readonly urn: string; readonly type: string; readonly id?: string }
const resources = async (): Promise<Exported[]> => (JSON.parse(await pulumi("stack", "export")) as { readonly deployment: { readonly resources: Exported[] } }).deployment.resources;
/** Takes everything out of the project. */
async function empty(): Promise<void> {
  for (const { id } of ours().servers) await loseServer(id);
  for (const [kind, all] of [["volumes", ours().volumes], ["primary_ips", ours().primary_ips]] as const) {
    for (const { id } of all) {
      await inConsole("POST", `/${kind}/${id}/actions/change_protection`, { delete: false });
      await inConsole("DELETE", `/${kind}/${id}`);
    }
  }
  for (const { id, appliedTo } of ours().firewalls) {
    const selectors = appliedTo.flatMap((to) => ("selector" in to ? [{ type: "label_selector", label_selector: to }] : []));
    if (selectors.length > 0) await inConsole("POST", `/firewalls/${id}/actions/remove_from_resources`, { remove_from: selectors });
    await inConsole("DELETE", `/firewalls/${id}`);
  }
  for (const { id } of ours().ssh_keys) await inConsole("DELETE", `/ssh_keys/${id}`);
  expect(ids()).toEqual(NOTHING);
}
const NOTHING = { server: [], volume: [], addresses: [], firewalls: [], keys: [] };

describe("an update", () => {
  it("makes one of each, whole, with the policy's rules and nothing else", () => {
    expectWhole();
    const rules = ours().firewalls.map(({ name, rules: all }) => [name, all.map(({ protocol, port }) => `${protocol} ${port ?? ""}`.trim()).sort()]);
    expect(Object.fromEntries(rules)).toEqual({ "dev-closed": [], "dev-alice": ["icmp", "tcp 22", "tcp 9735", "udp 51820"] });
    expect(created.filter((one) => one.startsWith("POST") && !one.includes("/actions/")).sort())
      .toEqual(["POST /firewalls", "POST /firewalls", "POST /primary_ips", "POST /primary_ips", "POST /servers", "POST /ssh_keys", "POST /volumes"]);
  });

  it("asks the API for no more than it must", () => {
    expect(created.filter((one) => one !== "GET /actions").length).toBeLessThan(32);
  });

  it("makes only reads when nothing has changed, and runs no step", async () => {
    expect(await up()).toMatch(UNCHANGED);
    expect(ran()).toEqual([]);
    expect(writes()).toEqual([]);
    expect(asked()).toHaveLength(15);
  });

  it("makes a server that was deleted behind its back again, at its address and with its volume, and deploys to it", async () => {
    const before = ids();
    await loseServer(before.server[0]!);
    const last = cloud.requests().length;
    await up();
    expectWhole();
    const after = ids();
    expect(after.server).not.toEqual(before.server);
    expect({ ...after, server: before.server }).toEqual(before);
    expect(writes(last).filter((one) => !one.includes("/actions/"))).toEqual(["POST /servers"]);
    expect(ran()).toEqual(expect.arrayContaining(["welcome", ...HOST_STEPS]));
    await up();
    expect(ran()).toEqual([]);
  });

  it("switches a server on that somebody has switched off, and runs none of the host's steps for it", async () => {
    await inConsole("POST", `/servers/${ids().server[0]}/actions/poweroff`);
    const last = cloud.requests().length;
    await up();
    expectWhole();
    expect(writes(last)).toEqual(["POST /servers/N/actions/poweron"]);
    expect(ran()).toEqual([]);
  });

  it("applies a firewall again that somebody has taken off", async () => {
    const { id, appliedTo: [applied] } = ours().firewalls.find(({ name }) => name === "dev-alice")!;
    await inConsole("POST", `/firewalls/${id}/actions/remove_from_resources`, { remove_from: [{ type: "label_selector", label_selector: applied }] });
    expect(backend.servers.get(ids().server[0]!)!.filter).toEqual([]);
    await up();
    await cloud.idle();
    expectWhole();
    expect(backend.servers.get(ids().server[0]!)!.filter!.map(({ port }) => port ?? "icmp").sort()).toEqual(["22", "51820", "9735", "icmp"]);
  });

  it("replaces the server alone for a new generation, which has another host key, and protects it again", async () => {
    const before = { ids: ids(), address: ours().primary_ips[0]!.ip, userData: ours().servers[0]!.userData };
    configure((hetzner) => { Object.assign(hetzner, { generation: 2, image: "debian-12" }); });
    await up();
    expectWhole();
    const [server] = ours().servers;
    expect({ ...ids(), server: before.ids.server }).toEqual(before.ids);
    expect(server!.id).not.toBe(before.ids.server[0]);
    expect(server!.userData).not.toBe(before.userData);
    expect(server).toMatchObject({ image: 114690387, labels: { "holdfast-generation": "2" } });
    expect(ran()).toEqual(expect.arrayContaining(["welcome", ...HOST_STEPS]));
    expect(await up()).toMatch(UNCHANGED);
    expect(ran()).toEqual([]);
  });

  it("changes nothing for another image, key or template of user data: they wait for the next generation", async () => {
    configure((hetzner) => { hetzner["image"] = "debian-12"; });
    await up();
    expect(writes()).toEqual([]);
  });

  it("changes the rules of the firewall, and nothing else, for another port", async () => {
    configure((_, alice) => { alice["lightning"] = { p2pPort: 9800 }; });
    await up();
    expect(writes()).toEqual(["POST /firewalls/N/actions/set_rules"]);
    expect(backend.servers.get(ids().server[0]!)!.filter).toContainEqual(expect.objectContaining({ protocol: "tcp", port: "9800" }));
  });

  it("lets SSH in from nowhere when it answers inside the tunnel alone", async () => {
    configure((_, alice) => { alice["ssh"] = { from: "tunnel" }; });
    await up();
    expect(backend.servers.get(ids().server[0]!)!.filter!.map(({ port }) => port)).not.toContain("22");
  });

  it("waits out a rate limit while it makes something", async () => {
    await loseServer(ids().server[0]!);
    cloud.faults.set([{ do: "rateLimit", times: 6 }]);
    await up();
    expectWhole();
    expect(cloud.requests().filter(({ status }) => status === 429)).toHaveLength(6);
  });
});

describe("a token that is not the project's", () => {
  it("is refused in words when nobody knows it, and the state stays as it is", async () => {
    const known = async (): Promise<unknown> => (await resources()).map(({ urn, id }) => [urn, id]);
    const before = await known();
    expect(await failure(UP, "x".repeat(64))).toMatch(/alice-hetzner-\w+ refreshing.*error.*unauthorized/);
    expect(writes()).toEqual([]);
    expect(await known()).toEqual(before);
    expect(await up()).toMatch(UNCHANGED);
  });

  it.each(["preview", "up"])("is refused in a %s when it is another project's, again and again, and nothing is made there; with its own, everything is found again", async (command) => {
    const before = ids();
    const args = command === "up" ? UP : [command];
    for (const _ of [1, 2]) {
      const output = await failure(args, cloud.tokens["other"]!.write);
      expect(output).toContain("hcloud:token: found a project without node alice's address (primary IP");
      expect(output).toContain(`host.hetzner.lost: ${ours().primary_ips.find(({ type }) => type === "ipv4")!.id}`);
    }
    expect(ids(ours("other"))).toEqual(NOTHING);
    expect(writes()).toEqual([]);
    await up();
    expect(ids()).toEqual(before);
    expect(writes()).toEqual([]);
    expect(ran()).toEqual([]);
    expectWhole();
    expect(await up()).toMatch(UNCHANGED);
  });

  it("is refused before a first update too, in words that say what to do", async () => {
    await pulumi("stack", "rm", "--force", "--yes", "--preserve-config");
    await pulumi("stack", "init");
    const output = await failure(UP, "x".repeat(64));
    expect(output).toMatch(/does not take the token \(401 unauthorized.*hcloud:token`, or HCLOUD_TOKEN/);
    expect((await failure(UP, ""))).toContain("there is no token for the project");
  });
});

describe("a destroy", () => {
  const DESTROY = ["destroy", "--yes", "--skip-preview", "--exclude-protected"];

  it("takes nothing away that is protected, and says so", async () => {
    const before = ids();
    const output = await failure(["destroy", "--yes", "--skip-preview"]);
    for (const name of ["server", "volume", "firewall"]) expect(output).toMatch(new RegExp(`::alice-hetzner-${name}" cannot be deleted\\s+because it is protected`));
    expect(ids()).toEqual(before);
    expectWhole();
    await up();
    expectWhole();
    expect(ids()).toEqual(before);
  });

  it("leaves nothing behind once the stack file has both words: protection off, and the volume by its id", async () => {
    configure((hetzner) => { hetzner["protection"] = "off"; });
    await up();
    expect([ours().servers[0]!.protection, ours().volumes[0]!.protection]).toEqual([{ delete: false, rebuild: false }, { delete: true }]);
    configure((hetzner) => { hetzner.volume["discard"] = ours().volumes[0]!.id; });
    await up();
    await pulumi(...DESTROY);
    expect(ids()).toEqual(NOTHING);
    expect(await backend.leftovers()).toEqual([]);
  });
});

describe("a destroy that has the operator's word otherwise", () => {
  it("wants Hetzner's protection lifted too, and then leaves nothing behind", async () => {
    const { recipients } = { recipients: { environment: "", wallet: "", recovery: `age1${"r".repeat(58)}` } };
    await inConsole("POST", "/firewalls", { name: "somebody's" });
    expect(await releaseEnvironment({ token: cloud.tokens["ours"]!.write, endpoint: cloud.endpoint }, ownerOf({ environment: "dev", recipients }))).toHaveLength(4);
    const state = JSON.parse(await pulumi("stack", "export")) as { deployment: { resources: { protect?: boolean }[] } };
    for (const one of state.deployment.resources) delete one.protect;
    writeFileSync(join(folder, "open.json"), JSON.stringify(state));
    await pulumi("stack", "import", "--file", "open.json");
    await pulumi("destroy", "--yes", "--skip-preview");
    expect(ours().firewalls.map(({ name }) => name)).toEqual(["somebody's"]);
    expect(await backend.leftovers()).toEqual([]);
  });
});

describe("what is secret", () => {
  it("is in the state in no clear form: not the token, wherever it comes from, nor a host key", async () => {
    await pulumi("config", "set", "--secret", "hcloud:token", cloud.tokens["ours"]!.write);
    await pulumi("config", "set", "hcloud:endpoint", cloud.endpoint);
    // A refresh has the token that the last update had.
    const said = await say(join(engine.path[0] ?? "", "pulumi"), [...UP, "--refresh=false", "--stack", "dev", "--non-interactive"], { folder, environment: { ...environment(""), HCLOUD_TOKEN: undefined, HCLOUD_ENDPOINT: undefined } });
    expect(said.well, said.output).toBe(true);
    const [shown, hidden] = [await pulumi("stack", "export", "--show-secrets"), await pulumi("stack", "export")];
    for (const text of [cloud.tokens["ours"]!.write, "BEGIN OPENSSH PRIVATE KEY"]) {
      expect(shown).toContain(text);
      expect(hidden).not.toContain(text);
      expect(said.output).not.toContain(text);
    }
  });
});

describe("a data volume", () => {
  it("grows where it is", async () => {
    const before = ids();
    configure((hetzner) => { hetzner.volume["size"] = 30; });
    await up();
    expect(ids()).toEqual(before);
    expect(ours().volumes[0]!.size).toBe(30);
  });

  it("is not replaced by a smaller one without the word that names it, in a preview", async () => {
    configure((hetzner) => { hetzner.volume["size"] = 10; });
    const output = await failure(["preview"]);
    expect(output).toContain(`volume ${ours().volumes[0]!.id} has (20 GB)`);
    expect(output).toContain(`volume.discard: ${ours().volumes[0]!.id}`);
  });

  it("is replaced with the word, once, and the word does not reach the next one", async () => {
    const [before] = ours().volumes;
    configure((hetzner) => { hetzner.volume = { size: 10, discard: before!.id }; });
    await up();
    expectWhole();
    expect(ours().volumes).toMatchObject([{ size: 10, server: ids().server[0] }]);
    expect(ours().volumes[0]!.id).not.toBe(before!.id);
    const last = cloud.requests().length;
    await up();
    expect(writes(last)).toEqual([]);
  });

  it("and an address keep the node where it is: another location is refused in a preview", async () => {
    configure((hetzner) => { hetzner["location"] = "hel1"; });
    expect(await failure(["preview"])).toMatch(/host\.hetzner\.location: found "hel1"; is another place than the node's own: its address \d+ lies in fsn1/);
  });
});

describe("a state that lacks what the project has", () => {
  it("takes it over by its labels: nothing is made a second time, and no step runs", async () => {
    const before = ids();
    const state = JSON.parse(await pulumi("stack", "export")) as { deployment: { resources: Exported[] } };
    state.deployment.resources = state.deployment.resources.filter(({ type }) => !type.startsWith("hcloud:"));
    const left = new Set(state.deployment.resources.map(({ urn }) => urn));
    const known = (value: unknown): unknown => (Array.isArray(value) ? value.filter((one) => typeof one !== "string" || !one.startsWith("urn:") || left.has(one)).map(known)
      : value !== null && typeof value === "object" ? Object.fromEntries(Object.entries(value).flatMap(([name, one]) => (name === "deletedWith" && !left.has(String(one)) ? [] : [[name, known(one)]]))) : value);
    writeFileSync(join(folder, "less.json"), JSON.stringify(known(state)));
    await pulumi("stack", "import", "--file", "less.json");
    await up();
    expect(ids()).toEqual(before);
    expect(writes()).toEqual([]);
    expect(ran()).toEqual([]);
    expect((await resources()).filter(({ type }) => type.startsWith("hcloud:"))).toHaveLength(8);
    expect(await up()).toMatch(UNCHANGED);
  });
});

describe("a cloud that fails", () => {
  const faults: readonly (readonly [string, FaultInput])[] = [
    ["an answer to a new server is cut off", { do: "reset", method: "POST", path: "/servers", times: 1 }],
    ["the connection ends before a new server", { do: "reset", when: "before", method: "POST", path: "/servers", times: 1 }],
    ["a server's start fails", { do: "failAction", command: "start_server", times: 1 }],
    ["the address is taken", { do: "addressTaken", times: 1 }],
    ["a volume is not attached", { do: "failAction", command: "attach_volume", times: 1 }],
    ["a protection is not set", { do: "failAction", command: "change_protection", times: 1 }],
    ["a server is not deleted", { do: "failAction", command: "delete_server", times: 1 }],
    ["it is out of order for a while", { do: "answer", status: 503, code: "unavailable", times: 4 }],
    ["there is no room for a server", { do: "answer", status: 412, code: "resource_unavailable", method: "POST", path: "/servers", times: 1 }],
    ["an answer to a deletion is cut off", { do: "reset", method: "DELETE", path: "/servers/*", times: 1 }],
  ];
  it.each(faults)("ends in success or in an error, and the next update makes the node whole: %s while a server is replaced", async (_, fault) => {
    const before = ids();
    configure((hetzner) => { hetzner["generation"] = 2; });
    cloud.faults.set(parseFaults([fault]));
    const first = await run(UP);
    expect(cloud.faults.all()[0]!.hits).toBeGreaterThan(0);
    if (!first.well) expect(first.output).toMatch(/error: /);
    cloud.faults.set([]);
    await cloud.idle();
    await up();
    expectWhole();
    expect({ ...ids(), server: before.server }).toEqual(before);
    expect(ours().servers).toMatchObject([{ labels: { "holdfast-generation": "2" } }]);
    // The step that has put something right is told of nothing more to do.
    await up();
    expect(ran().length).toBeGreaterThan(0);
    expect(await up()).toMatch(UNCHANGED);
  });

  it("that says it has made a server and has not, is told from one that has: the next generation replaces what there is of it", async () => {
    configure((hetzner) => { hetzner["generation"] = 2; });
    cloud.faults.set(parseFaults([{ do: "failAction", command: "create_server", times: 1 }]));
    await failure(UP);
    expect(await failure(UP)).toMatch(/hetzner-\w+.*error/);
    configure((hetzner) => { hetzner["generation"] = 3; });
    await up();
    expectWhole();
  });
});

describe("an update that is killed while it makes something", () => {
  it.each(["POST /firewalls", "POST /primary_ips", "POST /volumes", "POST /servers", "POST /servers/N/actions/change_protection", "POST /volumes/N/actions/attach"])("is gone on with by the next one after %s, without a second one of anything", async (moment) => {
    await pulumi("stack", "rm", "--force", "--yes", "--preserve-config");
    await pulumi("stack", "init");
    await empty();
    const last = cloud.requests().length;
    const child = spawn(join(engine.path[0] ?? "", "pulumi"), [...UP, "--stack", "dev", "--non-interactive"], { cwd: folder, env: environment(cloud.tokens["ours"]!.write), stdio: "ignore", detached: true });
    const ended = new Promise((done) => child.once("close", done));
    const end = Date.now() + 60_000;
    while (!asked(last).includes(moment) && Date.now() < end) await new Promise((next) => setTimeout(next, 2));
    process.kill(-child.pid!, "SIGKILL");
    await ended;
    await cloud.idle();
    expect(asked(last)).toContain(moment);
    await pulumi("cancel", "--yes");
    await up();
    expectWhole();
    expect(await up()).toMatch(UNCHANGED);
  });
});
