import { setTimeout as wait } from "node:timers/promises";
import { generateSecretKey, type NostrEvent } from "nostr-tools/pure";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startClient, type ClientProgram } from "../interop/nostr/client.js";
import { makeRelay, type RelayProgram } from "../interop/nostr/relays.js";
import { invite, newKey, newSecret } from "../nostr/operator.js";
import { rawClient, type RawClient } from "../nostr/raw.js";
import { build, everything, makeHome, startProgram, type Home, type Running } from "../unit/bunker/program.js";

const passphrase = "of the bunker whose relay dies";

describe("with a khatru that dies, the bunker", () => {
  let relay: RelayProgram;
  let home: Home;
  let running: Running;
  let key: string;
  const clients: ClientProgram[] = [];
  beforeAll(build);
  beforeEach(async () => {
    relay = await makeRelay("khatru");
    home = makeHome([relay.url], passphrase);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.stop();
    running.child.kill("SIGKILL");
    await running.ended;
    await relay.kill();
    home.remove();
  });

  async function startWith(...names: string[]): Promise<void> {
    running = startProgram(home);
    await running.says(/ready/, 60_000);
    await running.call("create_new_policy", [everything]);
    for (const name of names) key = await newKey(running, name, passphrase);
  }

  async function boundClient(): Promise<RawClient> {
    const client = rawClient(key);
    expect(await client.ask(relay.url, "connect", [key, await newSecret(running, "main", "raw")], 15_000)).toMatchObject({ result: "ack" });
    return client;
  }

  /** Milliseconds from now until a client that asks again and again, as people do, has its answer. khatru refuses what nobody hears. */
  async function untilAnswered(client: RawClient): Promise<number> {
    const began = performance.now();
    for (;;) {
      const answer = await client.ask(relay.url, "ping", [], 2000).catch(() => undefined);
      if (answer?.result === "pong") return performance.now() - began;
      if (performance.now() - began > 60_000) throw new Error(`no answer within a minute. The bunker said:\n${running.output()}`);
      await wait(100);
    }
  }

  it.each([3, 60])("answers within 5 s of its return after %i s, time and again", async (seconds) => {
    await relay.start();
    await startWith("main");
    const client = await boundClient();
    for (let round = 0; round < (seconds === 3 ? 3 : 1); round++) {
      await relay.kill();
      await wait(seconds * 1000);
      await relay.start();
      const took = await untilAnswered(client);
      process.stderr.write(`khatru back after ${seconds} s: answered after ${took.toFixed(0)} ms\n`);
      expect(took).toBeLessThan(5000);
    }
  });

  it("answers within 5 s of its coming when it was not there at the start", async () => {
    await relay.start();
    await startWith("main");
    const client = await boundClient();
    await running.stop();
    await relay.kill();
    running = startProgram(home);
    await running.says(/unlocked 1\/1/, 60_000);
    await wait(10_000);
    await relay.start();
    const took = await untilAnswered(client);
    process.stderr.write(`khatru there 10 s after the start: answered after ${took.toFixed(0)} ms\n`);
    expect(took).toBeLessThan(5000);
    expect(running.output()).toMatch(/ready/);
  });

  it("answers everything that a Python client asks from the first subscription on, and none with locked", async () => {
    await relay.start();
    await startWith("one", "two", "three", "four", "five", "main");
    const client = await startClient("nostr-sdk");
    clients.push(client);
    await client.ask("connect", { uri: await invite(running, { name: "main", publicKey: key }, [relay.url], "python"), secretKey: Buffer.from(generateSecretKey()).toString("hex") });
    await running.stop();

    running = startProgram(home);
    await running.says(/: listening/, 60_000);
    expect(running.output()).not.toMatch(/ready/);
    let answered = 0;
    for (let last = 3; last > 0; answered++) {
      if (/ready/.test(running.output())) last--;
      const event = { kind: 1, content: `${answered}`, tags: [], created_at: 1_714_078_911, pubkey: key };
      expect(await client.ask("sign", { event }) as NostrEvent).toMatchObject({ content: `${answered}`, pubkey: key });
    }
    expect(running.output()).toMatch(/unlocked 6\/6/);
    expect(answered).toBeGreaterThan(2);
  });
});
