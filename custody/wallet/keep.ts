// The process that keeps an unlocked wallet. What it keeps comes over stdin; "ready" goes to stdout once it listens, and nothing afterwards.
import { rmSync } from "node:fs";
import { text } from "node:stream/consumers";
import { parseFormat } from "../../formats/versioned.js";
import { keptSchema, type Kept } from "../../formats/walletSocket.js";
import { record } from "../audit/log.js";
import { keeperOf, type Keeper } from "./keeper.js";
import { isGone } from "./leader.js";
import { listen } from "./socket.js";

/** In milliseconds. A clock that is asked goes on while a laptop sleeps; a timer does not. */
const LOOK_EVERY = 1_000;

async function keep(kept: Kept): Promise<void> {
  let ending = false;
  const end = async (why: string): Promise<void> => {
    if (ending) return;
    ending = true;
    try {
      await record(kept.audit, { action: "wallet-locked", subject: kept.nodes.map(({ seed }) => seed.node).join(", ").slice(0, 300), outcome: "done", note: why });
    } finally {
      rmSync(kept.socket, { force: true });
      process.exit(0);
    }
  };
  const keeper = keeperOf(kept);
  const answer: Keeper = (request) => (ending ? Promise.reject(new Error("this wallet is being locked")) : keeper(request));
  await listen(kept.socket, answer, ({ ask }) => void (ask === "lock" && end("by holdfast wallet lock")));
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void end(`by ${signal}`));
  setInterval(() => {
    if (Date.now() >= Date.parse(kept.until)) void end("its time was over");
    else if (kept.leader !== undefined && isGone(kept.leader)) void end("its shell has ended");
  }, LOOK_EVERY);
  process.stdout.write("ready\n");
}

// Otherwise this signal has Node open a debugger, which shows all memory to whoever connects to it.
process.on("SIGUSR1", () => undefined);
process.umask(0o077);
await keep(parseFormat(keptSchema, "what is to be kept", await text(process.stdin)));
