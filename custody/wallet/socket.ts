import { chmodSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { walletReplySchema, walletRequestSchema, type WalletReply, type WalletRequest } from "../../formats/walletSocket.js";
import { requireOwnFolder } from "../ownFolder.js";
import type { Keeper } from "./keeper.js";

/** In milliseconds. */
const QUESTION_WITHIN = 5_000;
const ANSWER_WITHIN = 30_000;
/** In characters. */
const LONGEST_QUESTION = 16_384;
const LONGEST_ANSWER = 1_048_576;
const MOST_CONNECTIONS = 64;

/** No wallet listens at a socket. */
export class WalletGone extends Error {}

/**
 * Listens for one question on each connection. The socket is this user's alone.
 *
 * @param after is told each question once it was answered
 * @throws when the socket's folder is somebody else's
 */
export async function listen(path: string, keeper: Keeper, after: (request: WalletRequest) => void): Promise<Server> {
  requireOwnFolder(dirname(path));
  const server = createServer({ allowHalfOpen: true }, (connection) => void converse(connection, keeper, after));
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((done, failed) => server.once("error", failed).listen(path, done));
  chmodSync(path, 0o600);
  return server;
}

async function converse(connection: Socket, keeper: Keeper, after: (request: WalletRequest) => void): Promise<void> {
  const end = setTimeout(() => connection.destroy(), QUESTION_WITHIN + ANSWER_WITHIN);
  // Whoever asked may be gone; the wallet stays.
  connection.on("error", () => connection.destroy());
  try {
    const request = parseFormat(walletRequestSchema, "the question", await lineOf(connection, LONGEST_QUESTION, QUESTION_WITHIN));
    const reply = await keeper(request);
    await new Promise<void>((done) => connection.end(`${printFormat(walletReplySchema, reply)}\n`, done));
    after(request);
  } catch {
    // No question of ours: no answer.
    connection.destroy();
  } finally {
    clearTimeout(end);
  }
}

/**
 * Asks an unlocked wallet.
 *
 * @param within milliseconds
 * @throws WalletGone when none listens there; an Error when it does not answer in time
 */
export async function askWallet(path: string, request: WalletRequest, within = ANSWER_WITHIN): Promise<WalletReply> {
  const connection = createConnection({ path, allowHalfOpen: true });
  try {
    await new Promise<void>((done, failed) => connection.once("connect", done).once("error", failed));
    connection.write(`${printFormat(walletRequestSchema, request)}\n`);
    return parseFormat(walletReplySchema, "the wallet's answer", await lineOf(connection, LONGEST_ANSWER, within));
  } catch (error) {
    if (GONE.includes((error as NodeJS.ErrnoException).code ?? "")) throw new WalletGone(`No unlocked wallet listens at ${path} any more.`);
    throw error;
  } finally {
    connection.destroy();
  }
}

/** A socket that nobody has open, and one whose process ends just now. @see unix(7) */
const GONE = ["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"];

/** The first line that comes, without its end. */
function lineOf(connection: Socket, longest: number, within: number): Promise<string> {
  return new Promise((done, failed) => {
    let text = "";
    const finish = (how: () => void): void => {
      clearTimeout(timer);
      connection.off("data", onData).off("end", onEnd).off("error", onError);
      how();
    };
    const onData = (data: string): void => {
      text += data;
      const end = text.indexOf("\n");
      if (end !== -1) finish(() => done(text.slice(0, end)));
      else if (text.length > longest) finish(() => failed(new Error(`more than ${longest} characters came over the wallet's socket.`)));
    };
    const onEnd = (): void => finish(() => failed(new Error("the wallet's socket was closed before a whole line came.")));
    const onError = (error: Error): void => finish(() => failed(error));
    const timer = setTimeout(() => finish(() => failed(new Error(`nothing came over the wallet's socket within ${within / 1000} s.`))), within);
    connection.setEncoding("utf8").on("data", onData).on("end", onEnd).on("error", onError);
  });
}
