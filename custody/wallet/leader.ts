import { readFileSync } from "node:fs";
import type { Kept } from "../../formats/walletSocket.js";

export type Leader = NonNullable<Kept["leader"]>;

/** Fields of a process by their number in the manual, or undefined when there is no such process, or no /proc. @see proc_pid_stat(5) */
function fieldsOf(pid: number): ((number: number) => string) | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
  // The second field is a name in parentheses, which may hold anything.
  const rest = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (number) => rest[number - 3] ?? "";
}

/** The leader of this process's session: the shell of its terminal. Undefined when it is this process, out of sight or gone already, and where there is no /proc. */
export function sessionLeader(): Leader | undefined {
  const pid = Number(fieldsOf(process.pid)?.(6));
  const fields = pid > 0 && pid !== process.pid ? fieldsOf(pid) : undefined;
  return fields && { pid, started: fields(22) };
}

/** Whether a leader has ended. Another process with its number is not it. */
export function isGone({ pid, started }: Leader): boolean {
  const fields = fieldsOf(pid);
  return fields === undefined || fields(22) !== started || ["Z", "X"].includes(fields(3));
}
