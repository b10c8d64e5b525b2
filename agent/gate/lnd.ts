import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { z } from "zod";

/** lnd answered, and the answer was no. */
export class LndRefusal extends Error {
  constructor(readonly call: string, readonly status: number, readonly said: string) {
    super(`lnd refused ${call} (HTTP ${status}): ${said}`);
  }
}

/** Nobody answered, or not in time. */
export class LndSilence extends Error {
  constructor(readonly call: string, why: string) {
    super(`lnd did not answer ${call}: ${why}`);
  }
}

export interface LndAddress {
  /** The REST port on loopback. */
  readonly port: number;
  /** PEM file: the one certificate that is trusted. Read at every call, for it can be rotated. */
  readonly certificateFile: string;
  /** Exists only once a wallet does. */
  readonly macaroonFile: string;
}

const count = z.coerce.number().int();
/** grpc-gateway writes 64-bit numbers as strings and leaves nothing out. */
const stateSchema = z.object({ state: z.enum(["NON_EXISTING", "LOCKED", "UNLOCKED", "RPC_ACTIVE", "SERVER_ACTIVE", "WAITING_TO_START"]) });
const infoSchema = z.object({ identity_pubkey: z.string(), block_height: count, synced_to_chain: z.boolean() });
const recoverySchema = z.object({ recovery_mode: z.boolean(), recovery_finished: z.boolean(), progress: z.number() });
const balanceSchema = z.object({ confirmed_balance: count });
const accountsSchema = z.object({ accounts: z.array(z.object({ derivation_path: z.string(), external_key_count: count, internal_key_count: count })) });
const transactionsSchema = z.object({ transactions: z.array(z.object({ amount: count, block_height: count, num_confirmations: count })) });
const verifySchema = z.object({ chan_points: z.array(z.string()).default([]) });

export type LndState = z.infer<typeof stateSchema>["state"];

/** The calls of lnd's REST interface that the gate and the backup watch need. @see https://lightning.engineering/api-docs/api/lnd/rest-endpoints */
export interface Lnd {
  /** `GET /v1/state`: answers in every state, without a macaroon. */
  state(): Promise<LndState>;
  /** `POST /v1/initwallet`: makes the wallet. It exists when this answers. */
  initWallet(wallet: { readonly mnemonic: readonly string[]; readonly password: string; readonly macaroonRootKey: Buffer; readonly recoveryWindow: number }): Promise<void>;
  /** `POST /v1/unlockwallet`: goes on with a recovery when the window is above 0. */
  unlock(wallet: { readonly password: string; readonly recoveryWindow: number }): Promise<void>;
  /** `GET /v1/getinfo`: answers before lnd is synced. `blockHeight` is the chain backend's; `synced` says that lnd's wallet has reached it and that it is recent. */
  info(): Promise<{ readonly nodePublicKey: string; readonly blockHeight: number; readonly synced: boolean }>;
  /** `GET /v1/getrecoveryinfo`: progress from 0 to 1. */
  recovery(): Promise<{ readonly finished: boolean; readonly progress: number }>;
  /** `GET /v1/balance/blockchain`: confirmed, in satoshi. */
  confirmedBalance(): Promise<number>;
  /** `GET /v1/transactions`: what the wallet's confirmed transactions up to a height add up to, in satoshi. */
  balanceAt(height: number): Promise<number>;
  /** `GET /v2/wallet/accounts`: how many keys the wallet has handed out, of the account that has handed out most. */
  addresses(): Promise<{ readonly external: number; readonly internal: number }>;
  /** `POST /v1/channels/backup/verify`: how many channels a channel.backup holds. @throws LndRefusal when this node's seed cannot read it */
  channelsIn(channelBackup: Buffer): Promise<number>;
  /** `POST /v1/channels/backup/restore`: lnd goes on to ask the peers to close. Can be said again: it skips the channels it has. */
  restoreChannels(channelBackup: Buffer): Promise<void>;
}

