import { describe, expect, it } from "vitest";
import { autounlock, autounlockSource, type AutounlockArgs } from "../../../bunker/autounlock.js";
import type { Keyring } from "../../../bunker/keyring/keyring.js";
import { openKeyring } from "../../../bunker/keyring/open.js";
import type { Store } from "../../../bunker/store/store.js";
import { dataFolder } from "./store/folder.js";

const { open } = dataFolder();
const PASSPHRASE = "correct horse";
const SOURCE = "NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE";

async function filled(names: readonly string[]): Promise<{ store: Store; keyring: Keyring }> {
  const store = open();
  const maker = openKeyring({ store, log: () => undefined, logN: 1 });
  for (const name of names) await maker.create(name, PASSPHRASE);
  return { store, keyring: openKeyring({ store, log: () => undefined, logN: 1 }) };
}

function run(keyring: Keyring, more: Partial<AutounlockArgs> = {}): { lines: string[]; counts: string[]; done: ReturnType<typeof autounlock> } {
  const lines: string[] = [];
  const counts: string[] = [];
  let time = 0;
  const done = autounlock({
    keyring, passphrase: PASSPHRASE, source: SOURCE, log: (level, line) => lines.push(`${level} ${line}`), count: (what) => counts.push(what), clock: () => (time += 21.2), ...more });
  return { lines, counts, done };
}

describe("autounlock", () => {
  it("opens every key, and says so to the letter", async () => {
    const { keyring } = await filled(["alice", "bob"]);
    const { lines, done, counts } = run(keyring);
    expect(await done).toEqual({ unlocked: 2, total: 2, failed: [] });
    expect(lines).toEqual(["info autounlock: unlocked alice", "info autounlock: unlocked bob", `info autounlock: enabled (source=${SOURCE}), unlocked 2/2 keys in 21ms`]);
    expect(counts).toEqual(["unlocked", "unlocked"]);
    expect(keyring.names().every((key) => key.open === "open")).toBe(true);
  });

  it("of 100 keys with two damaged and one of another passphrase opens the rest and names the three", async () => {
    const names = Array.from({ length: 100 }, (_, number) => `key ${String(number).padStart(3, "0")}`);
    const { store, keyring } = await filled(names);
    const key = (name: string): string => store.keys.all().find((one) => one.name === name)!.publicKey!;
    store.keys.replace("key 010", { at: "ncryptsec", text: "ncryptsec1nothing" }, key("key 010"));
    store.keys.replace("key 011", { at: "legacy", iv: "00".repeat(16), data: "00" }, key("key 011"));
    store.keys.remove("key 050");
    await openKeyring({ store, log: () => undefined, logN: 1 }).create("key 050", "another passphrase");
    const { lines, done, counts } = run(keyring);
    const { unlocked, total, failed } = await done;
    expect([unlocked, total]).toEqual([97, 100]);
    expect(new Map(failed.map(({ name, reason }) => [name, reason]))).toEqual(new Map([["key 010", "damaged"], ["key 011", "damaged"], ["key 050", "wrong-passphrase"]]));
    expect(lines).toContain("warn autounlock: wrong passphrase for key 050");
    expect(lines.filter((line) => line.startsWith("error"))).toEqual([expect.stringContaining("autounlock: failed for key 010: "), expect.stringContaining("autounlock: failed for key 011: ")]);
    expect(lines.at(-1)).toContain("unlocked 97/100 keys in ");
    expect(counts.filter((what) => what === "locked")).toHaveLength(3);
    expect(lines.join("\n")).not.toContain(PASSPHRASE);
    expect(lines.filter((line) => /[0-9a-f]{64}|nsec1|ncryptsec1[a-z]/.test(line))).toEqual([]);
  });

  it("leaves out a key that was deleted while it ran, and counts one that was open already", async () => {
    const { keyring } = await filled(["alice", "bob", "carol"]);
    await keyring.unlock("bob", PASSPHRASE);
    keyring.onChange(() => { if (keyring.names().some(({ name }) => name === "carol")) keyring.remove("carol"); });
    expect(await run(keyring).done).toEqual({ unlocked: 2, total: 2, failed: [] });
  });

  it("ends with what it has when everything is locked meanwhile", async () => {
    const { keyring } = await filled(["alice", "bob"]);
    const panic = new AbortController();
    keyring.onChange(() => panic.abort());
    const { done, lines } = run(keyring, { stop: panic.signal });
    expect(await done).toEqual({ unlocked: 1, total: 2, failed: [{ name: "bob", reason: "stopped" }] });
    expect(lines[1]).toBe("warn autounlock: bob stays locked: the loop was stopped");
  });

  it("goes on after a failure of the machine's, and names the key", async () => {
    const { keyring } = await filled(["alice", "bob"]);
    const broken: Keyring = { ...keyring, unlock: (name, passphrase) => (name === "alice" ? Promise.reject(new Error("disk is full")) : keyring.unlock(name, passphrase)) };
    const { done, lines } = run(broken);
    expect(await done).toEqual({ unlocked: 1, total: 2, failed: [{ name: "alice", reason: "failed" }] });
    expect(lines[0]).toBe("error autounlock: failed for alice: disk is full");
  });

  it("of a store without keys unlocks 0 of 0", async () => {
    const { keyring } = await filled([]);
    expect(await run(keyring).done).toEqual({ unlocked: 0, total: 0, failed: [] });
  });
});

