import { createHash } from "node:crypto";
import { createServer, type Server } from "node:net";
import { until } from "../run.js";

/**
 * Does one thing at a time on this machine: in this process and in all others.
 *
 * The lock is an abstract Unix socket, which the kernel removes with its process: a killed owner leaves no lock behind.
 *
 * @param what names the thing that only one may do, in words
 * @param deadline milliseconds to wait for the one who does it now
 * @see unix(7), "Abstract sockets"
 */
export async function alone<T>(what: string, deadline: number, work: () => Promise<T>): Promise<T> {
  const address = `\0holdfast-${createHash("sha256").update(what).digest("hex").slice(0, 32)}`;
  let lock: Server | undefined;
  await until(async () => (lock = await listen(address)) !== undefined, deadline, 50);
  if (!lock) throw new Error(`another process has been at "${what}" for ${Math.round(deadline / 1000)} s; wait for it or end it, then try again`);
  try {
    return await work();
  } finally {
    lock.close();
  }
}

function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(undefined) : reject(error)));
    server.listen(address, () => {
      server.unref();
      resolve(server);
    });
  });
}
