import type { z } from "zod";
import { hostLayout } from "../../formats/hostLayout.js";
import type { Connection } from "../../formats/step.js";
import { parseFormat } from "../../formats/versioned.js";
import { runOnHost, type Channel } from "./ssh.js";

/**
 * Asks the agent of the last system that was built for the host.
 *
 * @param deadline in milliseconds
 */
export async function askAgent<T>(
  to: Connection,
  verb: string,
  input: unknown,
  answer: z.ZodType<T>,
  { deadline, channel = "update" }: { readonly deadline: number; readonly channel?: Channel },
): Promise<T> {
  const text = await runOnHost(to, `${hostLayout.candidate}/sw/bin/holdfast-agent ${verb}`, { input: JSON.stringify(input), deadline, channel });
  return parseFormat(answer, `the agent's answer to ${verb}`, text);
}
