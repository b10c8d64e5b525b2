import type { Backend } from "../backend.js";
import { ready } from "./actions.js";
import { perform } from "./effects.js";
import type { FaultList } from "./faults.js";
import { settle, type Outcome } from "./settle.js";
import type { Action, CloudState, Server } from "./world.js";

/** In milliseconds: after it an action has failed, whatever the backend still does. */
const DEADLINE = 5 * 60_000;

export interface Holder {
  get(): CloudState;
  set(state: CloudState): void;
}

export interface Runner {
  /** Starts whatever may run now. */
  wake(): void;
  /** Resolves when no action runs. */
  idle(): Promise<void>;
  /** Starts nothing more. `abandon` forgets what runs, as a crash does; `finish` waits for it. */
  end(how: "finish" | "abandon"): Promise<void>;
}

export interface RunnerOptions {
  readonly holder: Holder;
  readonly backend: Backend;
  readonly faults: FaultList;
  /** What an action takes at least, in milliseconds. */
  readonly pace: number;
  readonly report: (line: string) => void;
}

/** Runs actions against the backend: in the order in which they were begun for any one resource, side by side otherwise. */
export function runner({ holder, backend, faults, pace, report }: RunnerOptions): Runner {
  const flying = new Map<number, Promise<void>>();
  let over: "finish" | "abandon" | undefined;
  let waiting: (() => void)[] = [];

  async function outcomeOf(action: Action): Promise<Outcome> {
    const named = (command: string): boolean => command === "*" || command === action.command;
    const slow = faults.strike("slowAction", (fault) => named(fault.command));
    await sleep((slow?.milliseconds ?? 0) + (action.hidden ? 0 : pace));
    if (over === "abandon") return { ok: false, code: "abandoned", message: "" };
    const failing = faults.strike("failAction", (fault) => named(fault.command));
    if (failing) return { ok: false, code: failing.code, message: failing.message };
    holder.set(withBootFault(holder.get(), action, faults));
    try {
      await within(perform(holder.get(), action, backend), DEADLINE, action);
      return { ok: true };
    } catch (error) {
      report(`${action.command} ${action.id} failed: ${(error as Error).message}`);
      return { ok: false, code: "action_failed", message: (error as Error).message };
    }
  }

  async function fly(action: Action): Promise<void> {
    const outcome = await outcomeOf(action);
    if (over === "abandon") return;
    holder.set(settle(holder.get(), action.id, outcome, Date.now()));
    flying.delete(action.id);
    self.wake();
  }

  const self: Runner = {
    wake() {
      if (over === undefined) for (const action of ready(holder.get())) if (!flying.has(action.id)) flying.set(action.id, fly(action));
      if (flying.size > 0) return;
      waiting.forEach((wake) => wake());
      waiting = [];
    },
    idle: () => (flying.size === 0 ? Promise.resolve() : new Promise((done) => void waiting.push(done))),
    async end(how) {
      over = how;
      if (how === "finish") await Promise.all(flying.values());
    },
  };
  return self;
}

const boots = ({ work }: Action): number | undefined =>
  work.do === "createServer" || work.do === "rebuild" || (work.do === "power" && work.to !== "off" && work.to !== "shutdown") ? work.server : undefined;

/** Marks a server that is about to boot and, by a fault, will not; and unmarks one that is switched off, or is given a new start. */
function withBootFault(before: CloudState, action: Action, faults: FaultList): CloudState {
  const { work } = action;
  const servers = (state: CloudState): Server[] => state.projects[action.project]!.servers;
  const server = "server" in work ? servers(before).find(({ id }) => id === work.server) : undefined;
  if (server === undefined || (work.do === "power" && work.to === "on" && server.neverBoots)) return before;
  const never = boots(action) === undefined ? server.neverBoots && !(work.do === "power" && work.to === "off")
    : !(work.do === "power" && work.to === "on" && server.status === "running") && faults.strike("neverBoots", (fault) => fault.server === undefined || fault.server === server.name) !== undefined;
  if (never === server.neverBoots) return before;
  const state = structuredClone(before);
  servers(state).find(({ id }) => id === server.id)!.neverBoots = never;
  return state;
}

const sleep = (milliseconds: number): Promise<void> => (milliseconds === 0 ? Promise.resolve() : new Promise((done) => setTimeout(done, milliseconds)));

async function within(work: Promise<void>, deadline: number, { command }: Action): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${command} was not done in ${deadline / 1000} s`)), deadline);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
