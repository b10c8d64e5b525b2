import type { Deed } from "../model.js";
import type { AdminContext, AdminMethod } from "./method.js";
import { methods } from "./methods.js";

/** What came of a call. `unknown`: there is no such method. */
export type Answer =
  | { readonly is: "done"; readonly result: unknown }
  /** `result` where nsecbunkerd answers this method's failures as a result. */
  | { readonly is: "failed"; readonly error: string; readonly result?: unknown }
  | { readonly is: "unknown"; readonly error: string };

/**
 * Calls a method of the table. Never throws. What the audit and the log hold of it are the parameters that say how they are shown, and nothing else.
 *
 * @param who an admin's public key, or `operator`
 */
export async function callMethod(context: AdminContext, name: string, params: readonly unknown[], who: string): Promise<Answer> {
  const called = methods.get(name);
  if (called === undefined) return { is: "unknown", error: `Unknown method ${name.slice(0, 100)}` };
  try {
    return { is: "done", result: await run(context, called, name, params, who) };
  } catch (error) {
    const message = `${name}: ${error instanceof Error ? error.message : "failed"}`;
    return { is: "failed", error: message, ...(called.failed !== undefined ? { result: called.failed(message) } : {}) };
  }
}

async function run(context: AdminContext, { audited, read }: AdminMethod, name: string, params: readonly unknown[], who: string): Promise<unknown> {
  const { store, now } = context;
  const call = read(params);
  if (audited === "never") return call.run(context, who);
  const write = (outcome: Deed["outcome"], stage?: string): void => {
    const note = [stage, call.shown.note].filter((part) => part !== undefined).join(": ");
    store.audit.append({ action: name, who, ...call.shown, outcome, ...(note !== "" ? { note } : {}) }, now());
  };
  const about = `admin: ${name}${call.shown.keyName === undefined ? "" : ` ${call.shown.keyName}`} by ${who}`;
  try {
    if (audited === "around") write("allowed", "begun");
    const result = audited === "with"
      ? store.atomically(() => {
        const done = call.run(context, who);
        write("allowed");
        return done;
      })
      : await call.run(context, who);
    if (audited === "around") write("allowed", "done");
    context.log("info", `${about}: done`);
    return result;
  } catch (error) {
    context.log("warn", `${about}: failed`);
    write("failed");
    throw error;
  }
}
