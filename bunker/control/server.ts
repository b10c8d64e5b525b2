import { chmodSync, mkdirSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { LONGEST_REQUEST, lineReader, requestSchema, socketOf, type ControlAnswer } from "./wire.js";

/** What a call came to. */
export type ControlResult = { readonly result: unknown } | { readonly error: string };

export interface ControlArgs {
  /** Made, for its owner alone, when it is not there. */
  readonly runFolder: string;
  /** Never rejects. */
  readonly call: (method: string, params: readonly unknown[]) => Promise<ControlResult>;
  /** Milliseconds that a connection may be silent while nothing of it is in hand. */
  readonly idleMs?: number;
}

export interface Control {
  /** Takes no more connections, ends those that are there. */
  close(): Promise<void>;
}

/** Calls of one connection that are in hand at once. */
const AT_ONCE = 8;
const CONNECTIONS = 32;

/**
 * Serves the operator on `control.sock` (0600). A socket that a killed bunker left is taken over; one that answers is another bunker's.
 *
 * @throws when another bunker listens there, or the path is too long for a socket (107 bytes)
 */
export async function serveControl({ runFolder, call, idleMs = 60_000 }: ControlArgs): Promise<Control> {
  const path = socketOf(runFolder);
  if (Buffer.byteLength(path) > 107) throw new Error(`${path} is too long for a Unix socket (107 bytes): name a shorter folder with --run.`);
  mkdirSync(runFolder, { recursive: true, mode: 0o700 });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    serve(socket, call, idleMs);
  });
  server.maxConnections = CONNECTIONS;
  await listen(server, path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE") throw new Error(`The control socket ${path} cannot be made (${error.code}). Make its folder writable for this user, or name another with --run.`);
    if (await listener(path) === "living") throw new Error(`Another bunker listens at ${path}. Stop it, or give this one a folder of its own with --run.`);
    unlinkSync(path);
    await listen(server, path);
  });
  return {
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroySoon();
    }),
  };
}

/** The socket is never there with wider rights than 0600. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const before = process.umask(0o177);
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      chmodSync(path, 0o600);
      resolve();
    });
    process.umask(before);
  });
}

function listener(path: string): Promise<"living" | "none"> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (found: "living" | "none"): void => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(5000, () => end("living"));
    socket.once("connect", () => end("living"));
    socket.once("error", () => end("none"));
  });
}

function serve(socket: Socket, call: ControlArgs["call"], idleMs: number): void {
  let inHand = 0;
  const send = (answer: ControlAnswer): void => {
    if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
  };
  const refuse = (error: string): void => {
    send({ id: null, error });
    socket.destroySoon();
  };
  socket.setTimeout(idleMs, () => inHand === 0 && socket.destroy());
  // The other end may go at any time; what it asked for is done all the same.
  socket.on("error", () => socket.destroy());
  socket.on("data", lineReader(LONGEST_REQUEST, (line) => {
    const request = requestIn(line);
    if (request === undefined) return refuse("A request is a line of JSON: {\"id\", \"method\", \"params\": […]}.");
    if (inHand >= AT_ONCE) return send({ id: request.id, error: "Too many calls at once on this connection: wait for an answer." });
    inHand += 1;
    void call(request.method, request.params).then((result) => {
      inHand -= 1;
      send({ id: request.id, ...result });
    });
  }, () => refuse(`A request has at most ${LONGEST_REQUEST} bytes.`)));
}

function requestIn(line: string): ReturnType<typeof requestSchema.parse> | undefined {
  try {
    return requestSchema.safeParse(JSON.parse(line)).data;
  } catch {
    // No JSON: the answer says what is wanted.
    return undefined;
  }
}
