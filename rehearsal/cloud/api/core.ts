import { actionView, typeOf, type Call } from "./actions.js";
import { images, imageView, locations, serverTypes, serverTypeView } from "./catalogue.js";
import { ApiError, gone, notFound } from "./errors.js";
import { createFirewall, deleteFirewall, firewallActions, firewallView, updateFirewall } from "./firewalls.js";
import { asked, having, paged, sorted } from "./listing.js";
import { createNetwork, deleteNetwork, networkActions, networkView, updateNetwork } from "./networks.js";
import { createPlacementGroup, deletePlacementGroup, placementGroupView } from "./placementGroups.js";
import { createPrimaryIp, deletePrimaryIp, primaryIpActions, primaryIpView, updatePrimaryIp } from "./primaryIps.js";
import { serverActions } from "./serverActions.js";
import { createServer, deleteServer, serverView, updateServer } from "./servers.js";
import { createSshKey, sshKeyView } from "./sshKeys.js";
import { renamed } from "./renamed.js";
import { createVolume, deleteVolume, updateVolume, volumeActions, volumeView } from "./volumes.js";
import { emptyWorld, type Action, type CloudState, type Kind, type World } from "./world.js";

export interface ApiRequest {
  readonly project: string;
  readonly method: string;
  /** After /v1. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Answer {
  readonly status: number;
  readonly body?: object;
}

type Item<K extends Kind> = World[K][number];

interface Table<K extends Kind> {
  readonly create: (call: Call) => object;
  readonly update: (call: Call, item: Item<K>) => object;
  /** Answers 200 with what it gives, or 204. */
  readonly remove: (call: Call, item: Item<K>) => object | void;
  readonly view: (call: Call, item: Item<K>) => object;
  readonly actions?: Readonly<Record<string, (call: Call, item: Item<K>) => object>>;
  /** Besides name and labels. */
  readonly filters?: Readonly<Record<string, (item: Item<K>) => string>>;
}

const removed = <K extends Kind>(kind: K) => (call: Call, item: Item<K>): void => {
  call.world[kind] = (call.world[kind] as Item<K>[]).filter((one) => one !== item) as World[K];
};

const tables: { readonly [K in Kind]: Table<K> } = {
  servers: { create: createServer, update: updateServer, remove: deleteServer, view: serverView, actions: serverActions, filters: { status: ({ status }) => status } },
  ssh_keys: { create: createSshKey, update: (call, key) => ({ ssh_key: sshKeyView(renamed(call, call.world.ssh_keys, key)) }), remove: removed("ssh_keys"), view: (_, key) => sshKeyView(key), filters: { fingerprint: ({ fingerprint }) => fingerprint } },
  volumes: { create: createVolume, update: updateVolume, remove: deleteVolume, view: (_, volume) => volumeView(volume), actions: volumeActions, filters: { status: ({ status }) => status } },
  primary_ips: { create: createPrimaryIp, update: updatePrimaryIp, remove: deletePrimaryIp, view: (_, ip) => primaryIpView(ip), actions: primaryIpActions, filters: { ip: ({ ip }) => ip } },
  firewalls: { create: createFirewall, update: updateFirewall, remove: deleteFirewall, view: firewallView, actions: firewallActions },
  networks: { create: createNetwork, update: updateNetwork, remove: deleteNetwork, view: networkView, actions: networkActions },
  placement_groups: {
    create: createPlacementGroup, update: (call, group) => ({ placement_group: placementGroupView(call, renamed(call, call.world.placement_groups, group)) }), remove: deletePlacementGroup, view: placementGroupView,
    filters: { type: ({ type }) => type },
  },
};

const catalogue: Readonly<Record<string, { readonly singular: string; readonly list: readonly { readonly id: number; readonly name: string }[]; readonly view: (item: never) => object; readonly filters: readonly string[] }>> = {
  locations: { singular: "location", list: locations, view: (one: object) => one, filters: [] },
  server_types: { singular: "server_type", list: serverTypes, view: serverTypeView, filters: [] },
  images: { singular: "image", list: images, view: imageView, filters: ["type", "status", "architecture", "bound_to"] },
  isos: { singular: "iso", list: [], view: (one: object) => one, filters: [] },
};

/**
 * Answers one request. Pure: state and request in, new state and answer out; the actions that it begins are in the new state, and run elsewhere.
 * A refused request leaves the state as it was.
 */
export function answer(before: CloudState, request: ApiRequest): { readonly state: CloudState; readonly answer: Answer } {
  const draft = request.method === "GET" ? before : structuredClone(before);
  const world = draft.projects[request.project] ?? emptyWorld();
  if (draft !== before) draft.projects[request.project] = world;
  const call: Call = { state: draft, world, project: request.project, body: request.body, query: request.query, now: request.now, started: [] };
  try {
    return { answer: route(call, request.method, request.path.split("/").filter((part) => part !== "")), state: draft };
  } catch (error) {
    if (error instanceof ApiError) return { state: before, answer: { status: error.status, body: error.body } };
    throw error;
  }
}

