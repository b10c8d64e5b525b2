import { z } from "zod";
import { nameSchema } from "../../../formats/place.js";
import { settingsSchema } from "../../../formats/settings.js";
import { connectionSchema } from "../../../formats/step.js";
import { runStep } from "../../stepProgram.js";
import { installSystem } from "../install.js";

/** Brings the system's sources to the host and builds them there; activates nothing. */
await runStep(z.strictObject({ connection: connectionSchema, node: nameSchema, flake: z.string(), digest: z.string(), settings: settingsSchema }), installSystem);
