import { KEPT_ACTIONS } from "./limits.js";
import type { Call } from "./actions.js";
import type { Action, CloudState, Server, World } from "./world.js";

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly code: string; readonly message: string };

/**
 * What is true once an action has ended. Pure: gives a new state, and what is left to be done because of it.
 *
 * A failed one leaves things as they were; what depended on it says so when its turn comes.
 */
export function settle(before: CloudState, actionId: number, outcome: Outcome, now: number): CloudState {
  const state = structuredClone(before);
  const action = state.actions.find(({ id }) => id === actionId);
  if (action?.status !== "running") return before;
  const world = state.projects[action.project]!;
  const call: Call = { state, world, project: action.project, body: undefined, query: new URLSearchParams(), now, started: [] };
  Object.assign(action, { status: outcome.ok ? "success" : "error", finished: new Date(now).toISOString(), error: outcome.ok ? null : { code: outcome.code, message: outcome.message } });
  if (outcome.ok) succeeded(call, action);
  else failed(world, action);
  const ended = state.actions.filter(({ status }) => status !== "running");
  const forgotten = new Set(ended.slice(0, Math.max(0, ended.length - KEPT_ACTIONS)));
  state.actions = state.actions.filter((one) => !forgotten.has(one) && !(one.hidden && one.status === "success"));
  return state;
}

const change = <T extends { id: number }>(all: readonly T[], id: number, set: Partial<T>): void => void all.filter((one) => one.id === id).forEach((one) => Object.assign(one, set));

function succeeded(call: Call, { work }: Action): void {
  const { world } = call;
  switch (work.do) {
    case "createServer":
      return change(world.servers, work.server, { exists: true, status: work.start ? "starting" : "off" });
    case "power":
      // Whoever is asked to shut down is not off yet; what is true is looked at later.
      if (work.to !== "shutdown") change(world.servers, work.server, { status: work.to === "off" ? "off" : "running", ...(work.to === "off" ? {} : { rescue: null }) });
      return;
    case "rebuild":
      return change(world.servers, work.server, { image: work.image, userData: work.userData, status: "running", rescue: null });
    case "rescue":
      return change(world.servers, work.server, { rescue: work.to });
    case "deleteServer":
      return removeServer(call, work.server);
    case "createVolume":
      return change(world.volumes, work.volume, { status: "available" });
    case "attachVolume":
      return change(world.volumes, work.volume, { server: work.server });
    case "detachVolume":
      return change(world.volumes, work.volume, { server: null });
    case "resizeVolume":
      return change(world.volumes, work.volume, { size: work.size });
    case "deleteVolume":
      return;
    case "assignIp":
      return change(world.primary_ips, work.ip, { assignee: work.server });
    case "unassignIp":
      return change(world.primary_ips, work.ip, { assignee: null });
    case "filter":
      return settleFilter(world, work, "applied");
    case "patch":
      return change(world[work.kind] as { id: number }[], work.id, work.set);
  }
}

function failed(world: World, { work }: Action): void {
  if (work.do === "createServer") change(world.servers, work.server, { status: "off" });
  if (work.do === "rebuild") change(world.servers, work.server, { status: "off" });
  if (work.do === "power" && world.servers.some(({ id, status }) => id === work.server && ["starting", "stopping"].includes(status))) {
    change(world.servers, work.server, { status: work.to === "on" ? "off" : "running" });
  }
  if (work.do === "deleteServer") change(world.servers, work.server, { status: "off" });
  if (work.do === "filter" && work.remove !== true) settleFilter(world, { ...work, remove: true }, "pending");
}

function settleFilter(world: World, work: { server: number; firewall?: number; remove?: boolean }, status: "applied" | "pending"): void {
  const firewall = world.firewalls.find(({ id }) => id === work.firewall);
  if (firewall === undefined) return;
  const isIt = (one: Firewall["appliedTo"][number]): boolean => "server" in one && one.server === work.server;
  if (work.remove === true) firewall.appliedTo = firewall.appliedTo.filter((one) => !isIt(one));
  else firewall.appliedTo = firewall.appliedTo.map((one) => (isIt(one) && "server" in one ? { ...one, status } : one));
}

type Firewall = World["firewalls"][number];

/** With a server go the addresses that were made with it; the others, and its volumes, stay. */
function removeServer(call: Call, id: number): void {
  const { world } = call;
  world.servers = world.servers.filter((one: Server) => one.id !== id);
  world.primary_ips = world.primary_ips.filter(({ assignee, autoDelete }) => assignee !== id || !autoDelete);
  world.primary_ips.filter(({ assignee }) => assignee === id).forEach((ip) => (ip.assignee = null));
  world.volumes.filter(({ server }) => server === id).forEach((volume) => (volume.server = null));
  for (const firewall of world.firewalls) firewall.appliedTo = firewall.appliedTo.filter((one) => !("server" in one) || one.server !== id);
}
