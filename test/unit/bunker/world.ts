import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { startRelay, type TestRelay } from "../../nostr/relay.js";
import { build, everything, makeHome, startProgram, type Home, type Running } from "./program.js";

export interface BunkerWorld {
  readonly relay: TestRelay;
  readonly home: Home;
  /** Ended with the test, however it ends. */
  readonly running: Running[];
  /** Starts a bunker, which is ready to answer then. */
  start(args?: { readonly at?: Home; readonly environment?: Readonly<Record<string, string>> }): Promise<Running>;
  /** Makes keys, and an invitation to each that allows everything. */
  withKeys(one: Running, ...names: string[]): Promise<void>;
}

/** One relay for the tests of a file, and for each test a home of its own. Wants to be called at a file's top. */
export function bunkerWorld(passphrase: string): BunkerWorld {
  let [relay, home]: [TestRelay?, Home?] = [];
  let running: Running[] = [];
  beforeAll(async () => {
    await build();
    relay = await startRelay();
  });
  afterAll(() => relay?.stop());
  beforeEach(() => {
    home = makeHome([relay!.url], passphrase);
    running = [];
  });
  afterEach(async () => {
    for (const { child } of running) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await Promise.all(running.map(({ ended }) => ended));
    relay!.heal();
    home!.remove();
  });
  return {
    get relay() { return relay!; },
    get home() { return home!; },
    get running() { return running; },
    start: async ({ at = home!, environment } = {}) => {
      const one = startProgram(at, environment);
      running.push(one);
      await one.says(/ready/, 60_000);
      return one;
    },
    withKeys: async (one, ...names) => {
      await one.call("create_new_policy", [everything]);
      for (const name of names) {
        await one.call("create_new_key", [name, passphrase]);
        await one.call("create_new_token", [name, `${name}'s phone`, "1"]);
      }
    },
  };
}
