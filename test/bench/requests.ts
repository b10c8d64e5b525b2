import { once } from "node:events";
import * as nip44 from "nostr-tools/nip44";
import { finalizeEvent, generateSecretKey, getPublicKey, verifyEvent, type NostrEvent } from "nostr-tools/pure";
import { WebSocket } from "ws";

/** Times in milliseconds. */
export interface Measured {
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
}

/** Somebody who asks a key to sign. */
export interface Asker {
  readonly secretKey: Uint8Array;
  readonly publicKey: string;
  readonly conversation: Uint8Array;
}

export function newAsker(key: string): Asker {
  const secretKey = generateSecretKey();
  return { secretKey, publicKey: getPublicKey(secretKey), conversation: nip44.getConversationKey(secretKey, key) };
}

const template = (content: string) => ({ kind: 1, content, tags: [], created_at: 1_714_078_911 });

function request(asker: Asker, key: string, method: string, params: readonly string[]): NostrEvent {
  return finalizeEvent({ kind: 24_133, created_at: Math.floor(Date.now() / 1000), tags: [["p", key]], content: nip44.encrypt(JSON.stringify({ id: "1", method, params }), asker.conversation) }, asker.secretKey);
}

const signing = (asker: Asker, key: string, content: string): NostrEvent => request(asker, key, "sign_event", [JSON.stringify({ ...template(content), pubkey: key })]);

export const percentile = (sorted: readonly number[], part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;

function measured(times: readonly number[], perSecond: number): Measured {
  const sorted = [...times].sort((one, other) => one - other);
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), perSecond };
}

/** A bare line to a relay: it verifies nothing, so that the other side is what is measured. */
export interface Line {
  /** Resolves with what the key sends to this asker next. */
  exchange(asker: Asker, event: NostrEvent): Promise<NostrEvent>;
  close(): void;
}

const LATEST_MS = 20_000;

export async function openLine(url: string, key: string): Promise<Line> {
  const ws = new WebSocket(url);
  await once(ws, "open");
  const waiting = new Map<string, (event: NostrEvent) => void>();
  const subscribed = new Promise<void>((resolve) => ws.on("message", (data) => {
    const [verb, , third] = JSON.parse(String(data)) as [string, unknown, unknown];
    if (verb === "EOSE") resolve();
    if (verb !== "EVENT") return;
    const event = third as NostrEvent;
    const to = event.tags.find(([name]) => name === "p")?.[1] ?? "";
    waiting.get(to)?.(event);
    waiting.delete(to);
  }));
  ws.send(JSON.stringify(["REQ", "bench", { kinds: [24_133], authors: [key] }]));
  await subscribed;
  return {
    exchange: (asker, event) => new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`No answer within ${LATEST_MS} ms.`)), LATEST_MS);
      waiting.set(asker.publicKey, (answer) => {
        clearTimeout(late);
        resolve(answer);
      });
      ws.send(JSON.stringify(["EVENT", event]));
    }),
    close: () => ws.terminate(),
  };
}

/** @throws when the secret is refused */
export async function connect(line: Line, key: string, asker: Asker, secret: string): Promise<void> {
  const answer = await line.exchange(asker, request(asker, key, "connect", [key, secret]));
  const { result, error } = JSON.parse(nip44.decrypt(answer.content, asker.conversation)) as { readonly result?: string; readonly error?: string };
  if (result !== "ack") throw new Error(`connect: ${error}`);
}

/**
 * Asks for signatures one after the other, for the latency, then all askers at once, for the throughput. Requests are made beforehand; answers are checked afterwards.
 *
 * @param count of requests in each part
 * @throws when a signature is missing or wrong
 */
export async function askForSignatures(line: Line, key: string, askers: readonly Asker[], count: number): Promise<Measured> {
  const make = (part: string): readonly NostrEvent[] => Array.from({ length: count }, (_, index) => signing(askers[index % askers.length]!, key, `${part} ${index}`));
  const [single, many] = [make("single"), make("many")];
  const answers: { readonly asker: Asker; readonly answer: NostrEvent }[] = [];

  const times: number[] = [];
  for (const [index, event] of single.entries()) {
    const asker = askers[index % askers.length]!;
    const began = performance.now();
    answers.push({ asker, answer: await line.exchange(asker, event) });
    times.push(performance.now() - began);
  }

  const began = performance.now();
  await Promise.all(askers.map(async (asker, first) => {
    for (let index = first; index < count; index += askers.length) answers.push({ asker, answer: await line.exchange(asker, many[index]!) });
  }));
  const seconds = (performance.now() - began) / 1000;
  for (const { asker, answer } of answers) {
    const { result, error } = JSON.parse(nip44.decrypt(answer.content, asker.conversation)) as { readonly result?: string; readonly error?: string };
    const event = result === undefined ? undefined : JSON.parse(result) as NostrEvent;
    if (event === undefined || event.pubkey !== key || !verifyEvent(event)) throw new Error(`A request was not answered with a signature: ${error ?? "it does not verify"}.`);
  }
  return measured(times, count / seconds);
}

/** What any signer has to compute for a request, called here: verify and open the request, sign, seal and sign the answer. */
export function computeHere(secretKey: Uint8Array, count: number): Measured {
  const key = getPublicKey(secretKey);
  const asker = newAsker(key);
  const conversation = nip44.getConversationKey(secretKey, asker.publicKey);
  const times = Array.from({ length: count }, (_, index) => {
    const { id, pubkey, sig, kind, tags, content, created_at } = signing(asker, key, `${index}`);
    const began = performance.now();
    if (!verifyEvent({ id, pubkey, sig, kind, tags, content, created_at })) throw new Error("A request's signature does not verify.");
    const { params } = JSON.parse(nip44.decrypt(content, conversation)) as { readonly params: readonly string[] };
    const signed = finalizeEvent(JSON.parse(params[0]!) as NostrEvent, secretKey);
    finalizeEvent({ kind: 24_133, created_at, tags: [["p", pubkey]], content: nip44.encrypt(JSON.stringify({ id: "1", result: JSON.stringify(signed) }), conversation) }, secretKey);
    return performance.now() - began;
  });
  return measured(times, count / times.reduce((sum, time) => sum + time, 0) * 1000);
}
