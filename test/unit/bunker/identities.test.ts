import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as nip19 from "nostr-tools/nip19";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { takeIdentities } from "../../../bunker/identities.js";
import { standIn, type StandIn } from "./admin/standIn.js";

const secretKey = generateSecretKey();
const [nsec, npub] = [nip19.nsecEncode(secretKey), nip19.npubEncode(getPublicKey(secretKey))];
let here: StandIn;

const place = (name: string, text: string): void => writeFileSync(join(here.folder, "identities", name), text, { mode: 0o400 });
const kept = (name: string): string => readFileSync(join(here.folder, "identities", name), "utf8");
const take = (passphrase: string | undefined = "p"): Promise<void> => takeIdentities({ ...here.context, dataFolder: here.folder, passphrase });

describe("identities that the gate places", () => {
  beforeEach(() => {
    here = standIn();
    mkdirSync(join(here.folder, "identities"));
  });
  afterEach(() => here.remove());

  it("are sealed into the keystore, and the file keeps the public key alone", async () => {
    place("main", `${nsec}\n`);
    place("hexed", Buffer.from(generateSecretKey()).toString("hex"));
    await take();
    expect(here.keyring.get("main")!.publicKey).toBe(getPublicKey(secretKey));
    expect(kept("main")).toBe(`${npub}\n`);
    expect(kept("hexed")).toMatch(/^npub1/);
    expect(here.store.audit.query({}).map(({ action, keyName, who }) => [action, keyName, who])).toEqual([["take_identity", "hexed", "bunker"], ["take_identity", "main", "bunker"]]);
    expect(JSON.stringify([here.lines, here.store.audit.query({})])).not.toContain(nsec);
  });

  it("are finished when a start was killed between keystore and file", async () => {
    await here.keyring.create("main", "p", secretKey);
    here.keyring.lockAll();
    place("main", nsec);
    await take();
    expect(kept("main")).toBe(`${npub}\n`);
    await take();
    expect(here.lines.filter((line) => line.startsWith("error"))).toEqual([]);
  });

  it("stay as they are without a passphrase, or when the keystore has them under another", async () => {
    place("main", nsec);
    await takeIdentities({ ...here.context, dataFolder: here.folder, passphrase: undefined });
    expect(here.lines.at(-1)).toMatch(/^error identities: main: .*NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE/);
    await here.keyring.create("main", "another", secretKey);
    here.keyring.lockAll();
    await take();
    expect(here.lines.at(-1)).toMatch(/wrong-passphrase.*The file is left as it is/);
    expect(kept("main")).toBe(nsec);
  });

  it("that differ from the keystore's are refused by name, and the rest goes on", async () => {
    await here.keyring.create("aaa", "p");
    place("aaa", nsec);
    place("bbb", nip19.nsecEncode(generateSecretKey()));
    place("ccc", "what?");
    symlinkSync("/etc/passwd", join(here.folder, "identities", "ddd"));
    await take();
    expect(here.lines.filter((line) => line.startsWith("error"))).toEqual([
      expect.stringMatching(/^error identities: aaa: .*Decide which is right/) as string,
      expect.stringMatching(/^error identities: ccc: .*holds no identity/) as string,
      expect.stringMatching(/^error identities: ddd: .*no plain file/) as string,
    ]);
    expect(kept("aaa")).toBe(nsec);
    expect(here.keyring.get("aaa")!.publicKey).not.toBe(getPublicKey(secretKey));
    expect(here.keyring.get("bbb")).toBeDefined();
  });

  it("are never made up: an npub that the keystore lacks is an error", async () => {
    place("main", `${npub}\n`);
    await take();
    expect(here.lines).toEqual([expect.stringMatching(/^error identities: main: .*Restore the bunker's backup/) as string]);
    expect(here.keyring.names()).toEqual([]);
  });

  it("that somebody locked on purpose stay locked", async () => {
    await here.keyring.create("main", "p", secretKey);
    here.keyring.lockAll();
    here.holds.hold("main");
    place("main", nsec);
    await take();
    expect(here.keyring.get("main")).toBeUndefined();
    expect(kept("main")).toBe(`${npub}\n`);
  });

  it("may be none", async () => {
    await takeIdentities({ ...here.context, dataFolder: join(here.folder, "none"), passphrase: "p" });
    expect(here.lines).toEqual([]);
  });
});
