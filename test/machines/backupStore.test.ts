import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemHost, type GateHost, type Layout } from "../../agent/gate/host.js";
import { fetchBackup, manifestOf, sendBackup, storeFacts } from "../../agent/backup/staging.js";
import { openStore } from "../../agent/backup/store.js";
import { run } from "../../agent/run.js";
import { hostLayout } from "../../formats/hostLayout.js";
import type { Settings } from "../../formats/settings.js";
import { bin, eventually, freePort, start, tlsPair, type Running } from "./lightningWorld.js";

const server = `${bin}/rest-server`;
const storePassword = "store-p@ss/word";
const lightning = { nodePublicKey: `02${"a".repeat(64)}`, confirmedBalance: 5, addresses: { external: 3, internal: 1 }, channels: 0, blockHeight: 100 };
const place = { environment: "dev", network: "regtest", node: "alice", generation: 1 } as const;

describe("the store behind an append-only rest-server with its own certificate", () => {
  let top = "";
  let port = 0;
  let serving: Running;
  let host: GateHost;
  const settings = async (): Promise<Settings> => ({
    place, lightning: { nodePublicKey: lightning.nodePublicKey },
    backup: { repository: `rest:https://127.0.0.1:${port}/alice/node`, user: "alice", certificate: await readFile(`${top}/cert`, "utf8") },
  }) as Settings;
  const serve = () => start([server, "--path", `${top}/data`, "--listen", `127.0.0.1:${port}`, "--append-only", "--private-repos", "--htpasswd-file", `${top}/htpasswd`, "--tls", "--tls-cert", `${top}/cert`, "--tls-key", `${top}/key`], `${top}/log`);
  const answers = () => eventually("the server", 10_000, async () => (await fetch(`https://127.0.0.1:${port}/`).catch((error: Error) => /certificate/.test(String(error.cause)) && error)) !== false);
  const deliver = (name: string, value: string) => writeFile(`${host.paths.secrets}/${name}`, value);

  beforeAll(async () => {
    top = await mkdtemp(`${tmpdir()}/holdfast-store-`);
    port = await freePort();
    await tlsPair(top, "cert", "key");
    await writeFile(`${top}/htpasswd`, `alice:{SHA}${createHash("sha1").update(storePassword).digest("base64")}\n`);
    const paths = Object.fromEntries(Object.entries(hostLayout).map(([name, path]) => [name, path.startsWith("/") ? `${top}/host${path}` : path])) as Layout;
    host = { ...systemHost, paths, waits: { ...systemHost.waits, store: 8_000 } };
    await mkdir(paths.secrets, { recursive: true });
    await deliver("backup-password", "a-repository-password");
    await deliver("backup-store-password", `${storePassword}\n`);
    serving = serve();
    await answers();
  });
  afterAll(async () => {
    await serving?.stop();
    await rm(top, { recursive: true, force: true });
  });

  it("is empty before the first backup", async () => {
    expect(await storeFacts(openStore(host, await settings()))).toEqual({ state: "empty" });
  });

  it("gives back what was sent, bytes and all", async () => {
    const store = openStore(host, await settings());
    await store.init();
    expect(await storeFacts(store)).toEqual({ state: "empty" });
    const channelBackup = Buffer.from([0, 255, 128, 10, 13, 0]);
    for (const sequence of [0, 1]) await sendBackup(host, store, { manifest: manifestOf(place, sequence, lightning, new Date()), channelBackup });
    const back = await fetchBackup(host, store);
    expect(back.manifest).toMatchObject({ ...place, sequence: 1, lightning });
    expect(back.channelBackup).toEqual(channelBackup);
  }, 30_000);

  it("is not emptied by a host that was taken over", async () => {
    const store = openStore(host, await settings());
    const runtime = `${top}/host/run/holdfast`;
    const { id } = (await store.newest())!;
    await expect(run(["restic", "--repository-file", `${runtime}/backup-repository`, "--password-file", `${host.paths.secrets}/backup-password`, "--cacert", `${runtime}/backup-store.pem`, "--no-cache", "forget", id], { deadline: 6_000 })).rejects.toThrow();
    expect((await storeFacts(store)).state).toBe("manifest");
  }, 30_000);

  it("is unreachable, and not empty, to a wrong user password, a wrong certificate and a server that is down, and never tells the password", async () => {
    const right = await settings();
    await deliver("backup-store-password", "wrong-p@ss/word");
    const refused = await storeFacts(openStore(host, right));
    expect(refused).toMatchObject({ state: "unreachable", why: expect.stringContaining("401") });
    await deliver("backup-store-password", storePassword);

    await tlsPair(top, "other-cert", "other-key");
    const forged = await storeFacts(openStore(host, { ...right, backup: { ...right.backup, certificate: await readFile(`${top}/other-cert`, "utf8") } }));
    expect(forged).toMatchObject({ state: "unreachable", why: expect.stringContaining("certificate") });

    await serving.stop();
    const away = await storeFacts(openStore(host, right));
    expect(away).toMatchObject({ state: "unreachable", why: expect.stringContaining("refused") });
    serving = serve();
    await answers();
    for (const facts of [refused, forged, away]) expect(JSON.stringify(facts)).not.toMatch(/p@ss|p%40ss/);
  }, 60_000);

  it("says that the repository's password is wrong", async () => {
    await deliver("backup-password", "another-password");
    expect((await storeFacts(openStore(host, await settings()))).state).toBe("wrong-password");
    await deliver("backup-password", "a-repository-password");
  }, 30_000);
});
