import { mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Site } from "../../../../agent/site.js";
import { bring, bringBundle, bundleOf, deliverable, dyingAt, file, installedFiles, secretPaths, standIn, systemd, texts, type StandIn } from "./standIn.js";

const old = [file("kept", "kept"), file("changed", "before", { consumers: ["changed.service"] }), file("gone", "gone", { consumers: ["gone.service"] })];
const fresh = [file("kept", "kept"), file("changed", "after", { consumers: ["changed.service"] }), file("added", "added", { consumers: ["added.service"] })];
const wanted = { kept: "kept", changed: "after", added: "added" };

async function killEverywhere(prepare: (host: StandIn) => Promise<void>, readable: (site: Site) => Promise<void>): Promise<number> {
  for (let effect = 1; ; effect++) {
    const host = await standIn(systemd("active"));
    const { site, commands } = host;
    await prepare(host);
    const asked = await deliverable(site, bundleOf(6, fresh));
    commands.length = 0;
    const { dying, isDead } = dyingAt(site, effect);
    await bring(dying, asked).catch(() => undefined);
    if (!isDead()) return effect;
    await readable(site);
    await bring(site, asked);
    expect(texts(await installedFiles(site)), `killed at effect ${effect}`).toEqual(wanted);
    expect((await secretPaths(site)).filter((path) => path.startsWith(".d/"))).toHaveLength(1);
    expect((await secretPaths(site)).filter((path) => path.endsWith(".new"))).toEqual([]);
    expect((await readdir(site.layout.state)).filter((name) => /new$|fresh$/.test(name))).toEqual([]);
    expect(await readdir(dirname(site.layout.pendingRestarts))).toEqual([]);
    expect(commands.some((command) => command.includes("try-restart") && command.includes("changed.service")), `killed at effect ${effect}: ${commands.join("; ")}`).toBe(true);
    expect((await readdir(site.layout.state)).filter((name) => name.startsWith("bundle."))).toEqual(["bundle.age"]);
    expect(await bring(site, asked)).toMatchObject({ changed: [], restarted: [] });
  }
}

describe("the bringing of secrets, killed anywhere,", { timeout: 120_000 }, () => {
  it("leaves the old secrets or the new ones, and is finished by the next", async () => {
    const effects = await killEverywhere(
      async ({ site }) => void (await bringBundle(site, bundleOf(5, old))),
      async (site) => expect([{ kept: "kept", changed: "before", gone: "gone" }, wanted]).toContainEqual(texts(await installedFiles(site))),
    );
    expect(effects).toBeGreaterThan(30);
  });

  it("restarts the readers of the first bundle too", async () => {
    await killEverywhere(async ({ site }) => void (await deliverable(site, bundleOf(5, old))), async () => undefined);
  });

  it("is finished where it was to replace the directory of an older installation", async () => {
    await killEverywhere(
      async ({ site }) => {
        await mkdir(site.layout.secrets);
        await writeFile(join(site.layout.secrets, "kept"), "kept", { mode: 0o440 });
      },
      async () => undefined,
    );
  });
});
