import type { Relays, RelaysArgs } from "../relays/relays.js";
import type { Notifier } from "./notify.js";

export interface LivenessArgs {
  readonly relays: Pick<Relays, "probe" | "states">;
  readonly notifier: Pick<Notifier, "alive">;
  /** systemd's, in milliseconds (`watchdogInterval`). Absent: nobody is fed, and relays are probed all the same. */
  readonly intervalMs?: number;
  /** What `systemctl status` shows. */
  readonly status: () => string;
  readonly log: RelaysArgs["log"];
}

export interface Liveness {
  /** Resolves when the round that runs is over. */
  stop(): Promise<void>;
}

/** Between two rounds, in milliseconds, when the watchdog allows it. */
const PERIOD = 30_000;
const PROBE_DEADLINE = 10_000;
/** A loss, and one after each of two new connections. */
const LOSSES = 3;

/**
 * Probes all relays again and again, and feeds systemd's watchdog with what comes of it:
 *
 * - an event from us to us came back through one relay at least: fed;
 * - no relay listens (network, Tor or relays are down; connections are being tried): fed, because a new process would find the same, and might find its keys locked;
 * - a relay says that it is asked too often: fed;
 * - relays listen, and none brings a probe: fed twice more, while each is connected anew and probed again. After the third loss in a row the deafness is taken for ours, nothing is fed
 *   until a probe comes back, and systemd restarts the bunker.
 *
 * The rounds run in the process's own event loop: one that stands still feeds nobody.
 */
export function superviseLiveness(args: LivenessArgs): Liveness {
  const { relays, notifier, intervalMs, log } = args;
  const period = Math.min(PERIOD, (intervalMs ?? Infinity) / 4);
  const deadline = Math.min(PROBE_DEADLINE, period);
  let losses = 0;
  let stopped: "no" | "yes" = "no";
  let timer: NodeJS.Timeout | undefined;

  const round = async (): Promise<void> => {
    const listening = relays.states().filter(({ is }) => is === "listening").map(({ url }) => url);
    const brought = await relays.probe(deadline);
    // One that was asked too often is not torn down: it goes on listening.
    const lost = relays.states().filter(({ url, is }) => listening.includes(url) && !brought.includes(url) && is !== "listening");
    if (brought.length > 0) losses = 0;
    else if (lost.length > 0 && lost.length === listening.length && ++losses === LOSSES) log("error", `No relay has brought a probe back ${LOSSES} times in a row, though ${lost.map(({ url }) => url).join(", ")} can be reached. The watchdog is not fed any more.`);
    if (losses < LOSSES && intervalMs !== undefined && stopped === "no") await notifier.alive(args.status());
  };
  const go = (): Promise<void> => round()
    .catch((error: unknown) => log("error", `a round of probes failed: ${error instanceof Error ? error.message : "unknown failure"}`))
    .finally(() => {
      if (stopped === "no") timer = setTimeout(() => { running = go(); }, period);
    });
  let running = go();

  return {
    stop: async () => {
      stopped = "yes";
      clearTimeout(timer);
      await running;
    },
  };
}
