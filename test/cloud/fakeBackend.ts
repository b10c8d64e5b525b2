import type { Backend, FilterRule, ServerPlan } from "../../rehearsal/cloud/backend.js";

export interface FakeServer {
  plan: ServerPlan;
  running: boolean;
  addresses: ServerPlan["addresses"];
  filter: readonly FilterRule[] | undefined;
  rescue: readonly string[] | "off";
  /** How often it was started, the first time included. */
  boots: number;
}

export interface FakeBackend extends Backend {
  readonly servers: ReadonlyMap<number, FakeServer>;
  /** Size in GB, and where it is attached. */
  readonly volumes: ReadonlyMap<number, { size: number; server: number | undefined }>;
  /** Every call, as `createServer 1000001`. */
  readonly calls: readonly string[];
  /** Runs before a call does anything: may wait, or throw what the backend would. */
  before: (call: string) => Promise<void> | void;
}

/** A backend in memory: what the API's tests, and the components', stand on. */
export function fakeBackend(): FakeBackend {
  const servers = new Map<number, FakeServer>();
  const volumes = new Map<number, { size: number; server: number | undefined }>();
  const calls: string[] = [];
  const server = (id: number): FakeServer => {
    const found = servers.get(id);
    if (found === undefined) throw new Error(`the backend has no server ${id}`);
    return found;
  };
  const volume = (id: number): { size: number; server: number | undefined } => {
    const found = volumes.get(id);
    if (found === undefined) throw new Error(`the backend has no volume ${id}`);
    return found;
  };
  const boot = (one: FakeServer): void => {
    one.running = true;
    one.rescue = "off";
    one.boots++;
  };
  const step = <A extends unknown[], R>(name: string, work: (...args: A) => R) => async (...args: A): Promise<R> => {
    const first = args[0];
    const call = `${name} ${typeof first === "object" ? (first as { id: number }).id : String(first ?? "")}${typeof args[1] === "string" || typeof args[1] === "number" ? ` ${args[1]}` : ""}`.trim();
    await self.before(call);
    calls.push(call);
    return work(...args);
  };
  const self: FakeBackend = {
    servers, volumes, calls, before: () => undefined,
    createServer: step("createServer", (plan: ServerPlan) => {
      if (servers.has(plan.id)) return;
      for (const id of plan.volumes) volume(id).server = plan.id;
      const one: FakeServer = { plan, running: false, addresses: plan.addresses, filter: plan.filter, rescue: "off", boots: 0 };
      if (plan.power === "on") boot(one);
      servers.set(plan.id, one);
    }),
    power: step("power", (id: number, to: "on" | "off" | "shutdown" | "reset" | "reboot") => {
      const one = server(id);
      if (to === "off" || to === "shutdown") one.running = false;
      else if (to !== "on" || !one.running) boot(one);
    }),
    state: async (id) => {
      const one = servers.get(id);
      return one === undefined ? "absent" : one.running ? "running" : "off";
    },
    rebuild: step("rebuild", (plan: ServerPlan) => {
      const one = server(plan.id);
      one.plan = plan;
      if (plan.power === "on") boot(one);
    }),
    rescue: step("rescue", (id: number, sshKeys: readonly string[] | undefined) => void (server(id).rescue = sshKeys ?? "off")),
    deleteServer: step("deleteServer", (id: number) => {
      servers.delete(id);
      for (const one of volumes.values()) if (one.server === id) one.server = undefined;
    }),
    createVolume: step("createVolume", (id: number, size: number) => void volumes.set(id, volumes.get(id) ?? { size, server: undefined })),
    resizeVolume: step("resizeVolume", (id: number, size: number) => void (volume(id).size = size)),
    attachVolume: step("attachVolume", (id: number, to: number) => void (volume(id).server = server(to).plan.id)),
    detachVolume: step("detachVolume", (id: number) => void (volume(id).server = undefined)),
    deleteVolume: step("deleteVolume", (id: number) => void volumes.delete(id)),
    setAddresses: step("setAddresses", (id: number, addresses: ServerPlan["addresses"]) => void (server(id).addresses = addresses)),
    setFilter: step("setFilter", (id: number, rules: readonly FilterRule[] | undefined) => void (server(id).filter = rules)),
    leftovers: async () => [...[...servers.keys()].map((id) => `server ${id}`), ...[...volumes.keys()].map((id) => `volume ${id}`)],
    raze: async () => {
      servers.clear();
      volumes.clear();
    },
  };
  return self;
}
