import { z } from "zod";
import { statusOf } from "./errors.js";

const times = z.int().positive().optional();
const where = { method: z.enum(["GET", "POST", "PUT", "DELETE"]).optional(), path: z.string().startsWith("/").optional() };

/** What goes wrong on demand. `times` says how often, without it until it is taken back; `path` may hold `*` for one part, and has no /v1. */
export const faultSchema = z.discriminatedUnion("do", [
  /** 429, so many times or for so many seconds. */
  z.strictObject({ do: z.literal("rateLimit"), times, seconds: z.number().positive().optional(), ...where }),
  /** Any answer, such as 503 `unavailable`, 409 `conflict`, 412 `resource_unavailable`; without a code an answer as a proxy gives it, not in the API's form. */
  z.strictObject({ do: z.literal("answer"), status: z.int().min(400).max(599).optional(), code: z.string().optional(), message: z.string().optional(), times, ...where }),
  /** The connection ends in the middle of the answer, to what was done; or `before` anything was done. */
  z.strictObject({ do: z.literal("reset"), when: z.enum(["before", "after"]).default("after"), times, ...where }),
  /** Actions with this command (`*`: all) end with an error and have done nothing. */
  z.strictObject({ do: z.literal("failAction"), command: z.string(), code: z.string().default("action_failed"), message: z.string().default("Action failed"), times }),
  /** Actions with this command take so much longer. */
  z.strictObject({ do: z.literal("slowAction"), command: z.string(), milliseconds: z.int().positive(), times }),
  /** A server calls itself running, and no machine boots, until it is powered off, reset or rebuilt. */
  z.strictObject({ do: z.literal("neverBoots"), server: z.string().optional(), times }),
  /** Whoever wants a certain primary IP hears that another server has it. */
  z.strictObject({ do: z.literal("addressTaken"), times }),
  /** The project's tokens are not known any more. */
  z.strictObject({ do: z.literal("revokeTokens"), project: z.string().optional(), times }),
]);

export type Fault = z.infer<typeof faultSchema>;
export type FaultInput = z.input<typeof faultSchema>;

/** A fault with how often it has struck. */
export type Counted = Fault & { hits: number; since: number };

/** @throws when one of them is none; says which and why */
export function parseFaults(value: unknown): Fault[] {
  const result = z.array(faultSchema).safeParse(value);
  if (result.success) return result.data;
  throw new Error(`these are no faults of the cloud: ${result.error.issues.map((issue) => `${issue.path.join(".") || "all of it"}: ${issue.message}`).join("; ")}. They are described in rehearsal/cloud/README.md.`);
}

const pathMatches = (pattern: string, path: string): boolean => new RegExp(`^${pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join("[^/]+")}$`).test(path);

export interface FaultList {
  /** The first fault of a kind that strikes now, counted; undefined when none does. */
  strike<K extends Fault["do"]>(kind: K, matches?: (fault: Extract<Fault, { do: K }>) => boolean): Extract<Fault, { do: K }> | undefined;
  /** The same for a request. */
  strikeRequest<K extends "rateLimit" | "answer" | "reset">(kind: K, request: { readonly method: string; readonly path: string }, matches?: (fault: Extract<Fault, { do: K }>) => boolean): Extract<Fault, { do: K }> | undefined;
  all(): readonly Counted[];
  set(faults: readonly Fault[]): void;
  add(faults: readonly Fault[]): void;
}

/** Faults that strike in order, each as often as it says. */
export function faultList(first: readonly Fault[], now: () => number = Date.now): FaultList {
  const counted = (faults: readonly Fault[]): Counted[] => faults.map((fault) => ({ ...fault, hits: 0, since: now() }));
  let all = counted(first);
  const live = (fault: Counted): boolean =>
    (fault.times === undefined || fault.hits < fault.times) && (fault.do !== "rateLimit" || fault.seconds === undefined || now() < fault.since + fault.seconds * 1000);
  const list: FaultList = {
    strike: (kind, matches = () => true) => {
      const fault = all.find((one) => one.do === kind && live(one) && matches(one as never));
      if (fault) fault.hits++;
      return fault as never;
    },
    strikeRequest: (kind, { method, path }, matches = () => true) => list.strike(kind, (fault) => {
      const narrowed = fault as { readonly method?: string; readonly path?: string };
      return (narrowed.method === undefined || narrowed.method === method) && (narrowed.path === undefined || pathMatches(narrowed.path, path)) && matches(fault as never);
    }) as never,
    all: () => all,
    set: (faults) => void (all = counted(faults)),
    add: (faults) => void (all = [...all, ...counted(faults)]),
  };
  return list;
}

/** The HTTP answer of an `answer` fault. */
export function faultAnswer(fault: Extract<Fault, { do: "answer" }>): { readonly status: number; readonly body: object | string } {
  const status = fault.status ?? (fault.code ? statusOf(fault.code) : 503);
  return { status, body: fault.code ? { error: { code: fault.code, message: fault.message ?? "a fault on demand", details: null } } : `<html><body><h1>${status}</h1></body></html>` };
}
