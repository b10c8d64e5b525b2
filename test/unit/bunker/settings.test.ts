import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as nip19 from "nostr-tools/nip19";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSettings, Refused, type Settings } from "../../../bunker/settings.js";

const secretKey = generateSecretKey();
const nsec = nip19.nsecEncode(secretKey);
const admin = getPublicKey(generateSecretKey());
const folder = mkdtempSync(join(tmpdir(), "bunker-settings-"));
const keyFile = join(folder, "admin-key");
const full = { nostr: { relays: ["wss://relay.example"] }, admin: { npubs: [nip19.npubEncode(admin)] } };

function read(config: unknown, environment: Record<string, string> = { NSECBUNKER_ADMIN_KEY_FILE: keyFile }): Settings {
  const path = join(folder, "nsecbunker.json");
  writeFileSync(path, typeof config === "string" ? config : JSON.stringify(config));
  chmodSync(path, 0o600);
  return readSettings({ config: path, data: folder, run: folder }, environment);
}

describe("settings", () => {
  beforeAll(() => writeFileSync(keyFile, `${nsec}\n`));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("reads nsecbunkerd's file and the identity's", () => {
    const settings = read({ ...full, admin: { ...full.admin, adminRelays: ["wss://admin.example/", "wss://relay.example"] } });
    expect(settings.relays).toEqual(["wss://relay.example"]);
    expect(settings.allRelays).toEqual(["wss://relay.example", "wss://admin.example"]);
    expect([...settings.admins]).toEqual([admin]);
    expect(settings.identity.publicKey).toBe(getPublicKey(secretKey));
    expect(settings.warnings).toEqual([]);
  });

  it("takes the identity from admin.key as well", () => {
    const settings = read({ ...full, admin: { ...full.admin, key: Buffer.from(secretKey).toString("hex") } }, {});
    expect(settings.identity.publicKey).toBe(getPublicKey(secretKey));
  });

  it("wants exactly one identity, and names both places", () => {
    expect(() => read(full, {})).toThrow(/Neither NSECBUNKER_ADMIN_KEY_FILE nor .*admin\.key/);
    expect(() => read({ ...full, admin: { ...full.admin, key: nsec } })).toThrow(/Both NSECBUNKER_ADMIN_KEY_FILE and .*admin\.key/);
  });

  it("names unknown keys in one line and goes on", () => {
    const { warnings } = read({ ...full, database: "sqlite://x", verbose: false, version: "0.10.5", admin: { ...full.admin, colour: "red" } });
    expect(warnings).toEqual([expect.stringContaining("passed over: admin.colour, database, verbose")]);
  });

  it("warns of a relay in clear on the open network, and of none nearby", () => {
    const near = ["ws://127.0.0.1:7777", "ws://[::1]:7777", "ws://10.10.0.1", "ws://100.100.1.1", "ws://x.onion", "ws://[fd00::1]"];
    expect(read({ ...full, nostr: { relays: near } }).warnings).toEqual([]);
    expect(read({ ...full, nostr: { relays: ["ws://relay.example", "ws://93.184.216.34"] } }).warnings).toHaveLength(2);
  });

  it.each([
    ["{", "is no JSON"],
    [{ admin: {} }, "nostr"],
    [{ nostr: { relays: [] } }, "nostr.relays is empty"],
    [{ nostr: { relays: ["https://relay.example"] } }, "nostr.relays[0]"],
    [{ nostr: { relays: ["wss://user:secret@relay.example"] } }, "nostr.relays[0] carries a user"],
    [{ ...full, admin: { npubs: ["npub1xyz"] } }, "admin.npubs[0]"],
  ])("refuses %j by name", (config, words) => {
    expect(() => read(config)).toThrow(words);
    expect(() => read(config)).toThrow(Refused);
  });

  it("never quotes a key that does not fit", () => {
    const damaged = `${nsec.slice(0, -1)}${nsec.endsWith("q") ? "p" : "q"}`;
    for (const attempt of [() => read({ ...full, admin: { ...full.admin, key: damaged } }, {}), () => read(`{"admin":{"key":"${nsec}",}`)]) {
      expect(attempt).toThrow(Refused);
      expect(attempt).not.toThrow(new RegExp(nsec.slice(0, 20)));
    }
  });

  it("serves metrics on loopback alone", () => {
    const environment = (metrics: string): Record<string, string> => ({ NSECBUNKER_ADMIN_KEY_FILE: keyFile, NSECBUNKER_METRICS: metrics });
    expect(read(full, environment("127.0.0.1:9100")).metrics).toEqual({ host: "127.0.0.1", port: 9100 });
    expect(read(full, environment("[::1]:9100")).metrics).toEqual({ host: "::1", port: 9100 });
    for (const text of ["0.0.0.0:9100", "9100", "10.0.0.1:9100", "127.0.0.1:99999"]) expect(() => read(full, environment(text))).toThrow("NSECBUNKER_METRICS");
  });

  it("says what is wrong with files and the proxy", () => {
    expect(() => read(full, { NSECBUNKER_ADMIN_KEY_FILE: join(folder, "none") })).toThrow(/NSECBUNKER_ADMIN_KEY_FILE.*cannot be read \(ENOENT\)/);
    expect(() => read(full, { NSECBUNKER_ADMIN_KEY_FILE: keyFile, NSECBUNKER_PROXY: "http://127.0.0.1:1" })).toThrow("NSECBUNKER_PROXY");
    expect(() => readSettings({ config: join(folder, "no.json"), data: folder, run: folder }, {})).toThrow("--config");
  });
});
