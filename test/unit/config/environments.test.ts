import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { passphraseFindings, sharedMarks, type EnvironmentMarks, type Mark } from "../../../config/environments.js";
import { passphraseInForce } from "../../../config/passphrase.js";
import { marksOfStack, otherEnvironments, projectName, stackNames } from "../../../config/project.js";
import { noMarks, type Marks } from "../../../formats/records.js";
import { requireOwnState, tunnelMade, type OwnMarks } from "../../../config/stateMarks.js";
import { isHostAddress, overlap } from "../../../config/text.js";
import { passphraseFingerprint } from "../../../custody/fingerprint.js";

const recipient = (letter: string): string => `age1${letter.repeat(58)}`;
const hostKey = (letter: string): string => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${letter.repeat(43)}`;
const fingerprint = (digit: string): string => digit.repeat(64);
const environment = (name: string, ...marks: Mark[]): EnvironmentMarks => ({ environment: name, marks, faults: [] });

let project: string;
beforeEach(() => { project = mkdtempSync(join(tmpdir(), "holdfast-environments-")); });
afterEach(() => rmSync(project, { recursive: true, force: true }));

/** A stack whose keys all derive from one letter and one number, with its records. */
function stack(name: string, letter: string, number: number, change: (keys: Record<string, Record<string, unknown>>) => void = () => undefined, marks: Partial<Marks> = {}): void {
  const keys = {
    "holdfast:recipients": { environment: recipient(letter) },
    "holdfast:nodes": { alice: { host: { commodity: { hostKey: hostKey(letter) } }, tunnel: { network: `10.${number}.0.0/24` } } },
  } as Record<string, Record<string, unknown>>;
  change(keys);
  writeFileSync(join(project, `Pulumi.${name}.yaml`), stringify({ config: keys }));
  mkdirSync(join(project, "environments", name), { recursive: true });
  writeFileSync(join(project, "environments", name, "marks.json"), JSON.stringify({ ...noMarks, passphrase: fingerprint(letter === "e" ? "1" : "2"), tunnels: { alice: `${letter}=` }, ...marks }));
}
const found = (): string[] => sharedMarks(marksOfStack(project, "prod"), otherEnvironments(project, "prod")).map(({ path, wanted }) => `${path} ${wanted}`);

describe("two stacks", () => {
  it("that share nothing are accepted", () => {
    stack("prod", "e", 10);
    stack("testnet", "f", 11);
    expect(found()).toEqual([]);
  });

  it.each<[string, Parameters<typeof stack>[3], Partial<Marks>, string, string]>([
    ["a recipient, in another role", (keys) => { keys["holdfast:recipients"]!["wallet"] = recipient("e"); }, {}, "holdfast:recipients.environment", "holdfast:recipients.wallet"],
    ["an SSH host key, with another comment", (keys) => { keys["holdfast:nodes"]!["bob"] = { host: { commodity: { hostKey: `${hostKey("e")} root@copy` } }, tunnel: { network: "10.77.0.0/24" } }; }, {}, "holdfast:nodes.alice.host.commodity.hostKey", "holdfast:nodes.bob.host.commodity.hostKey"],
    ["a passphrase", undefined, { passphrase: fingerprint("1") }, "environments/prod/marks.json: passphrase", "environments/testnet/marks.json: passphrase"],
    ["a WireGuard key", undefined, { tunnels: { carol: "e=" } }, "environments/prod/marks.json: tunnels.alice", "environments/testnet/marks.json: tunnels.carol"],
    ["addresses, one range inside the other", (keys) => { keys["holdfast:nodes"]!["bob"] = { tunnel: { network: "10.10.0.128/25" } }; }, {}, "holdfast:nodes.alice.tunnel.network", "holdfast:nodes.bob.tunnel.network, 10.10.0.128/25"],
    ["the default range, which neither names", (keys) => { keys["holdfast:nodes"]!["bob"] = {}; }, {}, "holdfast:nodes.alice.tunnel.network", "holdfast:nodes.bob.tunnel.network"],
  ])("that share %s are refused, in words that name both settings and a remedy", (_, change, marks, own, other) => {
    stack("prod", "e", 10);
    stack("testnet", "f", 11, change, marks);
    const findings = found();
    expect(findings).toHaveLength(1);
    expect(findings[0]).toContain(own);
    expect(findings[0]).toContain(`environment testnet (its ${other})`);
    expect(findings[0]).toMatch(/wants (one|a range) of its own.*\(.+\)/);
  });

  it("that were never filled in share no placeholder", () => {
    for (const name of ["prod", "testnet"]) {
      stack(name, name === "prod" ? "e" : "f", name === "prod" ? 10 : 11, (keys) => {
        keys["holdfast:recipients"] = { wallet: "age1-REPLACE-ME" };
        (keys["holdfast:nodes"]!["alice"] as { host: unknown }).host = { commodity: { hostKey: "ssh-ed25519 REPLACE-ME" } };
      });
    }
    expect(found()).toEqual([]);
  });

  it("are told apart only when both can be read", () => {
    stack("prod", "e", 10);
    stack("testnet", "f", 11);
    writeFileSync(join(project, "Pulumi.testnet.yaml"), "config: [");
    expect(found()[0]).toMatch(/^Pulumi\.testnet\.yaml .*no stack can be compared with it until then/);
    stack("testnet", "f", 11, undefined, { passphrase: "short" });
    expect(found()[0]).toMatch(/environments\/testnet\/marks\.json.*version control/);
  });

  it("of any name Pulumi allows are compared", () => {
    stack("prod", "e", 10);
    stack("Test_net.2", "e", 11);
    expect(stackNames(project)).toEqual(["Test_net.2", "prod"]);
    expect(found().join()).toContain("environment Test_net.2");
  });
});

describe("one stack", () => {
  it("whose nodes have overlapping tunnels is refused", () => {
    stack("prod", "e", 10, (keys) => { keys["holdfast:nodes"]!["bob"] = { tunnel: { network: "10.0.0.0/8" } }; });
    expect(found()).toEqual([expect.stringMatching(/nodes\.bob\.tunnel\.network overlaps holdfast:nodes\.alice\.tunnel\.network, 10\.10\.0\.0\/24 already/)]);
  });
});

describe("two address ranges", () => {
  it("overlap exactly when they have an address in common, whichever comes first", () => {
    const cidr = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 24, max: 30 })).map(([last, prefix]) => `10.0.0.${Math.floor(last / 2 ** (32 - prefix)) * 2 ** (32 - prefix)}/${prefix}`);
    const inside = (range: string): Set<string> => new Set(Array.from({ length: 256 }, (_, last) => `10.0.0.${last}`).filter((address) => isHostAddress(range, address)));
    fc.assert(fc.property(cidr, cidr, (left, right) => {
      const common = [...inside(left)].some((address) => inside(right).has(address));
      if (common) expect(overlap(left, right)).toBe(true);
      expect(overlap(left, right)).toBe(overlap(right, left));
      expect(overlap(left, left)).toBe(true);
    }));
    expect([overlap("10.10.0.0/24", "10.10.1.0/24"), overlap("10.10.0.0/23", "10.10.1.0/24")]).toEqual([false, true]);
  });
});

describe("a passphrase in force", () => {
  const own = environment("prod", { kind: "passphrase", path: "environments/prod/marks.json: passphrase", value: fingerprint("1") });
  const testnet = environment("testnet", { kind: "passphrase", path: "environments/testnet/marks.json: passphrase", value: fingerprint("2") });

  it("is accepted when it is the environment's own, or when nothing is known", () => {
    expect(passphraseFindings(own, [testnet], fingerprint("1"))).toEqual([]);
    expect(passphraseFindings(environment("prod"), [testnet], fingerprint("3"))).toEqual([]);
  });

  it("is refused when it is another environment's, by its name, whether or not the own one is known", () => {
    for (const one of [own, environment("prod")]) {
      expect(passphraseFindings(one, [testnet], fingerprint("2"))).toEqual([{ path: "PULUMI_CONFIG_PASSPHRASE", found: "the passphrase of environment testnet", wanted: expect.stringContaining('eval "$(holdfast env unlock prod)"') as string }]);
    }
  });

  it("is refused when it is none of those that are known", () => {
    expect(passphraseFindings(own, [testnet], fingerprint("3"))[0]!.found).toContain("environments/prod/marks.json");
  });

  it("is read as Pulumi reads it: the variable first, even an empty one, then the file without its line's end", () => {
    const file = join(project, "passphrase");
    writeFileSync(file, "from a file\n");
    expect(passphraseInForce({ PULUMI_CONFIG_PASSPHRASE: "given", PULUMI_CONFIG_PASSPHRASE_FILE: file })).toBe(passphraseFingerprint("given"));
    expect(passphraseInForce({ PULUMI_CONFIG_PASSPHRASE: "", PULUMI_CONFIG_PASSPHRASE_FILE: file })).toBe(passphraseFingerprint(""));
    expect(passphraseInForce({ PULUMI_CONFIG_PASSPHRASE_FILE: file })).toBe(passphraseFingerprint("from a file"));
    expect([passphraseInForce({}), passphraseInForce({ PULUMI_CONFIG_PASSPHRASE_FILE: join(project, "gone") })]).toEqual([undefined, undefined]);
  });
});

describe("a node's WireGuard key", () => {
  const alice = { id: "alice-1", name: "alice", versions: {} };
  const spec = (marks: Partial<Marks>, foreignMarks = {}) => ({ environment: "prod", records: "environments/prod", marks: { ...noMarks, ...marks }, foreignMarks }) as unknown as Parameters<typeof requireOwnState>[0];
  const has = (tunnelKey: string): OwnMarks => ({ state: "mark", tunnelKey });

  it("is accepted when it is the noted one, and when none was noted", () => {
    requireOwnState(spec({ tunnels: { "alice-1": "own=" } }), alice, has("own="));
    requireOwnState(spec({}), alice, has("own="));
  });

  it("is refused when another was noted: the state is not this node's, or was lost", () => {
    expect(() => requireOwnState(spec({ tunnels: { "alice-1": "own=" } }), alice, has("new="))).toThrow(/environments\/prod\/marks\.json has own=.*other keys; `holdfast state restore -s prod`.*remove tunnels\.alice-1/);
  });

  it("is refused when it is another environment's, even where nothing was noted", () => {
    expect(() => requireOwnState(spec({}, { "theirs=": "environment testnet (its environments/testnet/marks.json: tunnels.bob)" }), alice, has("theirs="))).toThrow(/belongs to environment testnet .*another environment's state/);
  });

  it("may be another once it was rotated after it was noted, and not before", () => {
    const rotated = { ...alice, versions: { "wireguard-node": { version: 2, rotated: "2026-11-21T12:00:00.000Z" } } };
    const noted = (made: string) => spec({ tunnels: { "alice-1": "own=" }, made: { [tunnelMade("alice-1")]: made } });
    requireOwnState(noted("2026-11-21T11:00:00.000Z"), rotated, has("new="));
    expect(() => requireOwnState(noted("2026-11-21T13:00:00.000Z"), rotated, has("new="))).toThrow("other keys");
  });
});

describe("a state's mark", () => {
  const alice = { id: "alice-1", name: "alice", versions: {} };
  const spec = (marks: Partial<Marks>, foreignMarks = {}) => ({ environment: "prod", records: "environments/prod", marks: { ...noMarks, ...marks }, foreignMarks }) as unknown as Parameters<typeof requireOwnState>[0];
  const states = { "alice-1": "mark" };

  it("tells a node without a tunnel from another one's, and from one whose state was lost", () => {
    requireOwnState(spec({ states }), alice, { state: "mark" });
    requireOwnState(spec({}), alice, { state: "mark" });
    expect(() => requireOwnState(spec({ states }), alice, { state: "a new one" })).toThrow(/node alice with the mark "a new one"; environments\/prod\/marks\.json has mark for it: this state was lost .*`holdfast state restore -s prod`.*remove states\.alice-1 from/);
    expect(() => requireOwnState(spec({}, { theirs: "environment testnet (its environments/testnet/marks.json: states.bob)" }), alice, { state: "theirs" })).toThrow("belongs to environment testnet");
  });

  it("lets a tunnel go and come, and refuses to let go where nothing else tells the state", () => {
    requireOwnState(spec({ states, tunnels: { "alice-1": "own=" } }), alice, { state: "mark" });
    requireOwnState(spec({ states }), alice, { state: "mark", tunnelKey: "another=" });
    expect(() => requireOwnState(spec({ tunnels: { "alice-1": "own=" } }), alice, { state: "mark" })).toThrow(/with no tunnel \(tunnel is none\); .*knows its state by its WireGuard key alone, own=; wants one update with its tunnel/);
  });

  it("names both lines of marks.json where both must go", () => {
    expect(() => requireOwnState(spec({ states, tunnels: { "alice-1": "own=" } }), alice, { state: "new", tunnelKey: "new=" })).toThrow(/remove tunnels\.alice-1 and states\.alice-1 from marks\.json/);
  });
});

describe("a project", () => {
  it("has the name that Pulumi.yaml gives it", () => {
    writeFileSync(join(project, "Pulumi.yaml"), "name: renamed\nruntime: nodejs\n");
    expect(projectName(project)).toBe("renamed");
    writeFileSync(join(project, "Pulumi.yaml"), "runtime: nodejs\n");
    expect(() => projectName(project)).toThrow("has no name");
  });
});
