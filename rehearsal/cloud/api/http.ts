import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Backend } from "../backend.js";
import { control } from "./control.js";
import { answer, type Answer } from "./core.js";
import { ApiError } from "./errors.js";
import { faultAnswer, type FaultList } from "./faults.js";
import { parseBody } from "./input.js";
import type { Tokens } from "./keep.js";
import type { RateLimit } from "./rateLimit.js";
import type { Holder, Runner } from "./runner.js";
import { lookAgain } from "./truth.js";

/** A line of the request log. Never the token. */
export interface Requested {
  readonly number: number;
  readonly at: string;
  /** Undefined when the token was nobody's. */
  readonly project: string | undefined;
  readonly method: string;
  /** With its query, without /v1. */
  readonly path: string;
  /** 0 when the connection was ended instead. */
  readonly status: number;
  /** The fault that struck. */
  readonly fault?: string;
}

export interface ListenOptions {
  readonly holder: Holder;
  readonly actions: Runner;
  readonly faults: FaultList;
  readonly tokens: Tokens;
  readonly backend: Backend;
  readonly limit: RateLimit;
  readonly port: number;
  readonly report: (line: string) => void;
}

const MOST_REQUESTS_KEPT = 20_000;
/** In bytes. */
const MOST_BODY = 1024 * 1024;

interface Reply {
  readonly status: number;
  readonly body?: object | string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly fault?: string | undefined;
  /** How much of the answer is sent before the connection ends. */
  readonly cut?: "nothing" | "half";
}

/** Listens on loopback. @throws when the port is taken */
export async function listen(options: ListenOptions): Promise<{ readonly port: number; readonly requests: () => readonly Requested[]; readonly close: () => Promise<void> }> {
  const log: Requested[] = [];
  let counted = 0;
  const look = lookAgain(options.holder, options.backend);
  const clear = (): void => void log.splice(0);

  const server = createServer((request, response) => {
    respond(request, response).catch((error: unknown) => {
      options.report(`${request.method} ${request.url} broke the cloud: ${(error as Error).stack ?? String(error)}`);
      if (!response.headersSent) send(response, { status: 500, body: new ApiError("server_error", "the local cloud has a fault of its own; its log says which").body });
    });
  });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", `http://127.0.0.1:${request.socket.localPort}`);
    const text = await bodyOf(request);
    const bearer = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1];
    if (url.pathname.startsWith("/_holdfast/")) {
      const { status, body } = control({ ...options, requests: () => log, clear }, { method: request.method ?? "GET", path: url.pathname, query: url.searchParams, text, bearer });
      return send(response, { status, body });
    }
    const path = url.pathname.replace(/^\/v1(?=\/|$)/, "");
    const [project, role] = holderOf(options.tokens, bearer);
    const reply = await replyTo({ method: request.method ?? "GET", path, url, text, project, role });
    log.push({ number: ++counted, at: new Date().toISOString(), project, method: request.method ?? "GET", path: path + url.search, status: reply.cut === undefined ? reply.status : 0, ...(reply.fault ? { fault: reply.fault } : {}) });
    if (log.length > MOST_REQUESTS_KEPT) log.shift();
    send(response, reply);
  }

  async function replyTo({ method, path, url, text, project, role }: { method: string; path: string; url: URL; text: string; project: string | undefined; role: "write" | "read" | undefined }): Promise<Reply> {
    const { faults, limit, holder, actions } = options;
    const asked = { method, path };
    if (faults.strikeRequest("reset", asked, ({ when }) => when === "before")) return { status: 0, cut: "nothing", fault: "reset" };
    const revoked = project !== undefined && faults.strike("revokeTokens", (fault) => fault.project === undefined || fault.project === project) !== undefined;
    const known = project !== undefined && !revoked;
    const { allowed, headers } = limit.count(known ? project : "");
    const refused = (error: ApiError, fault?: string): Reply => ({ status: error.status, body: error.body, headers, fault });
    const storm = faults.strikeRequest("rateLimit", asked) !== undefined;
    if (storm || !allowed) return { ...refused(new ApiError("rate_limit_exceeded", "the rate limit of this project is exceeded"), storm ? "rateLimit" : undefined), headers: { ...headers, ...(storm ? { "RateLimit-Remaining": "0" } : {}) } };
    if (!known) return refused(new ApiError("unauthorized", "the token is invalid or unknown"), revoked ? "revokeTokens" : undefined);
    const fault = faults.strikeRequest("answer", asked);
    if (fault) return { ...faultAnswer(fault), headers, fault: "answer" };
    if (role === "read" && method !== "GET") return refused(new ApiError("token_readonly", "the token is only allowed to perform GET requests"));
    const taken = method === "POST" && wantsAddress(path, text) && faults.strike("addressTaken") !== undefined;
    if (taken) return refused(new ApiError(path === "/servers" ? "primary_ip_assigned" : "primary_ip_already_assigned", "Primary IP is already assigned to another server"), "addressTaken");
    if (/^\/(servers|primary_ips)(\/|$)/.test(path)) await look(project);

    let done: { readonly state: ReturnType<typeof holder.get>; readonly answer: Answer };
    try {
      done = answer(holder.get(), { project, method, path, query: url.searchParams, body: parseBody(text), now: Date.now() });
    } catch (error) {
      if (error instanceof ApiError) return refused(error);
      throw error;
    }
    holder.set(done.state);
    actions.wake();
    const cut = faults.strikeRequest("reset", asked, ({ when }) => when === "after") ? { cut: "half" as const, fault: "reset" } : {};
    return { status: done.answer.status, body: done.answer.body, headers: { ...headers, ...linkOf(url, done.answer.body) }, ...cut };
  }

  // Longer than any client keeps an idle connection: a POST on one that ends just then could not be sent again.
  server.keepAliveTimeout = 10 * 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(error.code === "EADDRINUSE" ? new Error(`port ${options.port} of 127.0.0.1 is taken: end what listens there, or start the cloud with another port`) : error));
    server.listen(options.port, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    requests: () => log,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}