/** lnd at an address. No call takes longer than `deadline` milliseconds, but those that say so. */
export function connectLnd(at: LndAddress, deadline = 20_000): Lnd {
  const get = async <T>(path: string, schema: z.ZodType<T>) => answerOf(`GET ${path}`, schema, await call(at, { method: "GET", path, deadline, macaroon: await readFile(at.macaroonFile) }));
  const post = async (path: string, body: unknown, within: number) => call(at, { method: "POST", path, body, deadline: within, macaroon: await readFile(at.macaroonFile) });
  return {
    state: async () => answerOf("GET /v1/state", stateSchema, await call(at, { method: "GET", path: "/v1/state", deadline })).state,
    initWallet: async ({ mnemonic, password, macaroonRootKey, recoveryWindow }) => {
      const body = {
        wallet_password: base64(password), cipher_seed_mnemonic: mnemonic, recovery_window: recoveryWindow,
        macaroon_root_key: macaroonRootKey.toString("base64"), stateless_init: false,
      };
      try {
        await call(at, { method: "POST", path: "/v1/initwallet", body, deadline: 120_000 });
      } catch (error) {
        // lnd quotes a word that it does not know.
        if (error instanceof LndRefusal && /\bword\b/i.test(error.said)) throw new LndRefusal(error.call, error.status, "it does not take the words of the seed");
        throw error;
      }
    },
    unlock: async ({ password, recoveryWindow }) =>
      void (await call(at, { method: "POST", path: "/v1/unlockwallet", body: { wallet_password: base64(password), recovery_window: recoveryWindow }, deadline: 120_000 })),
    info: async () => {
      const info = await get("/v1/getinfo", infoSchema);
      return { nodePublicKey: info.identity_pubkey, blockHeight: info.block_height, synced: info.synced_to_chain };
    },
    recovery: async () => {
      const recovery = await get("/v1/getrecoveryinfo", recoverySchema);
      return { finished: recovery.recovery_finished, progress: recovery.progress };
    },
    confirmedBalance: async () => (await get("/v1/balance/blockchain", balanceSchema)).confirmed_balance,
    balanceAt: async (height) => {
      const { transactions } = await get(`/v1/transactions?end_height=${height}`, transactionsSchema);
      return transactions.filter((one) => one.num_confirmations > 0 && one.block_height <= height).reduce((sum, one) => sum + one.amount, 0);
    },
    addresses: async () => {
      const { accounts } = await get("/v2/wallet/accounts", accountsSchema);
      const spending = accounts.filter((account) => /^m\/(49|84|86)'/.test(account.derivation_path));
      return {
        external: Math.max(0, ...spending.map((account) => account.external_key_count)),
        internal: Math.max(0, ...spending.map((account) => account.internal_key_count)),
      };
    },
    channelsIn: async (channelBackup) =>
      answerOf("POST /v1/channels/backup/verify", verifySchema, await post("/v1/channels/backup/verify", { multi_chan_backup: { multi_chan_backup: channelBackup.toString("base64") } }, deadline)).chan_points.length,
    restoreChannels: async (channelBackup) => void (await post("/v1/channels/backup/restore", { multi_chan_backup: channelBackup.toString("base64") }, 120_000)),
  };
}

interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
  readonly macaroon?: Buffer;
  readonly deadline: number;
}

async function call(at: LndAddress, { method, path, body, macaroon, deadline }: Call): Promise<unknown> {
  const pem = await readFile(at.certificateFile, "utf8");
  const pinned = new X509Certificate(pem).fingerprint256;
  const name = `${method} ${path}`;
  return new Promise((resolve, reject) => {
    const sent = request({
      host: "127.0.0.1", port: at.port, method, path, ca: pem, agent: false, signal: AbortSignal.timeout(deadline),
      // The certificate itself is pinned: its names do not matter.
      checkServerIdentity: (_name, shown) => (shown.fingerprint256 === pinned ? undefined : new Error(`it shows another certificate than ${at.certificateFile}`)),
      headers: { ...(macaroon && { "Grpc-Metadata-macaroon": macaroon.toString("hex") }), ...(body !== undefined && { "content-type": "application/json" }) },
    }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", (error) => reject(new LndSilence(name, error.message)));
      response.on("end", () => {
        const text = Buffer.concat(parts).toString("utf8");
        const status = response.statusCode ?? 0;
        if (status !== 200) reject(new LndRefusal(name, status, complaintIn(text)));
        else resolve(parsed(text));
      });
    });
    sent.on("error", (error) => reject(new LndSilence(name, error.name === "TimeoutError" || error.name === "AbortError" ? `nothing within ${deadline} ms` : error.message)));
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function complaintIn(text: string): string {
  const body = z.object({ message: z.string() }).safeParse(parsed(text));
  return body.success ? body.data.message : text.slice(0, 200);
}

function answerOf<T>(name: string, schema: z.ZodType<T>, answer: unknown): T {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new LndRefusal(name, 200, `its answer is not what lnd 0.20 gives: at ${issue.path.join(".") || "the top"}: ${issue.message}`);
}

const base64 = (text: string): string => Buffer.from(text, "utf8").toString("base64");
