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

/**
 * Does so in a stack whose state is in a folder; asks Pulumi only when that says that there is something.
 *
 * @returns a line for the operator when there was
 */
export async function forgetInterrupted(stack: Stack, backend: string, projectName: string): Promise<string[]> {
  if (!backend.startsWith("file://")) return [];
  const file = join(fileURLToPath(backend), ".pulumi", "stacks", projectName, `${stack.name}.json`);
  if (!existsSync(file) || !readFileSync(file, "utf8").includes('"pending_operations"')) return [];
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
