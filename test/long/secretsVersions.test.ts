import { join } from "node:path";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readVersions, writeVersions } from "../../custody/records.js";
import { sealText } from "../../custody/seal.js";
import { bundleSchema } from "../../formats/bundle.js";
import { hostLayout } from "../../formats/hostLayout.js";
import { manifestSchema } from "../../formats/manifest.js";
import { placeSchema, type Place } from "../../formats/place.js";
import { publicIdentityOf } from "../../formats/publicIdentity.js";
import { printFormat } from "../../formats/versioned.js";
import { newProject, type Ended, type Project } from "../project.js";
import { observe, succeeds, type Observer } from "../machines/observer.js";
import { eventually } from "../machines/lightningWorld.js";

const AGENT = `${hostLayout.candidate}/sw/bin/holdfast-agent`;
const STACK = "Pulumi.dev.yaml";
const FIREWALL = "rehearsal/system/modules/firewall.nix";
const ONION = `${hostLayout.tor}/onion/lnd/hs_ed25519_secret_key`;

let project: Project;
let alice: Observer;

const up = (): Promise<Ended> => project.holdfast("up", "--yes");
const agent = (verb: string, input: unknown): Promise<Ended> => project.ssh("alice", `echo ${Buffer.from(JSON.stringify(input)).toString("base64")} | base64 --decode | ${AGENT} ${verb}`);
const invocation = (unit: string): Promise<string> => alice.on(`systemctl show --property=InvocationID --value ${unit}`);
/** Every secret, by its name and a digest. */
const values = async (): Promise<Record<string, string>> =>
  Object.fromEntries((await alice.on(`cd ${hostLayout.secrets} && sha256sum *`)).trim().split("\n").map((line) => line.split("  ").reverse() as [string, string]));
const installedVersion = async (): Promise<number> => (JSON.parse(await alice.on(`cat ${hostLayout.installed}`)) as { version: number }).version;
const changedFrom = (before: Record<string, string>, after: Record<string, string>): string[] => Object.keys({ ...before, ...after }).filter((name) => before[name] !== after[name]).sort();
const deliveries = (): number => project.startedSteps().filter((step) => step === "deliver").length;

/** Waits for the gate to be in a state. @returns its reason */
const report = async (state: string): Promise<string> => eventually(`the gate to say ${state}`, 30_000, async () => {
  const said = JSON.parse(await alice.on(`cat ${hostLayout.gateReport}`)) as { state: string; reason?: string };
  return said.state === state ? said.reason ?? "" : Promise.reject(new Error(said.state));
});

/** As `holdfast rotate secret` does: the next update makes the value anew. */
function raise(id: string): void {
  const records = project.state;
  const before = readVersions(records);
  const version = (before.nodes["alice"]?.[id]?.version ?? 1) + 1;
  writeVersions(records, { ...before, nodes: { ...before.nodes, alice: { ...before.nodes["alice"], [id]: { version, rotated: new Date().toISOString() } } } });
}

beforeAll(async () => {
  project = await newProject();
  alice = observe(project, "alice");
  await succeeds(up());
});

afterAll(async () => {
  if (process.env["HOLDFAST_KEEP"] === undefined) expect(await project.remove()).toEqual([]);
});

