import type { Backend } from "./backend.js";
import { faultList, parseFaults, type FaultInput, type FaultList } from "./api/faults.js";
import { listen, type Requested } from "./api/http.js";
import { cloudFolder, loadState, loadTokens, saveState, type ProjectTokens } from "./api/keep.js";
import { rateLimit } from "./api/rateLimit.js";
import { runner } from "./api/runner.js";
import type { CloudState } from "./api/world.js";

export interface CloudOptions {
  /** The cloud lies in `<state>/cloud`; what was there goes on. */
  readonly state: string;
  readonly backend: Backend;
  /** On 127.0.0.1; any free one unless told. */
  readonly port?: number;
  /** One unless told, called `rehearsal`. */
  readonly projects?: readonly string[];
  readonly faults?: readonly FaultInput[];
  /** What an action takes at least, in milliseconds; nothing unless told. */
  readonly pace?: number;
  /** Requests an hour for each project; 3600 unless told. */
  readonly requestsAnHour?: number;
  readonly report?: (line: string) => void;
}

/** A cloud that runs in this process. */
export interface Cloud {
  /** For `HCLOUD_ENDPOINT` and `hcloud:endpoint`: `http://127.0.0.1:PORT/v1`. */
  readonly endpoint: string;
  readonly port: number;
  /** By project. */
  readonly tokens: Readonly<Record<string, ProjectTokens>>;
  /** For `/_holdfast/…`. */
  readonly controlToken: string;
  readonly faults: FaultList;
  /** What there is now. Not to be changed. */
  state(): CloudState;
  /** Every request since the start, oldest first. */
  requests(): readonly Requested[];
  /** Resolves when no action runs. */
  idle(): Promise<void>;
  /** Ends it when the actions that run have ended. */
  close(): Promise<void>;
  /** Ends it as a crash would: what runs is forgotten here, and taken up at the next start. */
  crash(): Promise<void>;
}

/**
 * Starts the Hetzner Cloud API on loopback over a backend. Actions that ran when the last one ended are taken up again.
 *
 * @throws when the port is taken or the state cannot be read
 */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const folder = cloudFolder(options.state);
  const report = options.report ?? ((): void => undefined);
  const faults = faultList(parseFaults(options.faults ?? []));
  const projects = options.projects ?? ["rehearsal"];
  const tokens = loadTokens(folder, projects);
  let state = loadState(folder);
  const holder = {
    get: () => state,
    set: (next: CloudState): void => {
      if (next === state) return;
      saveState(folder, next);
      state = next;
    },
  };
  const actions = runner({ holder, backend: options.backend, faults, pace: options.pace ?? 0, report });
  const server = await listen({ holder, actions, faults, tokens, backend: options.backend, limit: rateLimit(options.requestsAnHour ?? 3_600), port: options.port ?? 0, report });
  actions.wake();
  return {
    endpoint: `http://127.0.0.1:${server.port}/v1`, port: server.port, tokens: tokens.projects, controlToken: tokens.control, faults,
    state: () => state, requests: server.requests, idle: actions.idle,
    close: async () => {
      await server.close();
      await actions.end("finish");
    },
    crash: async () => {
      await actions.end("abandon");
      await server.close();
    },
  };
}
