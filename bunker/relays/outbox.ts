import type { NostrEvent } from "nostr-tools/pure";

/** What one relay still has to take. An event stays until the relay has answered or its deadline is over: a connection that breaks in between costs a second sending, not the event. */
export interface Outbox {
  /** Resolves with what the relay answered; `late` at the deadline. */
  add(event: NostrEvent, deadlineMs: number): Promise<Answer>;
  /** Everything that is unanswered, to send again on a new connection. */
  unanswered(): readonly string[];
  answered(id: string, answer: Exclude<Answer, "late">): void;
  close(): void;
}

export type Answer = "taken" | "rejected" | "late";

export function createOutbox(): Outbox {
  const waiting = new Map<string, { readonly text: string; readonly settle: (answer: Answer) => void }>();
  const settle = (id: string, answer: Answer): void => waiting.get(id)?.settle(answer);
  return {
    add: (event, deadlineMs) => new Promise((resolve) => {
      const before = waiting.get(event.id);
      const timer = setTimeout(() => settle(event.id, "late"), deadlineMs);
      waiting.set(event.id, {
        text: JSON.stringify(["EVENT", event]),
        settle: (answer) => {
          clearTimeout(timer);
          waiting.delete(event.id);
          resolve(answer);
          before?.settle(answer);
        },
      });
    }),
    unanswered: () => [...waiting.values()].map(({ text }) => text),
    answered: settle,
    close: () => { for (const id of [...waiting.keys()]) settle(id, "late"); },
  };
}
