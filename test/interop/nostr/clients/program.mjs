// A client as a program: a JSON line in for each request, a JSON line out for each answer, one after the other.
import { createInterface } from "node:readline";

/** `verbs` by name; each is given the request. What one throws, or is late for, is its answer. */
export async function serve(verbs) {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const answer = await answerOf(verbs, request);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

async function answerOf(verbs, request) {
  const verb = verbs[request.verb];
  if (verb === undefined) return { error: `unsupported: ${request.verb}` };
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`deadline: no answer to ${request.verb}`)), request.deadlineMs); });
  try {
    return { result: (await Promise.race([verb(request), late])) ?? null };
  } catch (fault) {
    // NDK and nostr-tools reject with the bare text of an error.
    return { error: fault instanceof Error ? fault.message : String(fault) };
  } finally {
    clearTimeout(timer);
  }
}
