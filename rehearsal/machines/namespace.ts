import { attempt, type Finished, type RunOptions } from "../run.js";

/** ip's arguments to run a program in a namespace. Only the network differs there: files, users and processes are this machine's. */
export const inNamespaceArguments = (namespace: string, argv: readonly string[]): string[] => ["ip", "netns", "exec", namespace, ...argv];

/** Runs a program in a namespace to its end, whatever that end is. */
export async function runIn(namespace: string, argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return attempt(inNamespaceArguments(namespace, argv), options);
}
