import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Answer } from "../../../../components/system/knock.js";
import type { Channel } from "../../../../components/host/ssh.js";
import { RemoteFailure } from "../../../../components/host/ssh.js";
import { proveActivation } from "../../../../components/system/proveActivation.js";
import type { Connection } from "../../../../formats/step.js";

interface Question {
  readonly verb: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly channel: Channel;
}
const asked: Question[] = [];
/** What the host answers, verb by verb, in this order; the last answer to a verb is given again and again. */
let answers: Record<string, readonly unknown[]> = {};
let answering: (port: number) => Answer = () => "silent";

vi.mock("../../../../components/host/agent.js", () => ({
  askAgent: (_: Connection, verb: string, input: Question["input"], __: unknown, { channel = "update" }: { channel?: Channel }): Promise<unknown> => {
    const before = asked.filter((one) => one.verb === verb).length;
    asked.push({ verb, input, channel });
    const answer = answers[verb]?.[Math.min(before, answers[verb].length - 1)];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  },
}));
/** Waiting costs no time, and the clock goes on all the same. */
vi.mock("node:timers/promises", () => ({ setTimeout: (milliseconds: number) => Promise.resolve(void vi.setSystemTime(Date.now() + milliseconds)) }));
vi.mock("../../../../components/system/knock.js", () => ({ knock: (_: string, port: number) => Promise.resolve(answering(port)) }));

const system = (name: string): string => `/nix/store/${name.repeat(32)}-system`;
const [toplevel, previous] = [system("1"), system("0")];
const [pending, committed] = [{ state: "pending", toplevel, previous, secretsVersion: 5 }, { state: "committed", toplevel, previous, secretsVersion: 5 }];
const takenBack = (reason: string): object => ({ state: "rolled-back", toplevel, previous, secretsVersion: 5, reason });
const sound = { system: toplevel, failedUnits: [], firewallLoaded: true, tunnel: { publicKey: "key=", port: 51820, peers: 2, lastHandshake: null }, secretsVersion: 5 };
const lost = new RemoteFailure("agent", 255, "Connection reset");
const busy = new RemoteFailure("agent", 1, "holdfast-agent activate: the activation of x is in progress since 2026-11-21T00:00:00.000Z (process 7). Wait for its end, then try again.");
const request = {
  connection: { user: "root", address: "10.231.9.10", port: 22, hostKey: "ssh-ed25519 AAAA" }, toplevel, secretsVersion: 5, tunnelKey: "key=", proofSeconds: 30,
  policy: [{ name: "ssh", protocol: "tcp", port: 22, from: "internet" }, { name: "lnd-rest", protocol: "tcp", port: 8080, from: "tunnel" }],
} as const;

const outcome = (): Promise<unknown> => proveActivation(request).catch((error: Error) => error.message);
const verbs = (): string[] => asked.map(({ verb }) => verb);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  asked.length = 0;
  answering = () => "silent";
  answers = { activate: [pending], probe: [sound], commit: [committed] };
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("an activation", () => {
  it("is committed once a fresh connection has found all as it must be", async () => {
    expect(await outcome()).toEqual(committed);
    expect(asked.map(({ verb, channel }) => [verb, channel])).toEqual([["activate", "update"], ["probe", "fresh"], ["commit", "fresh"]]);
    expect(asked[0]!.input).toEqual({ toplevel, secretsVersion: 5, deadline: 30, id: expect.any(String) });
  });

  it("of a node without a tunnel is proven by there being none", async () => {
    const bare = { ...request, tunnelKey: null };
    answers["probe"] = [{ ...sound, tunnel: null }];
    expect(await proveActivation(bare)).toEqual(committed);
    answers = { ...answers, probe: [sound], rollback: [takenBack("a tunnel is up")] };
    await expect(proveActivation(bare)).rejects.toThrow("The new system was taken back: a tunnel is up");
    expect(asked.find(({ verb }) => verb === "rollback")!.input).toMatchObject({ reason: "a tunnel is up, and the stack gives this node none" });
  });

  it("of new secrets tells which units were restarted with them", async () => {
    answers["activate"] = [{ ...pending, restarted: ["lnd.service"] }];
    expect(await outcome()).toEqual({ ...committed, restarted: ["lnd.service"] });
    expect(process.stderr.write).toHaveBeenCalledWith(expect.stringContaining("restarted lnd.service"));
    expect(asked.at(-1)!.input).toEqual({ toplevel, secretsVersion: 5 });
  });

  it("of what runs and boots already proves nothing anew", async () => {
    answers["activate"] = [committed];
    expect(await outcome()).toEqual(committed);
    expect(verbs()).toEqual(["activate"]);
  });

  it.each<[string, () => void, string]>([
    ["another system runs", () => { answers["probe"] = [{ ...sound, system: previous }]; }, `the host runs ${previous}`],
    ["it has other secrets", () => { answers["probe"] = [{ ...sound, secretsVersion: 4 }]; }, "the host has the secrets of 1970-01-01T00:00:00.004Z"],
    ["units failed", () => { answers["probe"] = [{ ...sound, failedUnits: ["a.service", "b.service"] }]; }, "failed units: a.service, b.service"],
    ["the firewall is not loaded", () => { answers["probe"] = [{ ...sound, firewallLoaded: false }]; }, "the firewall's rules are not loaded"],
    ["there is no tunnel", () => { answers["probe"] = [{ ...sound, tunnel: null }]; }, "the tunnel's interface is missing"],
    ["the tunnel has another key", () => { answers["probe"] = [{ ...sound, tunnel: { ...sound.tunnel, publicKey: "x" } }]; }, "the tunnel has another key"],
    ["a port answers, if only by refusing", () => { answering = (port) => (port === 8080 ? "refused" : "silent"); }, "the firewall does not filter: port 8080 answered from outside"],
  ])("is taken back when %s, and the message says so and what runs", async (_, spoil, fault) => {
    spoil();
    answers["rollback"] = [takenBack(fault)];
    expect(await outcome()).toMatch(`The new system was taken back: ${fault}`);
    expect(await outcome()).toContain(`The host runs ${previous}, as before.`);
    expect(asked.find(({ verb }) => verb === "rollback")!.input).toMatchObject({ toplevel, reason: expect.stringContaining(fault) as string });
    expect(verbs()).not.toContain("commit");
  });

  it("that shut the deployer out is waited for until the host has taken it back, and both reasons are told", async () => {
    answers["probe"] = [new RemoteFailure("agent", 255, "Connection refused")];
    answers["rollback"] = [lost];
    answers["activation-report"] = [lost, lost, pending, takenBack("nobody committed it")];
    expect(await outcome()).toMatch(/taken back: a fresh connection did not get through: .*Connection refused; so nobody committed it\. The host runs/);
  });
});

