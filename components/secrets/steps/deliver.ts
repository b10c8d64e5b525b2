import { join } from "node:path";
import { z } from "zod";
import { recorded } from "../../../custody/audit/log.js";
import { recordFiles } from "../../../custody/records.js";
import { placeSchema } from "../../../formats/place.js";
import { connectionSchema, deliverySchema, type Delivery } from "../../../formats/step.js";
import { askAgent } from "../../host/agent.js";
import { runStep, tell } from "../../stepProgram.js";

const told = ({ changed }: Delivery): string => `${changed.length} secrets changed`;

/** Brings a sealed bundle to its host, which checks it and keeps it for the activation that follows. */
await runStep(z.strictObject({ connection: connectionSchema, sealed: z.string(), place: placeSchema, records: z.string() }), async ({ connection, sealed, place, records }) => {
  const delivery = await recorded(
    { file: join(records, recordFiles.audit), environment: place.environment },
    { action: "bundle-delivered", subject: `${place.node}, generation ${place.generation}`, told },
    () => askAgent(connection, "receive", { sealed }, deliverySchema, { deadline: 120_000 }),
  );
  tell(told(delivery));
  return delivery;
});
