import { setTimeout as wait } from "node:timers/promises";
import * as nip44 from "nostr-tools/nip44";
import { finalizeEvent, generateSecretKey, getPublicKey, verifyEvent, type NostrEvent } from "nostr-tools/pure";
import { Relay } from "nostr-tools/relay";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AuditLine } from "../../bunker/model.js";
import { startRelay, type TestRelay } from "../nostr/relay.js";
import { askAdmin, build, connectClient, everything, makeHome, startProgram, type Home, type Running } from "../unit/bunker/program.js";

const ROUNDS = 20;
const passphrase = "of the killed bunker";

/** What was answered, and so must never be lost. */
interface Answered {
  readonly signed: Set<string>;
  readonly keys: Set<string>;
  readonly policies: Set<string>;
  /** Policies that the admin RPC made. */
  readonly byAdmin: Set<string>;
  readonly tokens: Set<string>;
}

describe("a bunker that is killed at random points", () => {
  let relay: TestRelay;
  let home: Home;
  let running: Running;
  beforeAll(async () => {
    await build();
    relay = await startRelay();
    home = makeHome([relay.url], passphrase);
    running = startProgram(home);
    await running.says(/ready/, 60_000);
  });
  afterAll(async () => {
    running.child.kill("SIGKILL");
    await running.ended;
    await relay.stop();
    home.remove();
  });

  it(`has all that it answered, after each of ${ROUNDS} rounds`, async () => {
    const client = generateSecretKey();
    const answered: Answered = { signed: new Set(), keys: new Set(), policies: new Set(), byAdmin: new Set(), tokens: new Set() };
    await running.call("create_new_policy", [everything]);
    await running.call("create_new_key", ["main", passphrase]);
    await running.call("create_new_token", ["main", "phone", "1"]);
    await (await connectClient(relay.url, running, "main", client)).close();
    const key = (await running.call("status") as { keys: { publicKey: string }[] }).keys[0]!.publicKey;

    for (let round = 0; round < ROUNDS; round++) {
      const end = new AbortController();
      const making = note(running.call("create_new_key", [`r${round}`, passphrase]), answered.keys, `r${round}`);
      const work = Promise.all([making, signAll(client, key, `round ${round}`, answered, end.signal), administer(running, round, answered, end.signal)]);
      // A key takes its time: every fourth is waited for, so that some are answered on a slow machine too.
      if (round % 4 === 3) await making;
      await wait(100 + Math.random() * 900);
      running.child.kill("SIGKILL");
      await running.ended;
      end.abort();
      await work;

      running = startProgram(home);
      await running.says(/ready/, 60_000);
      await expectAll(running, client, answered);
    }
    expect(answered.signed.size).toBeGreaterThan(ROUNDS);
    expect(answered.policies.size).toBeGreaterThan(ROUNDS / 2);
    expect(answered.byAdmin.size).toBeGreaterThan(ROUNDS / 4);
    expect(answered.keys.size).toBeGreaterThan(0);
  });

  /** Asks for signatures, one after the other as fast as the client's rate allows, and notes those that came. */
  async function signAll(client: Uint8Array, key: string, content: string, answered: Answered, end: AbortSignal): Promise<void> {
    const line = await Relay.connect(relay.url);
    const conversation = nip44.getConversationKey(client, key);
    line.subscribe([{ kinds: [24_133], authors: [key], "#p": [getPublicKey(client)] }], { onevent: (event) => {
      const { result } = JSON.parse(nip44.decrypt(event.content, conversation)) as { result?: string };
      const signed = result === undefined ? undefined : JSON.parse(result) as NostrEvent;
      if (signed !== undefined && verifyEvent(signed)) answered.signed.add(signed.id);
    } });
    for (let count = 0; !end.aborted; count++) {
      const params = [JSON.stringify({ kind: 1, content: `${content} ${count}`, tags: [], created_at: 1 })];
      void line.publish(finalizeEvent({ kind: 24_133, created_at: Math.floor(Date.now() / 1000), tags: [["p", key]], content: nip44.encrypt(JSON.stringify({ id: `${count}`, method: "sign_event", params }), conversation) }, client));
      await wait(25);
    }
    await wait(200);
    line.close();
  }

  async function note(work: Promise<unknown>, into: Set<string>, name: string): Promise<void> {
    // Killed in the middle of it: not answered, so nothing is owed.
    if (await work.then(() => "answered", () => "lost") === "answered") into.add(name);
  }

  /** By the admin RPC, at the relay. Fails when nothing came. */
  async function byAdmin(method: string, params: readonly unknown[]): Promise<void> {
    const reply = await askAdmin(relay.url, home, method, params, { deadlineMs: 3000 });
    if (reply?.result !== '["ok"]') throw new Error("not answered");
  }

  async function administer(one: Running, round: number, answered: Answered, end: AbortSignal): Promise<void> {
    for (let count = 0; !end.aborted; count++) {
      const name = `r${round}-${count}`;
      await note(one.call("create_new_policy", [{ name, rules: [] }]), answered.policies, name);
      await note(byAdmin("create_new_policy", [JSON.stringify({ name: `${name}-rpc`, rules: [] })]), answered.byAdmin, `${name}-rpc`);
      await note(one.call("create_new_token", ["main", name, "1"]), answered.tokens, name);
    }
  }

  async function expectAll(one: Running, client: Uint8Array, answered: Answered): Promise<void> {
    const status = await one.call("status") as { readonly keys: readonly { readonly name: string; readonly is: string }[] };
    const policies = await one.call("get_policies") as { readonly name: string }[];
    const tokens = await one.call("get_key_tokens", ["main"]) as { readonly client_name: string }[];
    expect([...answered.keys].filter((name) => !status.keys.some((key) => key.name === name && key.is === "open"))).toEqual([]);
    expect([...answered.policies, ...answered.byAdmin].filter((name) => !policies.some((policy) => policy.name === name))).toEqual([]);
    expect([...answered.tokens].filter((name) => !tokens.some((token) => token.client_name === name))).toEqual([]);
    expect(await one.call("verify_audit")).not.toHaveProperty("fault");
    const lines = await auditOf(one, getPublicKey(client));
    const written = new Set(lines.filter(({ action, outcome }) => action === "sign_event" && outcome === "allowed").map(({ contentHash }) => contentHash));
    expect([...answered.signed].filter((id) => !written.has(id))).toEqual([]);
  }

  async function auditOf(one: Running, who: string): Promise<AuditLine[]> {
    const all: AuditLine[] = [];
    for (;;) {
      const part = await one.call("query_audit", [{ who, after: all.at(-1)?.sequence ?? 0, limit: 1000 }]) as AuditLine[];
      all.push(...part);
      if (part.length < 1000) return all;
    }
  }
});
