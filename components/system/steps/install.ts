import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, rm, writeFile, copyFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { z } from "zod";
import { hostLayout } from "../../../formats/hostLayout.js";
import { nameSchema } from "../../../formats/place.js";
import { settingsSchema } from "../../../formats/settings.js";
import { connectionSchema } from "../../../formats/step.js";
import { runOnHost } from "../../host/ssh.js";
import { runStep, tell } from "../../stepProgram.js";
import { AGENT } from "../sources.js";
import { buildCommand, unpackCommand } from "../nixCommands.js";

const input = z.strictObject({ connection: connectionSchema, node: nameSchema, flake: z.string(), digest: z.string(), settings: settingsSchema });

/** Brings the system's sources to the host and builds them there; activates nothing. */
await runStep(input, async ({ connection, node, flake, settings }) => {
  const archive = await sources(flake, JSON.stringify(settings));
  const id = createHash("sha256").update(archive).digest("hex").slice(0, 16);
  tell(`sending the system's sources (${Math.ceil(archive.length / 1024)} KiB)`);
  await runOnHost(connection, unpackCommand(id), { input: archive, deadline: 120_000 });
  tell("building the system on the host");
  const started = Date.now();
  const output = await runOnHost(connection, buildCommand(id, node), { deadline: 1_800_000 });
  const toplevel = output.trim().split("\n").at(-1) ?? "";
  if (!/^\/nix\/store\/[a-z0-9]{32}-\S+$/.test(toplevel)) throw new Error(`Nix on the host built no path: ${JSON.stringify(output.slice(0, 300))}`);
  tell(`built ${toplevel} in ${((Date.now() - started) / 1000).toFixed(1)} s; kept at ${hostLayout.candidate}`);
  return { toplevel };
});

/** A tar of `flake/` and `handover/`, the same for the same content. */
async function sources(flake: string, settings: string): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-sources-"));
  try {
    await cp(flake, join(folder, "flake"), { recursive: true });
    await mkdir(join(folder, "handover"));
    await writeFile(join(folder, "handover", "settings.json"), settings);
    await copyFile(AGENT, join(folder, "handover", "agent.mjs"));
    const tar = await execa("tar", ["--create", "--sort=name", "--mtime=@1", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+rwX,go=rX", "--directory", folder, "flake", "handover"], {
      encoding: "buffer", timeout: 60_000,
    });
    return tar.stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