describe("a connection lost", () => {
  it("while it is activated is no more than a delay: the same activation is asked for again, over another one", async () => {
    answers["activate"] = [lost, busy, pending];
    expect(await outcome()).toEqual(committed);
    const activations = asked.filter(({ verb }) => verb === "activate");
    expect(activations.map(({ channel }) => channel)).toEqual(["update", "fresh", "fresh"]);
    expect(new Set(activations.map(({ input }) => input["id"])).size).toBe(1);
  });

  it("for longer than the watchdog waits ends with what the host did", async () => {
    answers["activate"] = [lost, lost, takenBack("nobody committed it")];
    expect(await outcome()).toMatch(/taken back: nobody committed it\. The host runs/);
    expect(verbs()).not.toContain("probe");
  });

  it.each([
    ["was committed", committed, committed],
    ["was taken back", takenBack("nobody committed it"), expect.stringMatching(/taken back: .*Connection reset; so nobody committed it/)],
    ["lost its trial of new secrets in a restart", { state: "committed", toplevel, previous: toplevel, secretsVersion: 4 }, expect.stringMatching(/taken back: .*Connection reset; so the host restarted before the commit\. The host runs \/nix\/store\/1+-system/)],
    ["lost its trial in a restart", { state: "committed", toplevel: previous, previous }, expect.stringMatching(/taken back: .*Connection reset; so the host restarted before the commit\. The host runs \/nix\/store\/0+-system/)],
  ])("at the commit is followed by the host's own word: it %s", async (_, report, end) => {
    answers["commit"] = [lost];
    answers["activation-report"] = [lost, report];
    expect(await outcome()).toEqual(end);
  });

  it("for good is an unknown outcome, and said to be", async () => {
    answers["activate"] = [lost];
    expect(await outcome()).toMatch(/^The outcome is unknown: .*Connection reset.*watchdog takes an unproven system back/);
    answers["activate"] = [pending];
    answers["commit"] = [lost];
    answers["activation-report"] = [lost];
    expect(await outcome()).toMatch(/^The outcome is unknown/);
  });
});

it("does not ask again for what the host refuses", async () => {
  answers["activate"] = [new RemoteFailure("agent", 1, "it brings no base")];
  expect(await outcome()).toContain("it brings no base");
  expect(verbs()).toEqual(["activate"]);
});

it("does not wait for a rollback that failed", async () => {
  answers["probe"] = [{ ...sound, firewallLoaded: false }];
  answers["rollback"] = [new RemoteFailure("agent", 1, "failed as well")];
  answers["activation-report"] = [{ ...pending, reason: "The rollback failed as well" }];
  expect(await outcome()).toContain("The rollback failed as well");
  expect(asked.length).toBe(4);
});
