import { z } from "zod";
import type { Log } from "../log.js";
import type { Keyring } from "../keyring/keyring.js";
import type { Deed, PublicKey, Time } from "../model.js";
import type { Signer } from "../nip46/signer.js";
import type { Relays } from "../relays/relays.js";
import type { Store } from "../store/store.js";
import type { Holds } from "./holds.js";

/** What methods work on. */
export interface AdminContext {
  readonly store: Store;
  readonly keyring: Keyring;
  readonly holds: Holds;
  readonly relays: Pick<Relays, "states">;
  readonly signer: Pick<Signer, "connect">;
  /** Resolves when the relays send what is for every key that there is now. */
  readonly listen: () => Promise<void>;
  /** The bunker's own. */
  readonly identity: PublicKey;
  /** What `bunker://` names. */
  readonly relayUrls: readonly string[];
  /** The whole store, as an age file for these recipients. */
  readonly backup: (recipients: readonly string[]) => Promise<Uint8Array>;
  /** Prometheus text. */
  readonly metrics: () => string;
  readonly now: () => Time;
  readonly log: Log;
}

/** What a log line and an audit line may hold of a parameter. */
type Shown = Pick<Deed, "keyName" | "note">;

/** One parameter. Unless it says how it is shown, no log and no audit ever holds it: passphrases and keys are safe by saying nothing. */
export interface Param<T> {
  readonly name: string;
  readonly schema: z.ZodType<T>;
  shown?(value: T): Shown;
}

/** How a method is audited: not at all, as what shows no secret and changes nothing; in one transaction with what it does; or, as it takes time, with a line before and one after. */
export type Audited = "never" | "with" | "around";

/** One method of the admin RPC and of the control socket. */
export interface AdminMethod {
  readonly audited: Audited;
  /** @throws BadParameter */
  read(given: readonly unknown[]): { readonly shown: Shown; run(context: AdminContext, who: string): unknown };
  /** nsecbunkerd answers some failures as a result. */
  readonly failed?: (message: string) => unknown;
}

/** A parameter does not fit. Names it, and what it wants; never its value. */
export class BadParameter extends Error {}

type Values<P extends readonly Param<unknown>[]> = { [I in keyof P]: P[I] extends Param<infer T> ? T : never };

/** Makes a method out of its parameters, in their order, and what it does with them. */
export function method<const P extends readonly Param<unknown>[]>(audited: Audited, params: P, run: (context: AdminContext, values: Values<P>, who: string) => unknown, failed?: (message: string) => unknown): AdminMethod {
  return {
    audited,
    ...(failed !== undefined ? { failed } : {}),
    read: (given) => {
      if (given.length > params.length) throw new BadParameter(`takes ${params.length === 0 ? "no parameters" : params.map((param) => param.name).join(", ")}, and got ${given.length} parameters`);
      const values = params.map((param, index) => valueOf(param, given[index]));
      return { shown: shownOf(params, values), run: (context, who) => run(context, values as Values<P>, who) };
    },
  };
}

/** RPC parameters are texts; the control socket brings numbers and objects too. An empty text counts as none, as clients of nsecbunkerd send it. */
function valueOf(param: Param<unknown>, given: unknown): unknown {
  const text = given === undefined || given === null || given === "" ? undefined : typeof given === "string" ? given : JSON.stringify(given);
  const parsed = param.schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new BadParameter(text === undefined ? `wants the parameter "${param.name}"` : `the parameter "${param.name}" does not fit: ${parsed.error.issues.map((issue) => [...issue.path, issue.message].join(": ")).join("; ")}`);
}

function shownOf(params: readonly Param<unknown>[], values: readonly unknown[]): Shown {
  const shown = params.flatMap((param, index) => (values[index] === undefined || param.shown === undefined ? [] : [param.shown(values[index])]));
  const keyName = shown.find((one) => one.keyName !== undefined)?.keyName;
  const note = shown.flatMap((one) => one.note ?? []).join(", ");
  return { ...(keyName !== undefined ? { keyName } : {}), ...(note !== "" ? { note } : {}) };
}
