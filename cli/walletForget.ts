import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { holdName, type IdentityChoice } from "../components/secrets/identities.js";

/** As much of a stack's exported state as is looked at here. @see pulumi apitype.DeploymentV3 */
interface State {
  readonly resources?: readonly { readonly urn: string; protect?: boolean }[];
}

/** Lifts the protection of the one resource that holds an identity: an update whose configuration does not name it any more then removes it. */
export async function unprotectIdentity(stack: Stack, nodeId: string, choice: IdentityChoice): Promise<void> {
  const state = await stack.exportStack();
  unprotect(state.deployment as State, nodeId, choice);
  await stack.importStack(state);
}

/** @throws when the stack holds no such identity */
export function unprotect({ resources = [] }: State, nodeId: string, choice: IdentityChoice): void {
  const held = resources.filter(({ urn }) => /\bHeldIdentity\$command:local:Command::[^:]+$/.test(urn));
  const found = held.find(({ urn }) => urn.endsWith(`::${holdName(nodeId, choice)}`));
  if (found === undefined) {
    const names = held.map(({ urn }) => urn.slice(urn.lastIndexOf("::") + 2).replace(/-hold$/, "")).sort();
    throw new Error(`The stack holds no ${holdName(nodeId, choice).replace(/-hold$/, "")}. It holds: ${names.join(", ") || "no identity at all"}.`);
  }
  delete found.protect;
}

const PROTECTED = /resource "urn:\S*\bHeldIdentity\$\S*::(\S+)-hold" cannot be deleted\s+because it is protected/;

/** What Pulumi says when an identity is no longer in the configuration, with what to do about it. Any other text stays as it is. */
export function inOurWords(message: string): string {
  const identity = PROTECTED.exec(message)?.[1];
  if (identity === undefined) return message;
  return `${identity}: the configuration does not name this identity any more, and the stack still holds it. Put it back, or give it up for good: holdfast wallet forget NODE (with --kind and --name when it is no LND seed).`;
}
