import * as pulumi from "@pulumi/pulumi";

/**
 * Runs something inside an `apply`, so that Pulumi shows its error in the error's own words, and at once.
 *
 * Pulumi would put the name of every property before them that waits for the output; and its own frames in a stack cost
 * Node 22 a minute and 500 MB to colour (util.inspect does not end on a path such as node_modules/@pulumi/output.ts).
 */
export function plainly<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { message } = error as Error;
    throw Object.defineProperties(new pulumi.RunError(message), { message: { get: () => message, set: () => undefined }, stack: { value: message } });
  }
}
