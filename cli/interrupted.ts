import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConcurrentUpdateError, type Stack } from "@pulumi/pulumi/automation/index.js";

interface Operation {
  readonly type: string;
  readonly resource: { readonly type: string; readonly urn: string };
}
/** As much of a stack's exported state as is looked at here. @see pulumi apitype.DeploymentV3 */
export interface Deployment { pending_operations?: Operation[] }

/** Steps, which can all be run again, and roots, which exist in the state alone: made once more, they leave nothing behind that nobody knows of. */
const REPEATABLE = /^(command:local:Command|random:.*)$/;

/**
 * Takes out of a state what a killed update had begun to create and the next one begins again by itself. Pulumi would keep it for ever, with a warning.
 * A cloud's resource stays: it may exist, and somebody has to look.
 *
 * @returns how many were taken out
 */
export function forgetRepeatable(deployment: Deployment): number {
  const operations = deployment.pending_operations ?? [];
  const kept = operations.filter(({ type, resource }) => type !== "creating" || !REPEATABLE.test(resource.type));
  if (kept.length > 0) deployment.pending_operations = kept;
  else delete deployment.pending_operations;
  return operations.length - kept.length;
}

/** A stack's state as it lies in a folder; undefined where there is none, or another kind of backend. */
function stateText(stack: string, backend: string, projectName: string): string | undefined {
  if (!backend.startsWith("file://")) return undefined;
  const file = join(fileURLToPath(backend), ".pulumi", "stacks", projectName, `${stack}.json`);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

/**
 * Refuses to update a stack whose records name nodes and whose state, in a folder, has none: it would make new keys for them. (The program refuses this in any backend, once it has begun.)
 *
 * @param nodes ids of the nodes that the records know
 * @throws naming the ways back
 */
export function requireState(nodes: readonly string[], stack: Stack, backend: string, projectName: string): void {
  if (nodes.length === 0 || stateText(stack.name, backend, projectName)?.includes('"urn"') !== false) return;
  throw new Error(`The records of ${stack.name} know ${nodes.join(", ")}, and its state in ${backend.replace(/\?.*$/, "")} is empty: an update would give ${nodes.length === 1 ? "it" : "them"} new keys. Nothing was touched. `
    + `Bring the state back with \`holdfast state restore -s ${stack.name}\`; after a change of the project's name, with \`pulumi stack rename\`; in another backend, set PULUMI_BACKEND_URL.`);
}

/**
 * Does so in a stack whose state is in a folder; asks Pulumi only when that says that there is something.
 *
 * @returns a line for the operator when there was
 */
export async function forgetInterrupted(stack: Stack, backend: string, projectName: string): Promise<string[]> {
  const text = stateText(stack.name, backend, projectName);
  if (text?.includes('"pending_operations"') !== true) return [];
  const state = await stack.exportStack();
  const forgotten = forgetRepeatable(state.deployment as Deployment);
  if (forgotten === 0) return [];
  try {
    await stack.importStack(state);
  } catch (error) {
    // Another update is alive, and these are its own: the next command meets its lock, and says so.
    if (error instanceof ConcurrentUpdateError) return [];
    throw error;
  }
  return [`a killed update left ${forgotten} ${forgotten === 1 ? "step" : "steps"} half-way; each is begun again`];
}
