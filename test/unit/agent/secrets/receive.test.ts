import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { chmod, lstat, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { installSecrets, receive } from "../../../../agent/secrets/receive.js";
import { bundleOf, contacted, deliverable, file, installedFiles, linkTarget, place, seal, secretPaths, standIn, systemd, texts } from "./standIn.js";

const password = file("lnd-wallet-password", "one");
const certificate = file("lnd-cert", "cert", { mode: "0444", consumers: ["lnd.service", "rtl.service"] });
const rpc = file("bitcoin-rpcpassword-privileged", "rpc", { owner: "bitcoin", group: "bitcoin", consumers: ["bitcoind.service", "lnd.service"] });
const show = "systemctl show --property=LoadState --property=ActiveState nix-bitcoin-secrets.target";

describe("receive on a host whose system runs", () => {
  it("installs all files with their modes in a directory that only its owner lists", async () => {
    const { site, commands } = await standIn(systemd("active"));
    const told = await receive(await deliverable(site, bundleOf(5, [password, certificate, rpc])), site);
    expect(told).toEqual({
      version: 5,
      changed: ["bitcoin-rpcpassword-privileged", "lnd-cert", "lnd-wallet-password"],
      // Each before what it comes after: otherwise systemd would take bitcoind from under a running lnd.
      restarted: ["rtl.service", "lnd.service", "bitcoind.service"],
    });
    expect(commands).toEqual([show, "systemctl show --property=Id,LoadState,After -- bitcoind.service lnd.service rtl.service", "systemctl try-restart -- rtl.service lnd.service bitcoind.service"]);
    const files = await installedFiles(site);
    expect(texts(files)).toEqual({ "lnd-wallet-password": "one", "lnd-cert": "cert", "bitcoin-rpcpassword-privileged": "rpc" });
    expect([files["lnd-wallet-password"]!.mode, files["lnd-cert"]!.mode]).toEqual([0o440, 0o444]);
    expect((await lstat(`${site.layout.secrets}.d/5`)).mode & 0o777).toBe(0o751);
    expect(await linkTarget(site)).toBe("nix-bitcoin-secrets.d/5");
    expect(await site.disk.look(site.layout.pendingRestarts)).toBeUndefined();
  });

  it("keeps the inode of what did not change, and restarts the readers of what did", async () => {
    const { site, commands } = await standIn(systemd("active"));
    await receive(await deliverable(site, bundleOf(5, [password, certificate, rpc])), site);
    const before = await installedFiles(site);
    commands.length = 0;
    const told = await receive(await deliverable(site, bundleOf(6, [password, file("lnd-cert", "new cert", { mode: "0444", consumers: ["rtl.service"] }), rpc])), site);
    expect(told).toEqual({ version: 6, changed: ["lnd-cert"], restarted: ["rtl.service"] });
    expect(commands).toEqual([show, "systemctl show --property=Id,LoadState,After -- rtl.service", "systemctl try-restart -- rtl.service"]);
    const after = await installedFiles(site);
    expect(after["lnd-wallet-password"]).toEqual(before["lnd-wallet-password"]);
    expect(after["lnd-cert"]!.inode).not.toBe(before["lnd-cert"]!.inode);
    expect(await secretPaths(site)).toEqual(["nix-bitcoin-secrets", "nix-bitcoin-secrets.d", ".d/6"]);
  });

  it("restarts no unit that the running system does not have", async () => {
    const { site, commands } = await standIn(systemd("active"));
    const told = await receive(await deliverable(site, bundleOf(5, [file("a", "1", { consumers: ["absent.service", "lnd.service"] }), file("b", "2", { consumers: ["absent.service"] })])), site);
    expect(told.restarted).toEqual(["lnd.service"]);
    expect(commands.at(-1)).toBe("systemctl try-restart -- lnd.service");
  });

  it("touches nothing when nothing changed, sealed anew or not", async () => {
    const { site, commands } = await standIn(systemd("active"));
    await receive(await deliverable(site, bundleOf(5, [password, rpc])), site);
    const before = { files: await installedFiles(site), link: await lstat(site.layout.secrets), folder: await lstat(`${site.layout.secrets}.d/5`), folders: await lstat(`${site.layout.secrets}.d`) };
    commands.length = 0;
    expect(await receive(await deliverable(site, bundleOf(7, [password, rpc])), site)).toEqual({ version: 7, changed: [], restarted: [] });
    expect(commands).toEqual([show]);
    expect({ files: await installedFiles(site), link: await lstat(site.layout.secrets), folder: await lstat(`${site.layout.secrets}.d/5`), folders: await lstat(`${site.layout.secrets}.d`) }).toEqual(before);
    expect(JSON.parse(await readFile(site.layout.installed, "utf8"))).toMatchObject({ version: 7 });
  });

  it("deletes what the bundle does not name, and restarts who read it", async () => {
    const { site } = await standIn(systemd("active"));
    await receive(await deliverable(site, bundleOf(5, [password, rpc])), site);
    await writeFile(join(site.layout.secrets, "stray"), "");
    const told = await receive(await deliverable(site, bundleOf(6, [password])), site);
    expect(told).toEqual({ version: 6, changed: ["bitcoin-rpcpassword-privileged", "stray"], restarted: ["lnd.service", "bitcoind.service"] });
    expect(Object.keys(await installedFiles(site))).toEqual(["lnd-wallet-password"]);
  });

  it("repairs a file that somebody changed by hand", async () => {
    const { site } = await standIn(systemd("active"));
    const asked = await deliverable(site, bundleOf(5, [password, certificate]));
    await receive(asked, site);
    await chmod(join(site.layout.secrets, "lnd-wallet-password"), 0o644);
    expect(await receive(asked, site)).toMatchObject({ changed: ["lnd-wallet-password"], restarted: ["lnd.service"] });
    expect((await installedFiles(site))["lnd-wallet-password"]!.mode).toBe(0o440);
    expect(await receive(asked, site)).toMatchObject({ changed: [] });
  });

  it("moves the directory of an older installation aside, and keeps what was right in it", async () => {
    const { site } = await standIn(systemd("active"));
    await mkdir(site.layout.secrets);
    await writeFile(join(site.layout.secrets, "lnd-wallet-password"), "one", { mode: 0o440 });
    await writeFile(join(site.layout.secrets, "old"), "old");
    const told = await receive(await deliverable(site, bundleOf(5, [password, rpc])), site);
    expect(told.changed).toEqual(["bitcoin-rpcpassword-privileged", "old"]);
    expect(texts(await installedFiles(site))).toEqual({ "lnd-wallet-password": "one", "bitcoin-rpcpassword-privileged": "rpc" });
    expect(await readFile(`${site.layout.secrets}.before-holdfast/old`, "utf8")).toBe("old");
  });

  it("names file, user and remedy when an owner is missing, and changes nothing", async () => {
    const { site } = await standIn(systemd("active"));
    await receive(await deliverable(site, bundleOf(5, [password])), site);
    const before = await installedFiles(site);
    const stored = await readFile(site.layout.bundle, "utf8");
    const asked = await deliverable(site, bundleOf(6, [file("rtl-password", "x", { owner: "rtl", group: "rtl" })]));
    await expect(receive(asked, site)).rejects.toThrow(/nothing was changed: rtl-password belongs to user rtl; rtl-password belongs to group rtl.*Push the system that makes it/);
    expect(await installedFiles(site)).toEqual(before);
    expect(await readFile(site.layout.bundle, "utf8")).toBe(stored);
  });

  it("says that the secrets are installed when a consumer does not come up, and restarts it again next time", async () => {
    let broken = true;
    const { site, commands } = await standIn((argv) => (argv[1] === "try-restart" && broken ? { exitCode: 1, stderr: "Job for lnd.service failed." } : systemd("active")(argv)));
    const asked = await deliverable(site, bundleOf(5, [password]));
    await expect(receive(asked, site)).rejects.toThrow(/are installed.*Job for lnd\.service failed/);
    broken = false;
    expect(await receive(asked, site)).toEqual({ version: 5, changed: [], restarted: ["lnd.service"] });
    commands.length = 0;
    expect(await receive(asked, site)).toMatchObject({ restarted: [] });
    expect(commands).toEqual([show]);
  });

  it("starts the secrets target where it had failed", async () => {
    const { site, commands } = await standIn(systemd("failed"));
    await receive(await deliverable(site, bundleOf(5, [password])), site);
    expect(commands).toEqual([show, "systemctl show --property=Id,LoadState,After -- lnd.service", "systemctl try-restart -- lnd.service", "systemctl start --no-block -- nix-bitcoin-secrets.target"]);
  });
});

describe("receive on a host without a system", () => {
  it("keeps the bundle sealed, and tells what the system will change", async () => {
    const { site, commands } = await standIn(systemd("not-found"));
    const asked = await deliverable(site, bundleOf(5, [password, file("rtl-password", "x", { owner: "rtl", group: "rtl" })]));
    expect(await receive(asked, site)).toEqual({ version: 5, changed: ["lnd-wallet-password", "rtl-password"], restarted: [] });
    expect(commands).toEqual([show]);
    expect(await secretPaths(site)).toEqual([]);
    expect(await readFile(site.layout.bundle, "utf8")).toBe((JSON.parse(asked) as { sealed: string }).sealed);
  });

  it("lets the system install it, and only queues restarts then", async () => {
    const { site, commands } = await standIn(systemd("not-found"));
    await receive(await deliverable(site, bundleOf(5, [password])), site);
    commands.length = 0;
    await installSecrets("", site);
    expect(texts(await installedFiles(site))).toEqual({ "lnd-wallet-password": "one" });
    expect(commands).toEqual(["systemctl show --property=Id,LoadState,After -- lnd.service", "systemctl try-restart --no-block -- lnd.service"]);
    commands.length = 0;
    expect(await installSecrets("", site)).toEqual({ version: 5, changed: [], restarted: [] });
    expect(commands).toEqual([]);
  });

  it("fails to install with a clear message when nothing was delivered", async () => {
    const { site } = await standIn(systemd("not-found"));
    await contacted(site);
    await expect(installSecrets("", site)).rejects.toThrow("has received no secrets yet");
  });
});

describe("what receive refuses", () => {
  it.each([
    [{ ...place, environment: "prod" }, "environment prod, and this host is environment dev"],
    [{ ...place, network: "mainnet" as const }, "network mainnet, and this host is network regtest"],
    [{ ...place, node: "bob" }, "node bob, and this host is node alice"],
    [{ ...place, generation: 2 }, "generation 2, and this host is generation 1"],
  ])("a bundle for another place: %j", async (other, words) => {
    const { site } = await standIn(systemd("active"));
    await expect(receive(await deliverable(site, bundleOf(5, [password], other)), site)).rejects.toThrow(words);
    expect(await site.disk.look(site.layout.bundle)).toBeUndefined();
  });

  it("an older bundle than the last one, unless told", async () => {
    const { site } = await standIn(systemd("active"));
    await receive(await deliverable(site, bundleOf(6, [password])), site);
    const older = bundleOf(5, [file("lnd-wallet-password", "zero")]);
    await expect(receive(await deliverable(site, older), site)).rejects.toThrow("allowOlder");
    expect(await receive(await deliverable(site, older, true), site)).toMatchObject({ version: 5, changed: ["lnd-wallet-password"] });
    expect(await receive(await deliverable(site, bundleOf(6, [password])), site)).toMatchObject({ version: 6 });
  });

  it("an older bundle than one that still waits for its system", async () => {
    const { site } = await standIn(systemd("not-found"));
    await receive(await deliverable(site, bundleOf(6, [password])), site);
    await expect(receive(await deliverable(site, bundleOf(5, [password])), site)).rejects.toThrow("is refused");
  });

  it("a bundle that is sealed for another host, without quoting any of it", async () => {
    const { site } = await standIn(systemd("active"));
    const own = await contacted(site);
    const sealed = await seal(bundleOf(5, [password]), await identityToRecipient(await generateX25519Identity()));
    await expect(receive(JSON.stringify({ sealed, allowOlder: false }), site)).rejects.toThrow(`sealed for another host than ${own}`);
  });

  it("a bundle before first contact", async () => {
    const { site } = await standIn(systemd("active"));
    const sealed = await seal(bundleOf(5, [password]), await identityToRecipient(await generateX25519Identity()));
    await expect(receive(JSON.stringify({ sealed, allowOlder: false }), site)).rejects.toThrow("The contact step comes first");
  });

  it("a bundle that names a file twice", async () => {
    const { site } = await standIn(systemd("active"));
    await expect(receive(await deliverable(site, bundleOf(5, [password, password])), site)).rejects.toThrow("names lnd-wallet-password twice");
  });

  it("a file name that leaves the directory", async () => {
    const { site } = await standIn(systemd("active"));
    await expect(receive(await deliverable(site, bundleOf(5, [file("../passwd", "x")])), site)).rejects.toThrow("wants a plain file name");
  });

  it("keeps the sealed predecessor of what it accepts", async () => {
    const { site } = await standIn(systemd("active"));
    const first = await deliverable(site, bundleOf(5, [password]));
    await receive(first, site);
    await receive(await deliverable(site, bundleOf(6, [certificate])), site);
    expect(await readFile(join(site.layout.state, "bundle.previous.age"), "utf8")).toBe((JSON.parse(first) as { sealed: string }).sealed);
  });
});
