import { z } from "zod";
import { connectionSchema, deliverySchema } from "../../../formats/step.js";
import { askAgent } from "../../host/agent.js";
import { runStep, tell } from "../../stepProgram.js";

/** Brings a sealed bundle to its host, which checks, installs and restarts what reads what changed. */
await runStep(z.strictObject({ connection: connectionSchema, sealed: z.string() }), async ({ connection, sealed }) => {
  const delivery = await askAgent(connection, "receive", { sealed, allowOlder: false }, deliverySchema, { deadline: 120_000 });
  tell(`${delivery.changed.length} secrets changed${delivery.restarted.length === 0 ? "" : `; restarted ${delivery.restarted.join(", ")}`}`);
  return delivery;
});
