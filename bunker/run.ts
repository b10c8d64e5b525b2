import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { autounlockSource } from "./autounlock.js";
import { startBunker, type Bunker } from "./bunker.js";
import { createLog, logStyle, type Log } from "./log.js";
import { readSettings, type Places } from "./settings.js";
import { superviseLiveness } from "./supervision/liveness.js";
import { createNotifier, watchdogInterval, type Notifier } from "./supervision/notify.js";

/** What requests in hand may still take when the bunker is told to end, and then all the rest of the ending. */
const LAST_REQUESTS_MS = 8000;
const LAST_MS = 20_000;
/** How often it is said that no relay is reached. */
const READY_MS = 30_000;
/** While the start goes on, systemd is asked for so much more, so often. */
const EXTENSION_MS = 90_000;
const EXTEND_EACH_MS = 30_000;

/** Ends of the process. @see sysexits(3), EX_SOFTWARE: systemd starts it again */
const REFUSED = 1;
const FAULT = 70;

/**
 * Runs the bunker until SIGTERM or SIGINT. What is wrong at the start is one line, and exit 1; what nobody expected is one line, and exit 70.
 *
 * @param environment is emptied of the passphrase when that has been read
 */
export async function run(places: Places, environment: NodeJS.ProcessEnv): Promise<void> {
  const log = createLog(logStyle(environment["JOURNAL_STREAM"]), (line) => process.stderr.write(line), Date.now);
  const fault = (error: unknown): void => {
    log("error", `a fault that nobody expected: ${error instanceof Error ? error.message : typeof error}`);
    process.exit(FAULT);
  };
  process.on("uncaughtException", fault);
  process.on("unhandledRejection", fault);

  const ending = new AbortController();
  const told = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => {
      log("info", `${signal}: taking no more requests`);
      ending.abort();
      resolve();
    });
  });
  const notifier = createNotifier({ environment, log });
  const patience = setInterval(() => void notifier.extend(EXTENSION_MS), EXTEND_EACH_MS);
  const { bunker, intervalMs } = await start(places, environment, log, ending.signal);
  const watched = ready(bunker, notifier, log, ending.signal).finally(() => clearInterval(patience)).then(() => (ending.signal.aborted ? undefined
    : superviseLiveness({ relays: bunker.relays, notifier, status: bunker.status, log, ...(intervalMs !== undefined ? { intervalMs } : {}) })));

  await told;
  setTimeout(() => fault(new Error(`it did not end within ${LAST_MS} ms`)), LAST_MS).unref();
  await notifier.stopping();
  await bunker.stop(LAST_REQUESTS_MS);
  await (await watched)?.stop();
  log("info", "ended");
  process.exit(0);
}

async function start(places: Places, environment: NodeJS.ProcessEnv, log: Log, stop: AbortSignal): Promise<{ readonly bunker: Bunker; readonly intervalMs: number | undefined }> {
  try {
    const settings = readSettings(places, environment);
    const autounlock = autounlockSource(environment, (path) => readFileSync(path, "utf8"));
    const intervalMs = watchdogInterval(environment, process.pid);
    return { bunker: await startBunker({ settings, autounlock, now: Date.now, clock: () => performance.now(), wait, log, stop }), intervalMs };
  } catch (error) {
    log("error", `does not start: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(REFUSED);
  }
}

/** Says so when the first relay listens, and until then, every half minute, why none does: they are tried without end. */
async function ready({ relays, status }: Bunker, notifier: Notifier, log: Log, ending: AbortSignal): Promise<void> {
  while (!ending.aborted) {
    try {
      await Promise.race([relays.ready(READY_MS), aborted(ending)]);
      break;
    } catch (error) {
      log("warn", (error as Error).message);
      await notifier.status(status());
    }
  }
  if (ending.aborted) return;
  log("info", `ready: ${status()}`);
  await notifier.ready(status());
}

const aborted = (signal: AbortSignal): Promise<void> => new Promise((resolve) => {
  if (signal.aborted) resolve();
  signal.addEventListener("abort", () => resolve(), { once: true });
});
