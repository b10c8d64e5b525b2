import * as pulumi from "@pulumi/pulumi";
import type { NodeSpecification, StackSpecification } from "../../config/specification.js";
import { requireOwnTunnel } from "../../config/tunnelMarks.js";
import { plainly } from "../plainly.js";

/**
 * The node's WireGuard key, once it is known to be the one that the node has always had: a lost state, a wrong backend or a renamed project would make all keys anew.
 * What must not happen with foreign keys waits for this. A preview in which the key is still to be made is refused too.
 */
export function ownTunnelKey(stack: StackSpecification, specification: NodeSpecification, publicKey: pulumi.Output<string>): pulumi.Output<string> {
  const check = (key: string): string => plainly(() => {
    requireOwnTunnel(stack, specification, key);
    return key;
  });
  if (!pulumi.runtime.isDryRun()) return publicKey.apply(check);
  return pulumi.output(isKnown(publicKey)).apply((known) => (known ? publicKey.apply(check) : pulumi.output(check("a new one")).apply(() => publicKey)));
}

/** Not in the SDK's types: whether a preview knows an output's value. */
const isKnown = (output: pulumi.Output<unknown>): Promise<boolean> => (output as unknown as { readonly isKnown: Promise<boolean> }).isKnown;
