import { parseFaults, type FaultList } from "./faults.js";
import type { Requested } from "./http.js";
import type { Tokens } from "./keep.js";
import type { Holder } from "./runner.js";
import type { CloudState } from "./world.js";

export interface Controlled {
  readonly holder: Holder;
  readonly faults: FaultList;
  readonly tokens: Tokens;
  readonly requests: () => readonly Requested[];
  readonly clear: () => void;
}

export interface ControlRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly text: string;
  readonly bearer: string | undefined;
}

/** What the cloud's owner may do that no API offers: set faults, read the log of requests, see everything. */
export function control(cloud: Controlled, { method, path, query, text, bearer }: ControlRequest): { readonly status: number; readonly body?: object } {
  if (bearer !== cloud.tokens.control) return { status: 401, body: { error: "this wants the control token of the cloud's own folder (tokens.json)" } };
  const refused = { status: 405, body: { error: `${method} is not possible here` } };
  switch (path) {
    case "/_holdfast/faults": {
      if (method === "GET") return { status: 200, body: { faults: cloud.faults.all() } };
      if (method === "DELETE") cloud.faults.set([]);
      else if (method !== "PUT" && method !== "POST") return refused;
      else {
        try {
          cloud.faults[method === "PUT" ? "set" : "add"](parseFaults(JSON.parse(text)));
        } catch (error) {
          return { status: 400, body: { error: (error as Error).message } };
        }
      }
      return { status: 200, body: { faults: cloud.faults.all() } };
    }
    case "/_holdfast/requests":
      if (method === "DELETE") cloud.clear();
      else if (method !== "GET") return refused;
      return { status: 200, body: { requests: cloud.requests().filter(({ number }) => number > Number(query.get("after") ?? 0)) } };
    case "/_holdfast/state":
      return method === "GET" ? { status: 200, body: withoutUserData(cloud.holder.get()) } : refused;
    default:
      return { status: 404, body: { error: `there is no ${path}: there are faults, requests and state` } };
  }
}

/** A server's user data may hold its first host key. */
const withoutUserData = (state: CloudState): object => JSON.parse(JSON.stringify(state, (key, value: unknown) => (key === "userData" && value !== null ? "hidden" : value))) as object;
