import { runStep } from "../../stepProgram.js";
import { welcome, welcomeSchema } from "../welcome.js";

/** First contact with a new server: it gets a host key of its own. */
await runStep(welcomeSchema, (given) => welcome(given));
