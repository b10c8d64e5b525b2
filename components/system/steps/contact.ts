import { z } from "zod";
import { placeSchema } from "../../../formats/place.js";
import { connectionSchema, contactSchema } from "../../../formats/step.js";
import { askAgent } from "../../host/agent.js";
import { runStep } from "../../stepProgram.js";

/** First contact with the agent: it makes the host's own age identity and remembers which place the host has. Only the recipient leaves it. */
await runStep(z.strictObject({ connection: connectionSchema, place: placeSchema }), ({ connection, place }) =>
  askAgent(connection, "contact", { place }, contactSchema, { deadline: 30_000 }));
