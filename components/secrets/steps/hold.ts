import { anyIdentitySchema, publicIdentityIn } from "../../../formats/identity.js";
import { parseFormat } from "../../../formats/versioned.js";
import { runStep } from "../../stepProgram.js";

/** Keeps a node identity, sealed for the wallet recipient, as a resource of the stack, and never lets another take its place. */
await runStep(anyIdentitySchema, async (identity) => {
  const before = process.env["PULUMI_COMMAND_STDOUT"];
  const held = before === undefined || before === "" ? identity : parseFormat(anyIdentitySchema, "the identity that the stack holds", before);
  if (held.kind !== identity.kind || publicIdentityIn(held) !== publicIdentityIn(identity)) {
    const [what, remedy] = identity.kind === "lnd-seed"
      ? ["node", "A node's seed never changes: put the file back, or give the new seed a node of its own."]
      : [held.kind, "An identity never changes: put the file back, or make the new one under a name of its own (--name)."];
    throw new Error(`The stack holds ${what} ${publicIdentityIn(held)}, and ${identity.node}'s identity file names ${publicIdentityIn(identity)}. ${remedy}`);
  }
  return identity;
});
