import { z } from "zod";
import { bundleSchema } from "../../../formats/bundle.js";
import { printFormat } from "../../../formats/versioned.js";
import { runStep } from "../../stepProgram.js";
import { sealText } from "../../../custody/seal.js";

/** Seals a bundle for its host. The resource keeps the ciphertext: an unchanged bundle is not sealed again. */
await runStep(z.strictObject({ recipient: z.string(), bundle: bundleSchema.omit({ version: true }) }), async ({ recipient, bundle }) => {
  const version = Date.now();
  return { version, sealed: await sealText(printFormat(bundleSchema, { ...bundle, version }), recipient) };
});
