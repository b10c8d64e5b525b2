import { z } from "zod";
import { policyRuleSchema } from "../../../formats/settings.js";
import { connectionSchema } from "../../../formats/step.js";
import { runStep } from "../../stepProgram.js";
import { proveActivation } from "../proveActivation.js";

const input = z.strictObject({ connection: connectionSchema, toplevel: z.string(), secretsVersion: z.int().positive(), replaces: z.int().nullable(), policy: z.array(policyRuleSchema), tunnelKey: z.string().nullable(), proofSeconds: z.int() });

/** Activates a built system and commits it once it has proven itself; otherwise the host rolls back, and this fails saying so. */
await runStep(input, proveActivation);
