import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide, type Decision, type Facts } from "../../../../agent/gate/decide.js";
import type { IdentityFact } from "../../../../agent/gate/identityFiles.js";
import { phases, type Journal } from "../../../../agent/gate/journal.js";
import type { Manifest } from "../../../../formats/manifest.js";
import type { Place } from "../../../../formats/place.js";

const ours = `02${"a".repeat(64)}`;
const foreign = `03${"b".repeat(64)}`;
const place: Place = { environment: "dev", network: "regtest", node: "alice", generation: 2 };
const manifest = (change: Partial<Manifest> = {}, id = ours): Manifest => ({
  format: "holdfast-manifest/1", ...place, generation: 1, sequence: 7, written: "2026-01-02T03:04:05Z",
  lightning: { nodePublicKey: id, confirmedBalance: 5, addresses: { external: 3, internal: 1 }, channels: 1, blockHeight: 100 }, ...change,
});
const journal = (change: Partial<Journal> = {}): Journal => ({
  format: "holdfast-gate-journal/1", place, nodePublicKey: ours, decision: "restore", phase: "opened", recoveryWindow: 100, written: "2026-01-02T03:04:05Z", ...change,
});
const emptyDisk: Facts["disk"] = { wallet: "absent", journal: undefined, sequence: undefined };
const openedDisk: Facts["disk"] = { wallet: "there", journal: journal(), sequence: 7 };
const facts = (change: Partial<Facts> = {}): Facts => ({
  place, nodePublicKey: ours, disk: emptyDisk, store: { state: "empty" }, admission: { state: "there", nodePublicKey: ours }, files: [], secrets: { installed: undefined, accepted: undefined }, running: undefined, ...change,
});
const file = (state: IdentityFact["state"]): Facts["files"] => [{
  identity: { kind: "onion-key", name: "main", publicIdentity: "ours.onion" }, place: { path: "/var/lib/tor/onion/main/hs_ed25519_secret_key", owner: "tor", mode: 0o400, service: "tor" }, state,
}];
const sealed = Date.parse("2026-01-02T00:00:00Z");
const unreachable = { state: "unreachable", why: "connection refused" } as const;
const held = (change: Partial<Manifest> = {}, id = ours) => ({ state: "manifest", manifest: manifest(change, id) }) as const;

