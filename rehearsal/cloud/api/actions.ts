import { ApiError } from "./errors.js";
import type { Action, CloudState, Kind, Work, World } from "./world.js";

/** One request while it is answered: drafts of what there is, and what is begun on the way. */
export interface Call {
  readonly state: CloudState;
  readonly world: World;
  readonly project: string;
  readonly body: unknown;
  readonly query: URLSearchParams;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly started: Action[];
}

export interface Reference {
  readonly id: number;
  readonly type: "server" | "volume" | "primary_ip" | "firewall" | "network" | "image" | "placement_group";
}

export const serverRef = (id: number): Reference => ({ id, type: "server" });
export const volumeRef = (id: number): Reference => ({ id, type: "volume" });
export const ipRef = (id: number): Reference => ({ id, type: "primary_ip" });
export const firewallRef = (id: number): Reference => ({ id, type: "firewall" });
export const networkRef = (id: number): Reference => ({ id, type: "network" });

/** How the API calls a resource in an action. */
export const typeOf: Readonly<Record<Kind, string>> = {
  servers: "server", ssh_keys: "ssh_key", volumes: "volume", primary_ips: "primary_ip", firewalls: "firewall", networks: "network", placement_groups: "placement_group",
};

/** Begins an action: it runs as soon as those before it that touch the same resources have ended. */
export function begin(call: Call, command: string, work: Work, ...resources: readonly Reference[]): Action {
  const action: Action = {
    id: call.state.nextId++, project: call.project, command, status: "running", started: new Date(call.now).toISOString(), finished: null, error: null, resources: resources.map((one) => ({ ...one })), work, hidden: false,
  };
  call.state.actions.push(action);
  call.started.push(action);
  return action;
}

/** Begins what nobody asked for by name, and what no list shows. */
export function beginHidden(call: Call, command: string, work: Work, ...resources: readonly Reference[]): void {
  begin(call, command, work, ...resources).hidden = true;
}

/** An action of which nothing is left to be done. */
export function done(call: Call, command: string, ...resources: readonly Reference[]): Action {
  const action = begin(call, command, { do: "patch", kind: "servers", id: 0, set: {} }, ...resources);
  call.started.splice(call.started.indexOf(action), 1);
  return Object.assign(action, { status: "success", finished: action.started });
}

const touches = (action: Action, { id, type }: Reference): boolean => action.resources.some((one) => one.id === id && one.type === type);

/** The actions of a resource that have not ended. */
export const runningOn = (state: CloudState, on: Reference): Action[] => state.actions.filter((action) => action.status === "running" && touches(action, on));

const FIREWALL_COMMANDS = ["apply_firewall", "remove_firewall", "set_firewall_rules"];

/** Whether a server is being changed. Its firewalls can change meanwhile, as the API lets them. */
export const isLocked = (state: CloudState, on: Reference): boolean => runningOn(state, on).some(({ command, hidden }) => !hidden && !FIREWALL_COMMANDS.includes(command));

/** @throws ApiError `locked` while another action changes one of these */
export function requireUnlocked(call: Call, ...all: readonly Reference[]): void {
  const locked = all.find((one) => isLocked(call.state, one));
  if (locked) throw new ApiError("locked", `${locked.type.replace("_", " ")} ${locked.id} is locked: there is already an action running`);
}

/** Half a second of work looks half done: the API's own numbers are guesses too. */
export function progressOf(action: Action, now: number): number {
  if (action.status !== "running") return 100;
  const elapsed = Math.max(0, now - Date.parse(action.started));
  return Math.floor((95 * elapsed) / (elapsed + 500));
}

export function actionView(action: Action, now: number): object {
  const { id, command, status, started, finished, resources, error } = action;
  return { id, command, status, progress: progressOf(action, now), started, finished, resources, error };
}

/** Of these actions, those that may run now: nothing begun before them, and not yet ended, touches the same resources. */
export function ready(state: CloudState): Action[] {
  const running = state.actions.filter(({ status }) => status === "running");
  return running.filter((action, index) => !running.slice(0, index).some((before) => before.resources.some((one) => touches(action, one as Reference))));
}
