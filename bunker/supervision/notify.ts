import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { RelaysArgs } from "../relays/relays.js";

/**
 * Tells systemd how the bunker is (sd_notify(3)). Without `NOTIFY_SOCKET` in the environment nothing is done.
 *
 * Node opens no unix datagram sockets, and what there is for it on npm is native code: so the program `systemd-notify` speaks, one short process each time, which waits until systemd has
 * heard it. The unit needs `NotifyAccess=all`, because it is not the main process that speaks. A failure is logged, once in a row, and never thrown.
 */
export interface Notifier {
  /** Start-up is over. */
  ready(status: string): Promise<void>;
  status(status: string): Promise<void>;
  /** Feeds the watchdog. */
  alive(status: string): Promise<void>;
  stopping(): Promise<void>;
  /** Asks for so much more time to start or to stop, from now. */
  extend(milliseconds: number): Promise<void>;
}

export interface NotifierArgs {
  /** `NOTIFY_SOCKET` from systemd; `NSECBUNKER_SYSTEMD_NOTIFY` is the program's path where it is not in `PATH`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: RelaysArgs["log"];
}

const DEADLINE = 5_000;
const run = promisify(execFile);

export function createNotifier({ environment, log }: NotifierArgs): Notifier {
  const socket = environment["NOTIFY_SOCKET"];
  const program = environment["NSECBUNKER_SYSTEMD_NOTIFY"] ?? "systemd-notify";
  let last: Promise<void> = Promise.resolve();
  let before: "heard" | "failed" = "heard";

  const speak = async (lines: readonly string[]): Promise<void> => {
    try {
      await run(program, lines, { env: { NOTIFY_SOCKET: socket, PATH: environment["PATH"] }, timeout: DEADLINE, killSignal: "SIGKILL" });
      before = "heard";
    } catch (error) {
      const { code, stderr, killed } = error as { readonly code?: number | string; readonly stderr?: string; readonly killed?: boolean };
      const why = killed === true ? `no answer within ${DEADLINE} ms` : code === "ENOENT" ? "there is no such program: set NSECBUNKER_SYSTEMD_NOTIFY to its path" : `exit ${code}: ${stderr?.trim() ?? ""}`;
      if (before === "heard") log("error", `systemd does not hear us: ${program}: ${why}. The unit wants NotifyAccess=all.`);
      before = "failed";
    }
  };
  /** One after the other, so that systemd hears them in their order. */
  const say = (...lines: readonly string[]): Promise<void> => {
    if (socket === undefined || socket === "") return Promise.resolve();
    last = last.then(() => speak(lines));
    return last;
  };

  return {
    ready: (status) => say("READY=1", line(status)),
    status: (status) => say(line(status)),
    alive: (status) => say("WATCHDOG=1", line(status)),
    stopping: () => say("STOPPING=1"),
    extend: (milliseconds) => say(`EXTEND_TIMEOUT_USEC=${Math.ceil(milliseconds * 1_000)}`),
  };
}

/** A line break would begin another assignment. */
const line = (status: string): string => `STATUS=${status.replace(/[\x00-\x1f\x7f]+/g, " ")}`;

/**
 * The watchdog's interval in milliseconds.
 *
 * @returns nothing when systemd watches nobody, or another process
 * @throws when `WATCHDOG_USEC` is no number
 * @see sd_watchdog_enabled(3)
 */
export function watchdogInterval(environment: Readonly<Record<string, string | undefined>>, pid: number): number | undefined {
  const { WATCHDOG_USEC: interval, WATCHDOG_PID: watched } = environment;
  if (interval === undefined || (watched !== undefined && watched !== String(pid))) return undefined;
  if (!/^[1-9][0-9]{0,17}$/.test(interval)) throw new Error(`WATCHDOG_USEC (${interval}) is no number of microseconds. systemd sets it: take it out of the environment.`);
  return Number(interval) / 1_000;
}