describe("the source of the passphrase", () => {
  const files = (content: string) => (path: string): string => {
    if (path !== "/run/credentials/passphrase") throw new Error(`ENOENT: no such file, open '${path}'`);
    return content;
  };

  it("is off when no variable is set", () => {
    expect(autounlockSource({ PATH: "/bin" }, files(""))).toBeUndefined();
  });

  it.each(["NSECBUNKER_AUTOUNLOCK_PASSPHRASE", "NSEC_BUNKER_AUTOUNLOCK_PASSPHRASE"])("is %s or the file that its _FILE names, and leaves the environment", (name) => {
    const env: NodeJS.ProcessEnv = { [name]: "a passphrase ", other: "x" };
    expect(autounlockSource(env, files(""))).toEqual({ source: name, passphrase: "a passphrase " });
    expect(env).toEqual({ other: "x" });
    expect(autounlockSource({ [`${name}_FILE`]: "/run/credentials/passphrase" }, files("a passphrase\n"))).toEqual({ source: `${name}_FILE`, passphrase: "a passphrase" });
  });

  it.each([["a\n", "a"], ["a\r\n", "a"], ["a\n\n", "a\n"], ["a", "a"], [" a \n", " a "]])("of file %j is %j", (content, passphrase) => {
    expect(autounlockSource({ [SOURCE]: "/run/credentials/passphrase" }, files(content))?.passphrase).toBe(passphrase);
  });

  it("is refused when more than one is set, with their names and without their values", () => {
    const both = { NSECBUNKER_AUTOUNLOCK_PASSPHRASE: "one", NSEC_BUNKER_AUTOUNLOCK_PASSPHRASE_FILE: "/two" };
    const message = refusal(both, files(""));
    expect(message).toContain("NSECBUNKER_AUTOUNLOCK_PASSPHRASE and NSEC_BUNKER_AUTOUNLOCK_PASSPHRASE_FILE are set");
    expect(message).not.toMatch(/one,|\/two/);
    expect(both).toEqual({});
  });

  it("is refused when its file cannot be read or holds nothing", () => {
    expect(refusal({ [SOURCE]: "/elsewhere" }, files(""))).toContain(`the file that ${SOURCE} names cannot be read: ENOENT`);
    expect(refusal({ [SOURCE]: "/run/credentials/passphrase" }, files("\n"))).toContain("gives an empty passphrase");
    expect(refusal({ NSECBUNKER_AUTOUNLOCK_PASSPHRASE: "" }, files(""))).toContain("gives an empty passphrase");
  });

  function refusal(env: NodeJS.ProcessEnv, readFile: (path: string) => string): string {
    try {
      autounlockSource(env, readFile);
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error("it was taken");
  }
});
