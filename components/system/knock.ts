import { connect } from "node:net";

/** What a TCP port says to somebody outside: `open` accepts, `refused` says no, `silent` says nothing, as behind a firewall that drops. */
export type Answer = "open" | "refused" | "silent";

/** @param deadline in milliseconds, after which the port counts as silent */
export function knock(address: string, port: number, deadline: number): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: deadline });
    const end = (answer: Answer) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", end("open"));
    socket.once("timeout", end("silent"));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED" || error.code === "ECONNRESET" ? "refused" : "silent")());
  });
}
