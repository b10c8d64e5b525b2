import { identityFileSchema } from "../../../formats/identity.js";
import { parseFormat } from "../../../formats/versioned.js";
import { runStep } from "../../stepProgram.js";

/** Keeps a node identity, sealed for the wallet recipient, as a resource of the stack, and never lets another take its place. */
await runStep(identityFileSchema, async (identity) => {
  const before = process.env["PULUMI_COMMAND_STDOUT"];
  const held = before === undefined || before === "" ? identity : parseFormat(identityFileSchema, "the identity that the stack holds", before);
  if (held.nodePublicKey !== identity.nodePublicKey) {
    throw new Error(`The stack holds node ${held.nodePublicKey}, and ${identity.node}'s identity file names ${identity.nodePublicKey}. `
      + "A node's seed never changes: put the file back, or give the new seed a node of its own.");
  }
  return identity;
});
