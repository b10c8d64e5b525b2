import { mkdirSync } from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import * as nip19 from "nostr-tools/nip19";
import { callMethod } from "./admin/call.js";
import { openHolds, type Holds } from "./admin/holds.js";
import type { AdminContext } from "./admin/method.js";
import { createAdminRpc } from "./admin/rpc.js";
import { autounlock, type AutounlockSource } from "./autounlock.js";
import { makeBackup } from "./backup/make.js";
import { openClientRelays } from "./clientRelays.js";
import { serveControl } from "./control/server.js";
import { removeLeft } from "./files.js";
import { importKeys } from "./import/keys.js";
import type { ImportReport } from "./import/report.js";
import { takeIdentities } from "./identities.js";
import { NotOpened, type Keyring } from "./keyring/keyring.js";
import { openKeyring } from "./keyring/open.js";
import type { Log } from "./log.js";
import type { Deed } from "./model.js";
import { createMetrics, serveMetrics } from "./metrics.js";
import { createSigner } from "./nip46/signer.js";
import { createPublish } from "./publishing.js";
import { createRequests } from "./requests.js";
import { requestFilters } from "./requestFilters.js";
import type { Relays } from "./relays/relays.js";
import { superviseRelays } from "./relays/supervise.js";
import type { Settings } from "./settings.js";
import { openStore } from "./store/open.js";
import type { Store } from "./store/store.js";

export interface BunkerArgs {
  readonly settings: Settings;
  /** Undefined: keys wait for `unlock_key`. */
  readonly autounlock: AutounlockSource | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds that only go on. */
  readonly clock: () => number;
  readonly wait: (milliseconds: number) => Promise<void>;
  readonly log: Log;
  /** Ends the unlock loop before its next key: the process is to end. */
  readonly stop: AbortSignal;
}

/** A bunker that answers. */
export interface Bunker {
  readonly relays: Relays;
  /** One line: relays and keys. */
  status(): string;
  /** Takes no more requests, finishes those in hand within the deadline, locks every key, and closes what is open. */
  stop(deadlineMs: number): Promise<void>;
}

/** How long relays may take for a new subscription. */
const SUBSCRIBE_MS = 10_000;
const SWEEP_MS = 60_000;

/**
 * Starts a bunker: database, relay subscriptions, identities and unlock loop, and only then clients' requests are answered. Those that come meanwhile wait.
 *
 * @throws when the data folder, the control socket or the metrics' port cannot be had
 */
