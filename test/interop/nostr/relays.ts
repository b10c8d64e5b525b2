import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { until } from "../../../rehearsal/run.js";
import { ensureGoPrograms, ensurePythonPackages, here } from "./built.js";

/** Relays that others wrote, each a process. khatru refuses ephemeral events that nobody hears. */
export const relayNames = ["khatru", "LocalRelay"] as const;
export type RelayName = (typeof relayNames)[number];

export interface RelayProgram {
  readonly name: RelayName;
  readonly url: string;
  /** Again at the same port. Resolves when it can be connected to. */
  start(): Promise<void>;
  /** SIGKILL; nothing that it held is there after the next start. */
  kill(): Promise<void>;
}

/** A relay at a free port, which is not running yet. */
export async function makeRelay(name: RelayName): Promise<RelayProgram> {
  const port = await freePort();
  const [argv, environment] = name === "khatru"
    ? [[join(await ensureGoPrograms(), "relay")] as const, {}] as const
    : [["python3", join(here, "python", "relay.py")] as const, { PYTHONPATH: await ensurePythonPackages() }] as const;
  let child: ChildProcess | undefined;
  return {
    name,
    url: `ws://127.0.0.1:${port}`,
    start: async () => {
      const [program, ...args] = argv;
      child = spawn(program, [...args, String(port)], { env: { ...process.env, ...environment }, stdio: "ignore" });
      if (!(await until(() => accepts(port), 20_000))) throw new Error(`${name} does not listen at port ${port} after 20 s.`);
    },
    kill: async () => {
      if (child === undefined) return;
      const ended = once(child, "close");
      child.kill("SIGKILL");
      child = undefined;
      await ended;
    },
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