function route(call: Call, method: string, path: readonly string[]): Answer {
  const [root, ...rest] = path as [string, ...string[]];
  if (root === "actions") return actionsOf(call, method, own(call), rest, "ids");
  if (root === "datacenters") throw gone("2025-12-16-phasing-out-datacenters");
  if (Object.hasOwn(catalogue, root)) return listed(call, method, root, rest);
  if (Object.hasOwn(tables, root)) return resource(call, method, root as Kind, rest);
  throw new ApiError("not_found", `/${path.join("/")} not found`);
}

const own = (call: Call): Action[] => call.state.actions.filter(({ project, hidden }) => project === call.project && !hidden);

function allow(method: string, ...methods: readonly string[]): void {
  if (!methods.includes(method)) throw new ApiError("method_not_allowed", `the request method ${method} is not allowed`);
}

function list(key: string, items: readonly object[], query: URLSearchParams): Answer {
  const { items: shown, meta } = paged(items, query);
  return { status: 200, body: { [key]: shown, meta } };
}

/** @param ask `ids`: all actions of a project cannot be listed any more, only those that are named */
function actionsOf(call: Call, method: string, actions: readonly Action[], [id, ...rest]: readonly string[], ask: "ids" | "any"): Answer {
  allow(method, "GET");
  if (id !== undefined) {
    const action = actions.find((one) => String(one.id) === id);
    if (action === undefined || rest.length > 0) throw notFound("action", id);
    return { status: 200, body: { action: actionView(action, call.now) } };
  }
  if (ask === "ids" && !call.query.has("id")) throw gone("2023-07-20-actions-list-endpoint-is-deprecated");
  const wanted = having(having(actions, call.query, "id", (one) => String(one.id)), call.query, "status", ({ status }) => status);
  const views = sorted(wanted, call.query, ["id", "command", "status", "started", "finished"]).map((one) => actionView(one, call.now));
  // Those that are named come all at once, without pages.
  return ask === "ids" ? { status: 200, body: { actions: views } } : list("actions", views, call.query);
}

function listed(call: Call, method: string, root: string, [id, ...rest]: readonly string[]): Answer {
  allow(method, "GET");
  const { singular, list: all, view, filters } = catalogue[root]!;
  const views = all.map((one) => view(one as never) as { readonly id: number; readonly name: string });
  if (id !== undefined) {
    const one = views.find((item) => String(item.id) === id);
    if (one === undefined || rest.length > 0) throw notFound(singular, id);
    return { status: 200, body: { [singular]: one } };
  }
  const found = ["name", ...filters].reduce((items, name) => having(items, call.query, name, (item) => String((item as unknown as Record<string, unknown>)[name] ?? "")), views);
  return list(root, sorted(found, call.query, ["id", "name", "created"]), call.query);
}

function resource<K extends Kind>(call: Call, method: string, kind: K, [id, ...rest]: readonly string[]): Answer {
  const table: Table<K> = tables[kind];
  const items = call.world[kind] as Item<K>[];
  const referring = (wanted?: number): Action[] => own(call).filter(({ resources }) => resources.some((one) => one.type === typeOf[kind] && (wanted === undefined || one.id === wanted)));
  if (id === undefined) {
    allow(method, "GET", "POST");
    if (method === "POST") return { status: 201, body: table.create(call) };
    const found = Object.entries(table.filters ?? {}).reduce((all, [name, field]) => having(all, call.query, name, field), asked(items, call.query));
    return list(kind, sorted(found, call.query, ["id", "name", "created"]).map((one) => table.view(call, one)), call.query);
  }
  if (id === "actions" && table.actions) return actionsOf(call, method, referring(), rest, "any");
  const item = items.find((one) => String(one.id) === id);
  if (rest[0] === "actions" && method === "GET" && table.actions) {
    const past = referring(Number(id));
    if (item === undefined && past.length === 0) throw notFound(typeOf[kind]!, id);
    return actionsOf(call, method, past, rest.slice(1), "any");
  }
  if (item === undefined) throw notFound(typeOf[kind]!, id);
  if (rest.length === 0) return single(call, method, table, kind, item);
  const act = rest[0] === "actions" && rest.length === 2 && Object.hasOwn(table.actions ?? {}, rest[1]!) ? table.actions![rest[1]!] : undefined;
  if (act === undefined) throw new ApiError("not_found", `/${[kind, id, ...rest].join("/")} not found`);
  allow(method, "POST");
  return { status: 201, body: act(call, item) };
}

function single<K extends Kind>(call: Call, method: string, table: Table<K>, kind: K, item: Item<K>): Answer {
  allow(method, "GET", "PUT", "DELETE");
  if (method === "GET") return { status: 200, body: { [typeOf[kind]]: table.view(call, item) } };
  if (method === "PUT") return { status: 200, body: table.update(call, item) };
  const body = table.remove(call, item);
  return body ? { status: 200, body } : { status: 204 };
}