describe("an activation that fails its proof", () => {
  let before: { readonly values: Record<string, string>; readonly version: number; readonly lnd: string; readonly bitcoind: string };
  const sound = "settings.firewall.ruleset";

  it("takes the secrets back that came with it, and restarts who reads them, and nobody else", async () => {
    before = { values: await values(), version: await installedVersion(), lnd: await invocation("lnd.service"), bitcoind: await invocation("bitcoind.service") };
    raise("lnd-tls-key");
    project.edit(FIREWALL, (text) => text.replace(sound, '(builtins.replaceStrings [ "input priority filter; policy drop" ] [ "input priority filter; policy accept" ] settings.firewall.ruleset)'));
    const { exitCode, output } = await up();
    expect(exitCode, output).not.toBe(0);
    expect(output).toMatch(/The new system was taken back: the firewall does not filter/);
    expect([await values(), await installedVersion(), await invocation("bitcoind.service")]).toEqual([before.values, before.version, before.bitcoind]);
    const journal = await alice.on("journalctl --quiet --boot --output=cat --unit=lnd.service | grep -cE '^Started '");
    // With the new certificate, and with the old one again.
    expect([await invocation("lnd.service") === before.lnd, Number(journal)]).toEqual([false, 3]);
    expect(await eventually("lnd's answer", 30_000, () => alice.lndIdentity())).toMatch(/^0[23]/);
  });

  it("is followed by one that converges, with a bundle that is not delivered again", async () => {
    project.edit(FIREWALL, (text) => text.replace(/\(builtins\.replaceStrings .*\)/, sound));
    const delivered = deliveries();
    await succeeds(up());
    expect(deliveries()).toBe(delivered);
    expect(changedFrom(before.values, await values())).toEqual(["lnd-cert", "lnd-key"]);
    expect(await installedVersion()).toBeGreaterThan(before.version);
    expect(await invocation("bitcoind.service")).toBe(before.bitcoind);
    expect(await alice.on(`ls ${hostLayout.state}`)).not.toMatch(/trial|delivered/);
  });
});

describe("new secrets alone", () => {
  it("are an activation of the system that runs: their readers restart, once, and no other unit", async () => {
    const [before, system] = [await values(), await alice.on("readlink /run/current-system")];
    raise("lnd-tls-key");
    const units = await alice.unitsChangedBy(async () => {
      const begin = Date.now();
      const { output } = await succeeds(up());
      console.log(`a secret rotated in ${((Date.now() - begin) / 1000).toFixed(1)} s`);
      expect(output).toMatch(/gate +open/);
    });
    expect(units).toEqual(["lnd.service"]);
    expect(changedFrom(before, await values())).toEqual(["lnd-cert", "lnd-key"]);
    expect(await alice.on("readlink /run/current-system")).toBe(system);
    expect(await alice.on("journalctl --quiet --boot --output=cat --unit=lnd.service | grep -cE '^Started '")).toMatch(/^5\s*$/);
  });

  it("raise the version in the manifest, so that a new host knows it too", async () => {
    const version = await installedVersion();
    const manifest = async (): Promise<number | undefined> => manifestSchema.parse(JSON.parse(await alice.on(`cat ${hostLayout.backupStaging}/manifest.json`))).secretsVersion;
    expect(await eventually("the new manifest", 40_000, async () => ((await manifest()) === version ? version : Promise.reject(new Error("an older one"))))).toBe(version);
  });
});

describe("a bundle that is sealed for another place", () => {
  let place: Place;
  let recipient: string;
  const delivery = async (meant: Place, version: number): Promise<Ended> =>
    agent("receive", { sealed: await sealText(printFormat(bundleSchema, { format: "holdfast-bundle/1", place: meant, version, files: [] }), recipient) });

  beforeAll(async () => {
    place = placeSchema.parse(JSON.parse(await alice.on(`cat ${hostLayout.place}`)));
    ({ recipient } = JSON.parse((await agent("contact", { place })).stdout) as { recipient: string });
  });

  it.each([
    ["testnet's", { environment: "testnet", network: "testnet4" }, /it is meant for environment testnet, and this host is environment dev/],
    ["another generation's", { generation: 7 }, /it is meant for generation 7, and this host is generation 1/],
  ] as const)("is refused: %s", async (_, other, reason) => {
    const before = await alice.traces(hostLayout.secrets, hostLayout.bundle);
    const { exitCode, output } = await delivery({ ...place, ...other }, Date.now());
    expect([exitCode, output]).toEqual([1, expect.stringMatching(reason)]);
    expect(await alice.traces(hostLayout.secrets, hostLayout.bundle)).toBe(before);
  });
});

