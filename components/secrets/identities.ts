import * as pulumi from "@pulumi/pulumi";
import type { NodeSpecification } from "../../config/specification.js";
import { anyIdentitySchema, fileIdentitySchema, identityFileSchema, publicIdentityIn, type AnyIdentity, type FileIdentity, type IdentityFile, type IdentityKind } from "../../formats/identity.js";
import { step } from "../step.js";

/** A node identity that the stack holds: public facts and a ciphertext that only the wallet identity opens. */
export class HeldIdentity extends pulumi.ComponentResource {
  readonly identity: pulumi.Output<AnyIdentity>;

  constructor(name: string, identity: AnyIdentity, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:secrets:HeldIdentity", name, {}, options);
    this.identity = pulumi.unsecret(step(`${name}${HOLD}`, { program: "hold", input: identity, output: anyIdentitySchema }, { parent: this, protect: true }));
    this.registerOutputs({ publicIdentity: publicIdentityIn(identity) });
  }
}

/** Everything that a node is, as the stack holds it. */
export interface HeldIdentities {
  readonly seed: pulumi.Output<IdentityFile>;
  readonly files: pulumi.Output<FileIdentity[]>;
}

/**
 * Has the stack hold all of a node's identities, each as a resource of its own.
 *
 * @param id the node's: resources are named by it
 * @throws when two of a kind have one name
 */
export function holdIdentities(id: string, { identity, identities }: Pick<NodeSpecification, "identity" | "identities">, options: pulumi.ComponentResourceOptions): HeldIdentities {
  const names = identities.map((one) => heldName(id, one));
  const twice = identities.find((one, index) => names.indexOf(heldName(id, one)) !== index);
  if (twice !== undefined) throw new Error(`holdfast:nodes: two identity files of ${id} are ${twice.kind} ${twice.name}. Name one of them only, or make the other again under a name of its own (--name).`);
  const held = (one: AnyIdentity): pulumi.Output<AnyIdentity> => new HeldIdentity(heldName(id, one), one, options).identity;
  return {
    seed: held(identity).apply((one) => identityFileSchema.parse(one)),
    files: pulumi.all(identities.map(held)).apply((all) => all.map((one) => fileIdentitySchema.parse(one))),
  };
}

const HOLD = "-hold";

/** Which of a node's identities: a node has one LND seed, and of the other kinds as many as have names. */
export interface IdentityChoice {
  readonly kind: IdentityKind;
  /** `main` when not given. */
  readonly name?: string;
}

/** Never changes, as the node's id, the kind and the name never do. */
const heldName = (nodeId: string, { kind, name }: IdentityChoice): string => (kind === "lnd-seed" ? `${nodeId}-lnd-seed` : `${nodeId}-${kind}-${name ?? "main"}`);

/** The name of the protected resource that holds an identity. */
export const holdName = (nodeId: string, choice: IdentityChoice): string => `${heldName(nodeId, choice)}${HOLD}`;