const table: readonly (readonly [string, Partial<Facts>, Partial<Decision> | RegExp])[] = [
  ["makes a first wallet when disk and store are empty", {}, { kind: "fresh" }],
  ["restores when the disk is empty and the store knows the node", { store: held() }, { kind: "restore" }],
  ["waits for the one-use bundle of a first wallet", { admission: { state: "absent" } }, { kind: "waiting-for-identity", then: "fresh" }],
  ["waits for the one-use bundle of a restore", { admission: { state: "absent" }, store: held() }, { kind: "waiting-for-identity", then: "restore" }],
  ["adopts a disk that is as new as the store", { disk: openedDisk, store: held() }, { kind: "adopt" }],
  ["adopts a disk that is ahead of the store", { disk: { ...openedDisk, sequence: 9 }, store: held() }, { kind: "adopt" }],
  ["keeps a running node open while the store is away", { disk: openedDisk, store: unreachable, running: ours }, { kind: "adopt" }],
  ["begins again where no wallet had been finished", { disk: { ...openedDisk, journal: journal({ phase: "creating", decision: "fresh" }) } }, { kind: "fresh" }],
  ["begins again under a corrected identity where no wallet had been finished", { disk: { ...openedDisk, journal: journal({ phase: "creating", nodePublicKey: foreign }) }, store: held() }, { kind: "restore" }],
  ["goes on with a restore", { disk: { ...openedDisk, journal: journal({ phase: "importing" }) }, store: held(), admission: { state: "absent" } }, { kind: "restore", resume: "importing" }],
  ["goes on with a first wallet", { disk: { ...openedDisk, sequence: undefined, journal: journal({ phase: "sending", decision: "fresh" }) } }, { kind: "fresh", resume: "sending" }],
  ["goes on with a first wallet whose manifest had arrived", { disk: { ...openedDisk, journal: journal({ phase: "sending", decision: "fresh" }) }, store: held() }, { kind: "fresh", resume: "sending" }],

  ["adopts a disk whose identities are in their places", { disk: openedDisk, store: held(), files: file({ is: "there" }) }, { kind: "adopt" }],
  ["waits for the one-use bundle of an identity that is missing", { disk: openedDisk, store: held(), admission: { state: "absent" }, files: file({ is: "absent" }) }, { kind: "waiting-for-identity", then: "adopt" }],
  ["adopts a disk when the one-use bundle with a missing identity is there", { disk: openedDisk, store: held(), files: file({ is: "absent" }) }, { kind: "adopt" }],
  ["refuses what it cannot open of a missing identity, and lets lnd run on", { disk: openedDisk, store: held(), running: ours, admission: { state: "refused", why: "It is not sealed for this host." }, files: file({ is: "absent" }) }, { kind: "stop", running: "goes on" }],
  ["goes on with a restore while its identities are in their places and no bundle is there", { disk: { ...openedDisk, journal: journal({ phase: "importing" }) }, store: held(), admission: { state: "absent" }, files: file({ is: "there" }) }, { kind: "restore" }],
  ["refuses another identity in its place", { files: file({ is: "foreign", holds: "theirs.onion" }) }, /hs_ed25519_secret_key holds theirs\.onion, and the settings name ours\.onion as onion-key main/],
  ["refuses an identity whose user this system does not have", { files: file({ is: "ownerless" }) }, /belongs to user tor, which this system does not have/],
  ["stops no lnd that runs for another identity's sake", { disk: openedDisk, store: held(), running: ours, files: file({ is: "ownerless" }) }, { kind: "stop", running: "goes on", remedy: expect.stringContaining("Enable the service tor") as string }],
  ["adopts with secrets as new as the node has had", { disk: openedDisk, store: held({ secretsVersion: sealed }), secrets: { installed: sealed, accepted: undefined } }, { kind: "adopt" }],
  ["adopts with older secrets that the operator has accepted", { disk: openedDisk, store: held({ secretsVersion: sealed }), secrets: { installed: sealed - 1, accepted: sealed - 1 } }, { kind: "adopt" }],
  ["refuses older secrets, and remembers which", { disk: openedDisk, store: held({ secretsVersion: sealed }), secrets: { installed: sealed - 1, accepted: undefined } }, { kind: "stop", refused: sealed - 1, reason: expect.stringContaining("2026-01-02T00:00:00.000Z (manifest 7 in the store)") as string }],
  ["refuses older secrets on a new host", { store: held({ secretsVersion: sealed }), secrets: { installed: sealed - 1, accepted: undefined } }, /were sealed 2026-01-01T23:59:59\.999Z, and the node has had newer ones/],
  ["refuses older secrets when others were accepted", { store: held({ secretsVersion: sealed }), secrets: { installed: sealed - 1, accepted: sealed - 2 } }, /has had newer ones/],

  ["does not take an unreachable store for an empty one", { store: unreachable }, /does not answer \(connection refused\)/],
  ["does not take a locked store for an empty one", { store: { state: "wrong-password", why: "exit 12" } }, /does not open with this node's backup password/],
  ["does not take an unreadable manifest for none", { store: { state: "unreadable", why: "not JSON" } }, /no manifest that can be read/],
  ["refuses a manifest of another node id", { store: held({}, foreign) }, new RegExp(`${foreign}, and the settings name ${ours}`)],
  ["refuses a manifest of another environment", { store: held({ environment: "prod" }) }, /environment prod, and this host is environment dev/],
  ["refuses a manifest of another network", { store: held({ network: "mainnet" }) }, /network mainnet/],
  ["refuses a manifest of another node", { store: held({ node: "bob" }) }, /node bob/],
  ["refuses a manifest of a newer host, without a wallet", { store: held({ generation: 3 }) }, /a newer host has taken over/],
  ["refuses a manifest of a newer host, with a wallet", { disk: openedDisk, store: held({ generation: 3 }), running: ours }, /a newer host has taken over/],
  ["refuses a disk that is older than the store", { disk: { ...openedDisk, sequence: 6 }, store: held() }, /older than the backup/],
  ["refuses a disk that has lost its count", { disk: { ...openedDisk, sequence: undefined }, store: held() }, /last wrote none/],
  ["refuses a restarted disk while the store is away", { disk: openedDisk, store: unreachable }, /whether this disk is the newest/],
  ["refuses a restarted disk whose store was emptied", { disk: openedDisk }, /holds no backup of it/],
  ["refuses a wallet that no gate has made", { disk: { ...openedDisk, journal: undefined }, store: held() }, /no gate has made/],
  ["refuses an opened disk whose wallet is gone", { disk: { ...openedDisk, wallet: "absent" }, store: held() }, /its wallet is gone/],
  ["refuses a disk of another node id", { disk: { ...openedDisk, journal: journal({ nodePublicKey: foreign }) }, store: held() }, /wallet on this disk is of node/],
  ["refuses a disk of another node", { disk: { ...openedDisk, journal: journal({ place: { ...place, node: "bob" } }) }, store: held() }, /disk belongs to node bob/],
  ["refuses a disk that a newer host has used", { disk: { ...openedDisk, journal: journal({ place: { ...place, generation: 3 } }) }, store: held() }, /last used by generation 3/],
  ["refuses an lnd that answers as somebody else", { disk: openedDisk, store: held(), running: foreign }, /answers as node/],
  ["refuses a one-use bundle with another seed", { admission: { state: "there", nodePublicKey: foreign } }, /holds the seed of node/],
  ["refuses a one-use bundle that it cannot open", { admission: { state: "refused", why: "It is not sealed for this host." } }, /not sealed for this host/],
  ["refuses to go on with a restore whose backup is gone", { disk: { ...openedDisk, journal: journal({ phase: "recovering" }) } }, /holds no backup of this node/],
  ["refuses to go on with a first wallet when another host wrote", { disk: { ...openedDisk, sequence: undefined, journal: journal({ phase: "sending", decision: "fresh" }) }, store: held() }, /another host has written/],
];

describe("decide", () => {
  it.each(table)("%s", (_name, change, wanted) => {
    const decision = decide(facts(change));
    if (!(wanted instanceof RegExp)) return expect(decision).toMatchObject(wanted);
    expect(decision).toMatchObject({ kind: "stop", reason: expect.stringMatching(wanted) });
    expect(decision.kind === "stop" && decision.remedy.length).toBeGreaterThan(30);
  });

  // Mostly what belongs together, so that doors open often enough to be watched.
  const id = fc.oneof({ weight: 7, arbitrary: fc.constant(ours) }, { weight: 1, arbitrary: fc.constant(foreign) });
  const strangePlace = fc.record({ environment: fc.constantFrom("dev", "prod"), network: fc.constantFrom("regtest" as const, "mainnet" as const), node: fc.constantFrom("alice", "bob"), generation: fc.integer({ min: 1, max: 4 }) });
  const anyPlace = fc.oneof({ weight: 5, arbitrary: fc.constant(place) }, { weight: 2, arbitrary: fc.integer({ min: 1, max: 4 }).map((generation) => ({ ...place, generation })) }, { weight: 1, arbitrary: strangePlace });
  const anyJournal = fc.record({ place: anyPlace, nodePublicKey: id, decision: fc.constantFrom("fresh" as const, "restore" as const), phase: fc.constantFrom(...phases) }).map((some) => journal(some));
  const anyManifest = fc.tuple(anyPlace, id, fc.integer({ min: 0, max: 4 })).map(([where, of, sequence]) => manifest({ ...where, sequence, ...(sequence > 2 && { secretsVersion: sealed }) }, of));
  const anyFacts: fc.Arbitrary<Facts> = fc.record({
    place: anyPlace, nodePublicKey: id, running: fc.option(id, { nil: undefined }),
    disk: fc.record({ wallet: fc.constantFrom("there" as const, "absent" as const), journal: fc.option(anyJournal, { nil: undefined }), sequence: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined }) }),
    store: fc.oneof(
      fc.constantFrom<Facts["store"]>({ state: "empty" }, unreachable, { state: "wrong-password", why: "w" }, { state: "unreadable", why: "w" }),
      anyManifest.map((one) => ({ state: "manifest" as const, manifest: one })),
    ),
    files: fc.constantFrom<IdentityFact["state"]>({ is: "there" }, { is: "absent" }, { is: "ownerless" }, { is: "foreign", holds: "x" }).map(file),
    secrets: fc.record({ installed: fc.constantFrom(undefined, sealed - 1, sealed), accepted: fc.constantFrom(undefined, sealed - 1) }),
    admission: fc.oneof(fc.constantFrom<Facts["admission"]>({ state: "absent" }, { state: "refused", why: "w" }), id.map((nodePublicKey) => ({ state: "there" as const, nodePublicKey }))),
  });
  const opens = (decision: Decision): boolean => decision.kind === "fresh" || decision.kind === "restore" || decision.kind === "adopt";

  it("never opens under another id than the one that the settings name", () => {
    fc.assert(fc.property(anyFacts, (some) => {
      const decision = decide(some);
      if (!opens(decision)) return;
      const resumed = decision.kind === "adopt" || (decision.kind !== "stop" && "resume" in decision);
      expect(some.running ?? some.nodePublicKey).toBe(some.nodePublicKey);
      if (some.store.state === "manifest") expect(some.store.manifest.lightning.nodePublicKey).toBe(some.nodePublicKey);
      if (resumed) expect(some.disk.journal?.nodePublicKey).toBe(some.nodePublicKey);
      else expect(some.admission).toEqual({ state: "there", nodePublicKey: some.nodePublicKey });
    }), { numRuns: 5_000 });
  });

  it("never opens while an identity is not in its place and not at hand, nor with secrets older than the node has had", () => {
    fc.assert(fc.property(anyFacts, (some) => {
      const decision = decide(some);
      if (!opens(decision)) return;
      expect(["there", ...(some.admission.state === "there" ? ["absent"] : [])]).toContain(some.files[0]!.state.is);
      if (some.store.state === "manifest" && some.store.manifest.secretsVersion !== undefined && some.secrets.installed !== undefined && some.secrets.accepted === undefined)
        expect(some.secrets.installed).toBeGreaterThanOrEqual(some.store.manifest.secretsVersion);
    }), { numRuns: 5_000 });
  });

  it("never makes a wallet while the store is silent, nor over one that it does not know", () => {
    fc.assert(fc.property(anyFacts, (some) => {
      const decision = decide(some);
      if (decision.kind !== "fresh" && decision.kind !== "restore") return;
      expect(["empty", "manifest"]).toContain(some.store.state);
      if (some.disk.wallet === "there") expect(some.disk.journal).toBeDefined();
      if (some.disk.journal?.phase === "opened") throw new Error("an opened wallet was made again");
    }), { numRuns: 5_000 });
  });

  it("never opens on a host that a newer one has followed, nor on a disk behind the store", () => {
    fc.assert(fc.property(anyFacts, (some) => {
      const decision = decide(some);
      if (!opens(decision) || some.store.state !== "manifest") return;
      expect(some.store.manifest.generation).toBeLessThanOrEqual(some.place.generation);
      if (decision.kind === "adopt") expect(some.disk.sequence).toBeGreaterThanOrEqual(some.store.manifest.sequence);
    }), { numRuns: 5_000 });
  });
});
