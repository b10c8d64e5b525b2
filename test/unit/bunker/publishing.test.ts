import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openClientRelays } from "../../../bunker/clientRelays.js";
import { createPublish } from "../../../bunker/publishing.js";
import type { NostrEvent, Relays, RelayState } from "../../../bunker/relays/relays.js";

const event: NostrEvent = { id: "1", pubkey: "b", content: "", created_at: 0, kind: 24133, tags: [["p", "client"]], sig: "" };
let folder: string;

function setUp(taken: (attempt: number) => string[], states: (time: number) => RelayState[] = () => []) {
  const seen = { time: 0, attempts: 0, used: [] as (readonly string[])[] };
  const relays = {
    states: () => states(seen.time),
    use: (urls: readonly string[]) => { seen.used.push(urls); },
    publish: async () => taken(++seen.attempts),
  } as unknown as Relays;
  const clientRelays = openClientRelays(folder);
  const publish = createPublish({ relays, clientRelays, urls: () => ["wss://a.example", ...clientRelays.urls(() => "is")], wait: async (ms) => { seen.time += ms; }, now: () => seen.time });
  return { seen, publish, clientRelays };
}

describe("publishing", () => {
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), "bunker-publish-")); });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("sends once when a relay takes it", async () => {
    const { seen, publish } = setUp(() => ["wss://a.example"]);
    expect(await publish(event)).toEqual(["wss://a.example"]);
    expect(seen.attempts).toBe(1);
  });

  it("sends again until a relay is back, and gives up in the end", async () => {
    expect(await setUp((attempt) => (attempt < 5 ? [] : ["wss://a.example"])).publish(event)).toEqual(["wss://a.example"]);
    const never = setUp(() => []);
    expect(await never.publish(event)).toEqual([]);
    expect(never.seen.time).toBeGreaterThanOrEqual(15_000);
    expect(never.seen.time).toBeLessThan(16_000);
  });

  it("listens at a client's own relays before it answers there, and after a restart", async () => {
    const { seen, publish } = setUp(() => ["wss://client.example/"], (time) => [{ url: "wss://client.example/", is: time < 1000 ? "connecting" : "listening", attempts: 0 }]);
    expect(await publish(event, ["wss://client.example"])).toEqual(["wss://client.example/"]);
    expect(seen.time).toBe(1000);
    expect(seen.used).toEqual([["wss://a.example", "wss://client.example"]]);
    expect(openClientRelays(folder).urls(() => "is")).toEqual(["wss://client.example"]);
    expect(openClientRelays(folder).urls(() => "was")).toEqual([]);
  });

  it("sends nothing when none of a client's relays can be reached", async () => {
    const { seen, publish } = setUp(() => ["wss://a.example"]);
    expect(await publish(event, ["wss://client.example"])).toEqual([]);
    expect(seen.attempts).toBe(0);
  });

  it("bounds what clients bring, and refuses a damaged list", () => {
    const { clientRelays } = setUp(() => []);
    expect(() => clientRelays.add("client", Array.from({ length: 33 }, (_, index) => `wss://r${index}.example`))).toThrow("more than 32 relays");
    writeFileSync(join(folder, "client-relays.json"), "{");
    expect(() => openClientRelays(folder)).toThrow("is damaged");
  });
});
