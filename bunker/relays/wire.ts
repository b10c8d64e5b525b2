import type { Agent } from "node:http";
import { WebSocket, type RawData } from "ws";
import type { Timing } from "./relays.js";

/** One connection to a relay, from the first packet to its end. Whatever happens, `onEnd` is called once, and nothing after it. */
export interface Wire {
  send(text: string): void;
  /** Reads nothing more until `resume`: TCP holds the relay back. */
  pause(): void;
  resume(): void;
  /** Ends it at once. `onEnd` hears these words. */
  end(reason: string): void;
}

export interface WireArgs {
  readonly url: string;
  readonly agent?: Agent;
  readonly timing: Timing;
  readonly onOpen: () => void;
  readonly onMessage: (text: string, bytes: number) => void;
  readonly onOversized: (bytes: number) => void;
  readonly onEnd: (reason: string) => void;
}

/** The largest message that is looked at, in bytes. A larger one is passed over, up to `LARGEST`. */
export const MESSAGE_LIMIT = 262_144;
/** Beyond this the connection is ended: what a stranger can send through an honest relay is far below it. */
const LARGEST = 4_194_304;
/** A relay that takes nothing while so much waits for it is none. */
const UNSENT_LIMIT = 8_388_608;

export function openWire(args: WireArgs): Wire {
  const { timing } = args;
  const ws = new WebSocket(args.url, { maxPayload: LARGEST, perMessageDeflate: false, followRedirects: false, ...(args.agent === undefined ? {} : { agent: args.agent }) });
  let ended: "no" | "yes" = "no";
  let deadline: NodeJS.Timeout | undefined = setTimeout(() => end(`no connection within ${timing.connect} ms`), timing.connect);
  let pinging: NodeJS.Timeout | undefined;

  const end = (reason: string): void => {
    if (ended === "yes") return;
    ended = "yes";
    clearTimeout(deadline);
    clearInterval(pinging);
    ws.terminate();
    args.onEnd(reason);
  };
  const heard = (): void => {
    clearTimeout(deadline);
    deadline = undefined;
  };
  const ping = (): void => {
    ws.ping();
    deadline ??= setTimeout(() => end(`silent for ${timing.pong} ms after a ping`), timing.pong);
  };

  ws.on("open", () => {
    if (ended === "yes") return;
    heard();
    pinging = setInterval(ping, timing.ping);
    args.onOpen();
  });
  ws.on("pong", heard);
  ws.on("ping", heard);
  ws.on("message", (data, isBinary) => {
    if (ended === "yes") return;
    heard();
    const bytes = size(data);
    if (bytes > MESSAGE_LIMIT) args.onOversized(bytes);
    else args.onMessage(isBinary ? "" : String(data), bytes);
  });
  ws.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" && ended === "no") args.onOversized(LARGEST);
    end(refusal(error.message) ?? (error.message === "" ? error.code ?? "unknown failure" : error.message));
  });
  ws.on("close", (code) => end(`closed by the relay (${code})`));

  return {
    send: (text) => {
      if (ws.readyState !== WebSocket.OPEN) return;
      if (ws.bufferedAmount > UNSENT_LIMIT) return end("takes nothing any more");
      ws.send(text);
    },
    pause: () => ws.pause(),
    resume: () => ws.resume(),
    end,
  };
}

/** An upgrade that is not granted, in the words of NIP-01: asking every few seconds does not make it better. */
function refusal(message: string): string | undefined {
  return /server response: (401|403|429)$/.test(message) ? `blocked: ${message}` : undefined;
}

function size(data: RawData): number {
  return Array.isArray(data) ? data.reduce((sum, part) => sum + part.length, 0) : data.byteLength;
}
