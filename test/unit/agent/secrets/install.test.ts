import { chmod, lstat, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ProgramFailure } from "../../../../agent/run.js";
import { receive } from "../../../../agent/secrets/receive.js";
import { bringSecrets, commitSecrets, installSecrets, prepareTrial } from "../../../../agent/secrets/trial.js";
import type { Site } from "../../../../agent/site.js";
import { bringBundle, bundleOf, contacted, deliverable, file, installedFiles, linkTarget, secretPaths, showing, standIn, systemd, texts, unitBlock } from "./standIn.js";

const password = file("lnd-wallet-password", "one");
const certificate = file("lnd-cert", "cert", { mode: "0444", consumers: ["lnd.service", "rtl.service"] });
const rpc = file("bitcoin-rpcpassword-privileged", "rpc", { owner: "bitcoin", group: "bitcoin", consumers: ["bitcoind.service", "lnd.service"] });

describe("the secrets of a bundle", () => {
  it("installs all files with their modes in a directory that only its owner lists", async () => {
    const { site, commands } = await standIn(systemd("active"));
    const told = await bringBundle(site, bundleOf(5, [password, certificate, rpc]));
    expect(told).toEqual({
      version: 5, replaces: null,
      changed: ["bitcoin-rpcpassword-privileged", "lnd-cert", "lnd-wallet-password"],
      // Each before what it comes after: otherwise systemd would take bitcoind from under a running lnd.
      restarted: ["rtl.service", "lnd.service", "bitcoind.service"],
    });
    expect(commands).toEqual([showing("bitcoind.service", "lnd.service", "rtl.service"), "systemctl try-restart -- rtl.service lnd.service bitcoind.service"]);
    const files = await installedFiles(site);
    expect(texts(files)).toEqual({ "lnd-wallet-password": "one", "lnd-cert": "cert", "bitcoin-rpcpassword-privileged": "rpc" });
    expect([files["lnd-wallet-password"]!.mode, files["lnd-cert"]!.mode]).toEqual([0o440, 0o444]);
    expect((await lstat(`${site.layout.secrets}.d/5`)).mode & 0o777).toBe(0o751);
    expect(await linkTarget(site)).toBe("nix-bitcoin-secrets.d/5");
    expect(await site.disk.look(site.layout.pendingRestarts)).toBeUndefined();
  });

  it("keeps the inode of what did not change, and restarts the readers of what did", async () => {
    const { site, commands } = await standIn(systemd("active"));
    await bringBundle(site, bundleOf(5, [password, certificate, rpc]));
    const before = await installedFiles(site);
    commands.length = 0;
    const told = await bringBundle(site, bundleOf(6, [password, file("lnd-cert", "new cert", { mode: "0444", consumers: ["rtl.service"] }), rpc]));
    expect(told).toEqual({ version: 6, replaces: 5, changed: ["lnd-cert"], restarted: ["rtl.service"] });
    expect(commands).toEqual([showing("rtl.service"), "systemctl try-restart -- rtl.service"]);
    const after = await installedFiles(site);
    expect(after["lnd-wallet-password"]).toEqual(before["lnd-wallet-password"]);
    expect(after["lnd-cert"]!.inode).not.toBe(before["lnd-cert"]!.inode);
    expect(await secretPaths(site)).toEqual(["nix-bitcoin-secrets", "nix-bitcoin-secrets.d", ".d/6"]);
  });

  it("restarts no unit that the running system does not have", async () => {
    const { site, commands } = await standIn(systemd("active"));
    const told = await bringBundle(site, bundleOf(5, [file("a", "1", { consumers: ["absent.service", "lnd.service"] }), file("b", "2", { consumers: ["absent.service"] })]));
    expect(told.restarted).toEqual(["lnd.service"]);
    expect(commands.at(-1)).toBe("systemctl try-restart -- lnd.service");
  });

  it("touches nothing when nothing changed, sealed anew or not", async () => {
    const { site, commands } = await standIn(systemd("active"));
    await bringBundle(site, bundleOf(5, [password, rpc]));
    const before = { files: await installedFiles(site), link: await lstat(site.layout.secrets), folder: await lstat(`${site.layout.secrets}.d/5`), folders: await lstat(`${site.layout.secrets}.d`) };
    commands.length = 0;
    expect(await bringBundle(site, bundleOf(7, [password, rpc]))).toEqual({ version: 7, replaces: 5, changed: [], restarted: [] });
    expect(commands).toEqual([]);
    expect({ files: await installedFiles(site), link: await lstat(site.layout.secrets), folder: await lstat(`${site.layout.secrets}.d/5`), folders: await lstat(`${site.layout.secrets}.d`) }).toEqual(before);
    expect(JSON.parse(await readFile(site.layout.installed, "utf8"))).toMatchObject({ version: 7 });
  });

  it("deletes what the bundle does not name, and restarts who read it", async () => {
    const { site } = await standIn(systemd("active"));
    await bringBundle(site, bundleOf(5, [password, rpc]));
    await writeFile(join(site.layout.secrets, "stray"), "");
    const told = await bringBundle(site, bundleOf(6, [password]));
    expect(told).toEqual({ version: 6, replaces: 5, changed: ["bitcoin-rpcpassword-privileged", "stray"], restarted: ["lnd.service", "bitcoind.service"] });
    expect(Object.keys(await installedFiles(site))).toEqual(["lnd-wallet-password"]);
  });

  it("repairs a file that somebody changed by hand, when they are brought again", async () => {
    const { site } = await standIn(systemd("active"));
    await bringBundle(site, bundleOf(5, [password, certificate]));
    await chmod(join(site.layout.secrets, "lnd-wallet-password"), 0o644);
    expect(await bringSecrets(site, 60_000)).toEqual(["lnd.service"]);
    expect((await installedFiles(site))["lnd-wallet-password"]!.mode).toBe(0o440);
    expect(await bringSecrets(site, 60_000)).toEqual([]);
  });

  it("moves the directory of an older installation aside, and keeps what was right in it", async () => {
    const { site } = await standIn(systemd("active"));
    await mkdir(site.layout.secrets);
    await writeFile(join(site.layout.secrets, "lnd-wallet-password"), "one", { mode: 0o440 });
    await writeFile(join(site.layout.secrets, "old"), "old");
    const told = await bringBundle(site, bundleOf(5, [password, rpc]));
    expect(told.changed).toEqual(["bitcoin-rpcpassword-privileged", "old"]);
    expect(texts(await installedFiles(site))).toEqual({ "lnd-wallet-password": "one", "bitcoin-rpcpassword-privileged": "rpc" });
    expect(await readFile(`${site.layout.secrets}.before-holdfast/old`, "utf8")).toBe("old");
  });

  it("names file, user and remedy when an owner is missing, and changes nothing", async () => {
    const { site } = await standIn(systemd("active"));
    await bringBundle(site, bundleOf(5, [password]));
    const before = await installedFiles(site);
    await expect(bringBundle(site, bundleOf(6, [file("rtl-password", "x", { owner: "rtl", group: "rtl" })])))
      .rejects.toThrow(/nothing was changed: rtl-password belongs to user rtl; rtl-password belongs to group rtl.*Enable the service that it comes with/);
    expect(await installedFiles(site)).toEqual(before);
  });

  it("says that the secrets are there when a consumer does not come up, and restarts it again next time", async () => {
    let broken = true;
    const { site, commands } = await standIn((argv) => (argv[1] === "try-restart" && broken ? { exitCode: 1, stderr: "Job for lnd.service failed." } : systemd("active")(argv)));
    await expect(bringBundle(site, bundleOf(5, [password]))).rejects.toThrow(/secrets were changed.*Job for lnd\.service failed/);
    broken = false;
    expect(await bringSecrets(site, 60_000)).toEqual(["lnd.service"]);
    commands.length = 0;
    expect(await bringSecrets(site, 60_000)).toEqual([]);
    expect(commands).toEqual([]);
  });

  it("leaves a consumer that takes long to itself", async () => {
    const { site } = await standIn((argv) => (argv[1] === "try-restart" ? { exitCode: -1 } : systemd("active")(argv)));
    const patient = { ...site, run: (...call: Parameters<Site["run"]>) => site.run(...call).catch((error: ProgramFailure) => Promise.reject(new ProgramFailure(error.argv, undefined, ""))) };
    expect((await bringBundle(patient, bundleOf(5, [password]))).restarted).toEqual(["lnd.service"]);
    expect(await site.disk.look(site.layout.pendingRestarts)).toBeUndefined();
  });

  it("restarts a consumer that is still starting with the old ones, which systemd would not", async () => {
    const { site, commands } = await standIn((argv) => (argv[1] === "restart" ? {} : systemd("activating")(argv)));
    expect((await bringBundle(site, bundleOf(5, [password]))).restarted).toEqual(["lnd.service"]);
    expect(commands.at(-1)).toBe("systemctl restart -- lnd.service");
  });

  it("restarts nobody who does not run, nor who has started since the files were swapped", async () => {
    const since = new Map([["lnd.service", 0], ["rtl.service", 1e18]]);
    const { site, commands } = await standIn((argv) => (argv[1] === "show" ? { stdout: argv.slice(4).map((unit) => unitBlock(unit, "loaded", since.has(unit) ? "active" : "failed", since.get(unit))).join("\n") } : systemd("active")(argv)));
    expect((await bringBundle(site, bundleOf(5, [password, certificate, rpc]))).restarted).toEqual(["lnd.service"]);
    expect(commands.at(-1)).toBe("systemctl try-restart -- lnd.service");
  });
});

describe("holdfast-secrets.service", () => {
  it("installs what was committed, and only queues restarts", async () => {
    const { site, commands } = await standIn(systemd("active"));
    const { version } = await receive(await deliverable(site, bundleOf(5, [password])), site);
    await prepareTrial(site, { toplevel: "one", previous: "other", secretsVersion: version });
    await commitSecrets(site);
    expect(await secretPaths(site)).toEqual([]);
    await installSecrets("", site);
    expect(texts(await installedFiles(site))).toEqual({ "lnd-wallet-password": "one" });
    expect(commands).toEqual([showing("lnd.service"), "systemctl try-restart --no-block -- lnd.service"]);
    commands.length = 0;
    await installSecrets("", site);
    expect(commands).toEqual([]);
  });

  it("installs nothing that was only delivered, and says that nothing is there", async () => {
    const { site } = await standIn(systemd("active"));
    await contacted(site);
    await expect(installSecrets("", site)).rejects.toThrow("has received no secrets yet");
    await receive(await deliverable(site, bundleOf(5, [password])), site);
    await expect(installSecrets("", site)).rejects.toThrow("has received no secrets yet");
  });
});