export async function startBunker({ settings, autounlock: source, now, clock, wait, log, stop }: BunkerArgs): Promise<Bunker> {
  for (const warning of settings.warnings) log("warn", warning);
  mkdirSync(settings.dataFolder, { recursive: true, mode: 0o700 });
  const metrics = createMetrics({ keys: () => keyring.names(), relays: () => relays.states() });
  const store = counting(openStore(join(settings.dataFolder, "bunker.db"), now), metrics.deed);
  const keyring = openKeyring({ store, log, reserved: settings.identity.publicKey });
  removeLeft(settings.dataFolder, "bunker-backup-");
  const holds = openHolds(settings.dataFolder);
  const clientRelays = openClientRelays(settings.dataFolder);
  const filters = requestFilters(settings.identity.publicKey, keyring);
  const urls = (): readonly string[] => [...new Set([...settings.allRelays, ...clientRelays.urls((one) => (store.clients.all().some(({ publicKey, revokedAt }) => publicKey === one && revokedAt === undefined) ? "is" : "was"))])];
  const relays = superviseRelays({
    urls: urls(), filters, secretKey: settings.identity.secretKey, log, count: metrics.event, onEvent: (event) => requests.take(event),
    ...(settings.proxy !== undefined ? { proxy: settings.proxy } : {}),
  });
  const publish = createPublish({ relays, clientRelays, urls, wait, now: clock });
  const signer = createSigner({ store, keyring, relays: () => settings.relays, publish, now, log });

  let heard = filters.subject();
  const context: AdminContext = {
    store, keyring, holds, relays, signer, now, log,
    identity: settings.identity.publicKey,
    relayUrls: settings.relays,
    metrics: metrics.render,
    backup: (recipients) => makeBackup(store, recipients, now(), settings.dataFolder),
    listen: async () => {
      if (filters.subject() === heard) return;
      heard = filters.subject();
      await relays.resubscribe(SUBSCRIBE_MS);
    },
  };
  const admin = createAdminRpc({ context, identity: settings.identity, admins: settings.admins, publish });
  const requests = createRequests({
    identity: settings.identity.publicKey, clients: new Set(store.clients.all().map(({ publicKey }) => publicKey)),
    client: async (event) => metrics.client(await signer.handle(event)),
    admin: async (event) => metrics.admin(await admin.handle(event)),
    dropped: () => metrics.event("queue-dropped"),
  });

  const control = await serveControl({ runFolder: settings.runFolder, call: (method, params) => requests.serve(async () => {
    const answer = await callMethod(context, method, params, "operator");
    return answer.is === "done" ? { result: answer.result } : { error: answer.error };
  }) });
  const page = settings.metrics === undefined ? undefined : await serveMetrics(settings.metrics, metrics.render);
  log("info", `bunker ${nip19.npubEncode(settings.identity.publicKey)} (${settings.identity.from}): ${keyring.names().length} keys, ${settings.admins.size} admins, ${urls().length} relays`);
  relays.start();
  await unlock();
  await requests.open();
  const sweeping = setInterval(signer.sweep, SWEEP_MS).unref();

  return {
    relays,
    status: () => `${relays.states().filter(({ is }) => is === "listening").length} of ${relays.states().length} relays listen, ${keyring.names().filter(({ open }) => open === "open").length} of ${keyring.names().length} keys are open`,
    stop: async (deadlineMs) => {
      clearInterval(sweeping);
      await requests.close(deadlineMs);
      keyring.lockAll();
      signer.sweep();
      await Promise.all([relays.close(), control.close(), ...(page === undefined ? [] : [closed(page)])]);
      store.close();
    },
  };

  async function unlock(): Promise<void> {
    logImport(await importKeys({ entries: settings.configuredKeys, store, keyring, ...(source !== undefined ? { passphrase: source.passphrase } : {}) }), log);
    await takeIdentities({ store, keyring, holds, log, now, dataFolder: settings.dataFolder, passphrase: source?.passphrase });
    if (source === undefined) log("info", "autounlock: off, keys wait for unlock_key");
    else {
      const held = [...holds.names()].filter((name) => keyring.names().some((key) => key.name === name));
      if (held.length > 0) log("warn", `autounlock: passed over what was locked on purpose: ${held.join(", ")}. unlock_key ends that`);
      await autounlock({ ...source, keyring: withoutHeld(keyring, holds), log, clock, stop, count: () => undefined });
    }
    const own = keyring.names().find(({ publicKey }) => publicKey === settings.identity.publicKey);
    if (own !== undefined) log("error", `the key ${own.name} is the bunker's own identity, so its clients are not heard: give the bunker another identity`);
    await context.listen();
  }
}

/** What came at an earlier start is no news. */
function logImport({ brought, leftOut, warnings }: ImportReport, log: Log): void {
  for (const what of brought) log("info", `import: ${what}`);
  for (const line of warnings) log("warn", `import: ${line}`);
  for (const { what, why, level } of leftOut) log(level, `import: ${what} was left out: ${why}`);
}

/** What somebody locked on purpose, before or while the loop runs, is not there for it. */
function withoutHeld(keyring: Keyring, holds: Holds): Keyring {
  return {
    ...keyring,
    names: () => keyring.names().filter(({ name }) => !holds.names().has(name)),
    unlock: async (name, passphrase) => {
      if (holds.names().has(name)) throw new NotOpened(name, "locked", `${name} was locked on purpose meanwhile.`);
      return keyring.unlock(name, passphrase);
    },
  };
}

/** Tells of each decision about a client's request that is written. */
function counting(store: Store, tell: (deed: Deed) => void): Store {
  return {
    ...store,
    record: (deed, now, use) => {
      const line = store.record(deed, now, use);
      tell(deed);
      return line;
    },
    audit: { ...store.audit, append: (deed, now) => {
      const line = store.audit.append(deed, now);
      if (deed.outcome === "refused") tell(deed);
      return line;
    } },
  };
}

const closed = (server: Server): Promise<void> => new Promise((resolve) => {
  server.close(() => resolve());
  server.closeAllConnections();
});
