import { decide } from "../grants/decide.js";
import type { Refusals } from "../grants/refusals.js";
import type { Client, Deed } from "../model.js";
import { methodOf } from "./methods.js";
import type { Outcome, Request } from "./signer.js";
import { Unusable, type Done, type Session, type Task } from "./task.js";

/** What goes back to the client. */
export interface Reply {
  readonly id: string;
  readonly result?: string;
  readonly error?: string;
}

export interface Answer {
  readonly reply: Reply;
  readonly outcome: Extract<Outcome, "answered" | "refused" | "failed">;
  readonly deed: Deed;
}

/**
 * Decides, does and records a request, without waiting for anything in between: two requests cannot both have a client's last use.
 * For one transaction of the caller's: what is not on the disk is not answered.
 *
 * @throws only when the store does
 */
export function answer(request: Request, session: Session, refusals: Refusals, log: (line: string) => void): Answer {
  const { key, sender, store, now } = session;
  const action = { action: request.method, who: sender, keyName: key.name };

  const method = methodOf(request.method);
  if (method === undefined) {
    const shown = /^\w+$/.test(request.method) ? ` "${request.method}"` : "";
    return refuse({ ...action, action: "unknown-method" }, `there is no method${shown} here; see NIP-46 for those there are`, "unknown method", session.client);
  }

  const task = attempt(() => method(request.params, session));
  if (task instanceof Unusable) return refuse(action, task.message, task.message, session.client);
  const client = task.client ?? session.client;
  const subject = { ...action, ...(task.kind === undefined ? {} : { kind: task.kind }), ...(task.counterparty === undefined ? {} : { counterparty: task.counterparty }) };

  const decision = decide({
    request: { method: request.method, ...subject },
    client,
    policy: client?.policyId === undefined ? undefined : store.policies.get(client.policyId),
    uses: (rule, since) => (client === undefined ? 0 : store.usage.count(rule.id, client.id, since)),
    now,
  });
  if (!decision.allow) return refuse(subject, task.refusal ?? decision.error, decision.reason, client);

  const by = client === undefined ? undefined : { clientId: client.id };
  const done = perform(task, request.method, log);
  if (done instanceof Unusable) {
    const deed: Deed = { ...subject, outcome: "failed", note: done.message };
    store.record(deed, now, by);
    return { reply: { id: request.id, error: done.message }, outcome: "failed", deed };
  }
  const { result, ...facts } = done;
  const deed: Deed = { ...subject, ...facts, outcome: "allowed" };
  store.record(deed, now, by && decision.rule ? { ...by, ruleId: decision.rule.id } : by);
  return { reply: { id: request.id, result }, outcome: "answered", deed };

  function refuse(about: Omit<Deed, "outcome">, error: string, note: string, refused: Client | undefined): Answer {
    const deed: Deed = { ...about, outcome: "refused", note };
    const written = refusals.add(refused === undefined ? "strangers" : refused.publicKey, deed, now);
    if (written !== undefined) store.audit.append(written, now);
    return { reply: { id: request.id, error }, outcome: "refused", deed };
  }
}

function perform(task: Task, method: string, log: (line: string) => void): Done | Unusable {
  try {
    return task.perform();
  } catch (fault) {
    if (fault instanceof Unusable) return fault;
    log(`${method} failed: ${fault instanceof Error ? fault.name : typeof fault}`);
    return new Unusable("the bunker could not do this; its log has the time of it");
  }
}

function attempt<T>(understand: () => T): T | Unusable {
  try {
    return understand();
  } catch (fault) {
    if (fault instanceof Unusable) return fault;
    throw fault;
  }
}