describe("an older bundle", () => {
  let old: { readonly state: string; readonly values: Record<string, string>; readonly version: number; readonly records: string };

  it("is refused, as one from an old copy of the state is, and changes nothing", async () => {
    old = { state: join(project.folder, "old-state.json"), values: await values(), version: await installedVersion(), records: readFileSync(join(project.state, "versions.json"), "utf8") };
    await succeeds(project.pulumi("stack", "export", "-s", "dev", "--show-secrets", "--file", old.state));
    raise("lnd-tls-key");
    await succeeds(up());
    const newest = await values();
    await succeeds(project.pulumi("stack", "import", "-s", "dev", "--file", old.state));
    project.edit(".holdfast/dev/versions.json", () => old.records);
    await alice.taint("alice-bundle-deliver");
    const { exitCode, output } = await up();
    expect(exitCode).not.toBe(0);
    expect(output).toMatch(new RegExp(`the bundle of secrets is refused: it was sealed ${new Date(old.version).toISOString()}.*holdfast accept-older alice`));
    expect(await values()).toEqual(newest);
  });

  it("is taken with the operator's word, which leaves a line, and the same command goes on", async () => {
    expect((await project.holdfast("accept-older", "alice")).output).toContain("Nothing was accepted");
    await succeeds(project.holdfast("accept-older", "alice", "--yes"));
    expect((await project.holdfast("audit", "show")).output).toMatch(/older-bundle-accepted/);
    const { output } = await succeeds(up());
    expect(output).toMatch(/gate +open/);
    expect([await values(), await installedVersion()]).toEqual([old.values, old.version]);
  });

  it("does not open a node whose manifest knows newer ones, but by that word", async () => {
    await alice.on(`sed -i 's/"accepted":{[^}]*}/"refused":1/; s/"refused":[0-9]*,"refused"/"refused"/' ${hostLayout.secretsVersions} && systemctl restart holdfast-gate.service`);
    expect(await report("stop")).toMatch(new RegExp(`The secrets on this host were sealed ${new Date(old.version).toISOString()}, and the node has had newer ones`));
    await succeeds(project.holdfast("accept-older", "alice", "--yes"));
    await alice.on("systemctl restart holdfast-gate.service");
    expect(await report("open")).toBe("");
  });
});

describe("an identity in a file", () => {
  const facts = async (): Promise<string> => alice.on(`stat --format='%U:%G %a' ${ONION} ${ONION.replace(/\/[^/]+$/, "")}`);

  it("that a running node is newly given is placed for its daemon alone, and lnd runs on", async () => {
    const { stdout } = await succeeds(project.holdfast("wallet", "create", "alice", "--kind", "onion-key", "--name", "lnd"));
    const [path] = stdout.split(": ");
    project.edit(STACK, (text) => text.replace(/( +)identity: .*\n/, `$&$1identities: [${path!}]\n`));
    const lnd = await invocation("lnd.service");
    const { output } = await succeeds(up());
    expect(output).toMatch(/gate +open/);
    expect([await facts(), await invocation("lnd.service")]).toEqual(["tor:tor 400\ntor:tor 700", lnd]);
    const { identities } = JSON.parse(await alice.on(`cat ${hostLayout.settings}`)) as { identities: { publicIdentity: string }[] };
    expect(publicIdentityOf("onion-key", Buffer.from(await alice.on(`base64 ${ONION}`), "base64"))).toBe(identities[0]!.publicIdentity);
  });

  it("is never written over another in its place: the gate stops, and says which", async () => {
    await alice.on(`cp --preserve ${ONION} /root/right && head --bytes=32 /root/right > ${ONION}.other && head --bytes=64 /dev/zero | tr '\\0' 'x' >> ${ONION}.other && mv ${ONION}.other ${ONION}`);
    const wrong = await alice.on(`sha256sum ${ONION}`);
    await alice.on("systemctl restart holdfast-gate.service");
    expect(await report("stop")).toMatch(/holds \w{56}\.onion, and the settings name \w{56}\.onion as onion-key lnd/);
    expect(await alice.on(`sha256sum ${ONION}`)).toBe(wrong);
    await alice.on(`rm ${ONION} && systemctl restart holdfast-gate.service`);
    await report("waiting-for-identity");
    expect(await alice.on("systemctl is-active lnd.service")).toBe("active");
  });
});
