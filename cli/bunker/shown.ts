import { npubOf } from "../../formats/npub.js";
import { table } from "../table.js";
import { paint } from "../updateView.js";
import type { ShownClient, ShownPolicy, Pending } from "./grants.js";
import type { BunkerStatus } from "./host.js";

const day = (time: string): string => time.slice(0, 16).replace("T", " ");

export function keysText({ identity, keys, relays }: BunkerStatus): string {
  const rows = keys.map(({ name, publicKey, is, held }) => [`  ${name}`, publicKey === null ? "unknown until it is first opened" : npubOf(publicKey),
    is === "open" ? paint("green", "unlocked") : paint("red", held ? "locked on purpose: it stays so until `holdfast bunker unlock`" : "locked")]);
  return [
    paint("bold", `bunker ${npubOf(identity)}`),
    table(relays.map(({ url, is, reason }) => [`  ${url}`, is === "listening" ? paint("green", is) : paint("red", `${is}${reason === undefined ? "" : `: ${reason}`}`)])),
    paint("bold", "keys"),
    rows.length === 0 ? "  none yet: holdfast bunker create KEY" : table(rows),
  ].join("\n");
}

/** The bunker in one line of `holdfast status`. */
export function bunkerLine({ keys, relays }: Pick<BunkerStatus, "keys" | "relays">): string {
  const [locked, listening] = [keys.filter(({ is }) => is !== "open"), relays.filter(({ is }) => is === "listening")];
  const text = `${keys.length - locked.length} of ${keys.length} keys unlocked${locked.length === 0 ? "" : ` (locked: ${locked.map(({ name }) => name).join(", ")})`}, ${listening.length} of ${relays.length} relays listening`;
  return locked.length === 0 && listening.length > 0 ? text : paint("red", text);
}

function ruleText({ method, kind, counterparty, max_usage_count: most, current_usage_count: used, window_seconds: seconds }: ShownPolicy["rules"][number]): string {
  return `${method}${kind === null ? "" : ` ${kind}`}${counterparty === undefined ? "" : ` with ${npubOf(counterparty)}`}${most === null ? "" : ` (${used} of ${most}${seconds === undefined ? "" : ` in ${seconds} s`})`}`;
}

export function policiesText(policies: readonly ShownPolicy[]): string {
  if (policies.length === 0) return "There is no policy yet, and without one no client may do anything: holdfast bunker policy add --preset notes";
  return policies.map(({ id, name, expires_at: end, rules }) => `${paint("bold", name)}  (${id}${end === null ? "" : `, until ${day(end)}`})\n${rules.map((rule) => `  ${ruleText(rule)}`).join("\n")}`).join("\n");
}

export function clientsText({ clients, pending }: { readonly clients: readonly ShownClient[]; readonly pending: readonly Pending[] }): string {
  if (clients.length + pending.length === 0) return "Nobody has access, and nobody is invited.";
  return table([
    ...clients.map((one) => [String(one.id), one.description, npubOf(one.pubkey),
      one.revokedAt !== undefined ? paint("dim", `ended ${day(one.revokedAt)}`) : one.lastUsedAt === undefined ? "not used yet" : `last used ${day(one.lastUsedAt)}`]),
    ...pending.map((one) => ["-", one.client, `invited${one.policy === null ? "" : `, policy ${one.policy}`}`, one.expiresAt === null ? "until revoked" : `until ${day(one.expiresAt)}`]),
  ]);
}

/** A line of the bunker's own audit log. */
export interface ShownDeed {
  readonly time: number;
  readonly action: string;
  readonly who: string;
  readonly keyName?: string | null | undefined;
  readonly kind?: number | null | undefined;
  readonly outcome: string;
  readonly note?: string | null | undefined;
}

const whoText = (who: string): string => (/^[0-9a-f]{64}$/.test(who) ? `${npubOf(who).slice(0, 14)}…` : who);

export const deedsText = (deeds: readonly ShownDeed[]): string =>
  (deeds.length === 0 ? "No such line." : table(deeds.map(({ time, action, who, keyName, kind, outcome, note }) => [
    new Date(time).toISOString().slice(0, 19).replace("T", " "), whoText(who), keyName ?? "-", `${action}${kind == null ? "" : ` ${kind}`}`,
    `${outcome === "allowed" ? outcome : paint("red", outcome)}${note == null ? "" : `: ${note}`}`,
  ])));