/** Whether a request names a primary IP that it wants for a server. */
function wantsAddress(path: string, text: string): boolean {
  return /^\/primary_ips\/\d+\/actions\/assign$/.test(path) || (path === "/servers" && /"ipv[46]"\s*:\s*\d/.test(text));
}

function holderOf(tokens: Tokens, bearer: string | undefined): [string, "write" | "read"] | [undefined, undefined] {
  for (const [project, { write, read }] of Object.entries(tokens.projects)) {
    if (bearer === write) return [project, "write"];
    if (bearer === read) return [project, "read"];
  }
  return [undefined, undefined];
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += (part as Buffer).length;
    if (size <= MOST_BODY) parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** The `Link` header of a list. @see docs.hetzner.cloud, "Pagination" */
function linkOf(url: URL, body: object | undefined): Record<string, string> {
  const pagination = (body as { meta?: { pagination?: Record<string, number | null> } } | undefined)?.meta?.pagination;
  if (!pagination) return {};
  const links = ([["prev", "previous_page"], ["next", "next_page"], ["last", "last_page"]] as const).flatMap(([rel, key]) => {
    if (pagination[key] === null || pagination[key] === undefined) return [];
    const query = new URLSearchParams(url.searchParams);
    query.set("page", String(pagination[key]));
    return [`<${url.origin}${url.pathname}?${query.toString()}>; rel="${rel}"`];
  });
  return { Link: links.join(", ") };
}

function send(response: ServerResponse, { status, body, headers = {}, cut }: Reply): void {
  const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
  if (cut === "nothing") return void response.socket?.resetAndDestroy();
  response.writeHead(status, {
    ...headers, "X-Correlation-Id": crypto.randomUUID().replaceAll("-", ""), ...(text === "" ? {} : { "Content-Type": typeof body === "string" ? "text/html" : "application/json", "Content-Length": Buffer.byteLength(text) }),
  });
  if (cut === undefined) return void response.end(text);
  response.write(text.slice(0, Math.floor(text.length / 2)), () => response.socket?.resetAndDestroy());
}
