import { z } from "zod";
import { nameSchema } from "../../../formats/place.js";
import { settingsSchema } from "../../../formats/settings.js";
import { connectionSchema } from "../../../formats/step.js";
import { runStep } from "../../stepProgram.js";
import { installNixos } from "../installation.js";

const input = z.strictObject({
  connection: connectionSchema,
  generation: z.int().positive(),
  node: nameSchema,
  flake: z.string(),
  settings: settingsSchema,
  wipe: z.strictObject({ generation: z.int().positive(), disks: z.array(z.string()) }).optional(),
  diskKey: z.string().min(32).optional(),
});

/** Makes NixOS of a host that is none yet. */
await runStep(input, installNixos);
