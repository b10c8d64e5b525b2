import { connect } from "node:net";
import { LONGEST_ANSWER, LONGEST_REQUEST, answerSchema, lineReader, socketOf } from "./wire.js";

/** The bunker was reached and said no. Its own words. */
export class CallFailed extends Error {}

/** No bunker listens there. */
export class NotRunning extends Error {}

/**
 * Asks a running bunker, as the operator.
 *
 * @param deadline in milliseconds, for all of it
 * @returns the method's result
 * @throws CallFailed, NotRunning
 */
export function call(runFolder: string, method: string, params: readonly unknown[], deadline: number): Promise<unknown> {
  const path = socketOf(runFolder);
  const request = JSON.stringify({ id: 1, method, params });
  if (Buffer.byteLength(request) > LONGEST_REQUEST) return Promise.reject(new CallFailed(`${method}: a request has at most ${LONGEST_REQUEST} bytes.`));
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const timer = setTimeout(() => end(() => reject(new CallFailed(`${method}: no answer from the bunker at ${path} within ${deadline} ms.`))), deadline);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    socket.once("error", (error: NodeJS.ErrnoException) => end(() => reject(error.code === "ENOENT" || error.code === "ECONNREFUSED"
      ? new NotRunning(`No bunker listens at ${path}. Start it (systemctl start bunker), or name its folder with --run.`)
      : new CallFailed(`${path}: ${error.code}${error.code === "EACCES" ? ": the socket is for its owner and root alone" : ""}`))));
    socket.once("close", () => end(() => reject(new CallFailed(`${method}: the bunker at ${path} closed the connection without an answer.`))));
    socket.on("data", lineReader(LONGEST_ANSWER, (line) => end(() => {
      const answer = answerIn(line);
      if (answer === undefined) reject(new CallFailed(`${method}: what listens at ${path} did not answer as a bunker does.`));
      else if ("error" in answer) reject(new CallFailed(answer.error));
      else resolve(answer.result);
    }), () => end(() => reject(new CallFailed(`${method}: the answer is too long.`)))));
    socket.write(`${request}\n`);
  });
}

function answerIn(line: string): ReturnType<typeof answerSchema.parse> | undefined {
  try {
    return answerSchema.safeParse(JSON.parse(line)).data;
  } catch {
    // No JSON: not a bunker.
    return undefined;
  }
}
