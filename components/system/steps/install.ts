import { z } from "zod";
import { hostLayout } from "../../../formats/hostLayout.js";
import { nameSchema } from "../../../formats/place.js";
import { settingsSchema } from "../../../formats/settings.js";
import { connectionSchema } from "../../../formats/step.js";
import { runOnHost } from "../../host/ssh.js";
import { runStep, tell } from "../../stepProgram.js";
import { archiveOf } from "../installationArchive.js";
import { buildCommand, unpackCommand } from "../nixCommands.js";

const input = z.strictObject({ connection: connectionSchema, node: nameSchema, flake: z.string(), digest: z.string(), settings: settingsSchema });

/** Brings the system's sources to the host and builds them there; activates nothing. */
await runStep(input, async ({ connection, node, flake, settings }) => {
  const { id, tar } = await archiveOf(flake, JSON.stringify(settings));
  tell(`sending the system's sources (${Math.ceil(tar.length / 1024)} KiB)`);
  await runOnHost(connection, unpackCommand(id), { input: tar, deadline: 120_000 });
  tell("building the system on the host");
  const started = Date.now();
  const output = await runOnHost(connection, buildCommand(id, node), { deadline: 1_800_000 });
  const toplevel = output.trim().split("\n").at(-1) ?? "";
  if (!/^\/nix\/store\/[a-z0-9]{32}-\S+$/.test(toplevel)) throw new Error(`Nix on the host built no path: ${JSON.stringify(output.slice(0, 300))}`);
  tell(`built ${toplevel} in ${((Date.now() - started) / 1000).toFixed(1)} s; kept at ${hostLayout.candidate}`);
  return { toplevel };
});
