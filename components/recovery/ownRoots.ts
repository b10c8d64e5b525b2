import * as pulumi from "@pulumi/pulumi";
import type { NodeSpecification, StackSpecification } from "../../config/specification.js";
import { requireOwnState, type OwnMarks } from "../../config/stateMarks.js";
import { plainly } from "../plainly.js";

/** A node's marks before they are known to be its own. */
export interface GivenMarks {
  readonly state: pulumi.Output<string>;
  readonly tunnelKey?: pulumi.Output<string> | undefined;
}

/**
 * The node's marks, once they are known to be those that the node has always had: a lost state, a wrong backend or a renamed project would make all keys anew.
 * What must not happen with foreign keys waits for this. A preview in which a key is still to be made is refused too.
 */
export function ownMarks(stack: StackSpecification, specification: NodeSpecification, { state, tunnelKey }: GivenMarks): pulumi.Output<OwnMarks> {
  const check = (own: OwnMarks): OwnMarks => plainly(() => {
    requireOwnState(stack, specification, own);
    return own;
  });
  const checked = (mark: pulumi.Output<string>, key?: pulumi.Output<string>): pulumi.Output<OwnMarks> =>
    pulumi.all([mark, key]).apply(([known, publicKey]) => check({ state: known, ...(publicKey !== undefined && { tunnelKey: publicKey }) }));
  if (!pulumi.runtime.isDryRun()) return checked(state, tunnelKey);
  return pulumi.output(Promise.all([isKnown(state), tunnelKey === undefined ? true : isKnown(tunnelKey)])).apply(([hasState, hasKey]) => {
    if (hasState && hasKey) return checked(state, tunnelKey);
    const made = checked(hasState ? state : pulumi.output(NEW), tunnelKey === undefined || hasKey ? tunnelKey : pulumi.output(NEW));
    return made.apply(() => checked(state, tunnelKey));
  });
}

/** Stands for what an update would make. */
const NEW = "a new one";

/** Not in the SDK's types: whether a preview knows an output's value. */
const isKnown = (output: pulumi.Output<unknown>): Promise<boolean> => (output as unknown as { readonly isKnown: Promise<boolean> }).isKnown;
