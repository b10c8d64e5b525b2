import { fstatSync } from "node:fs";

/** How bad a line is: one key that does not open is a warning, what needs a person is an error. */
export type Level = "info" | "warn" | "error";
export type Log = (level: Level, line: string) => void;

/** @see sd-daemon(3), SD_ERR, SD_WARNING, SD_INFO */
const priorities: Readonly<Record<Level, number>> = { error: 3, warn: 4, info: 6 };

/** Whether this process's stderr goes straight to systemd's journal. @see systemd.exec(5), $JOURNAL_STREAM */
export function logStyle(journalStream: string | undefined): "journal" | "plain" {
  const { dev, ino } = fstatSync(2);
  return journalStream === `${dev}:${ino}` ? "journal" : "plain";
}

/** Lines for people: with systemd's priorities for the journal, with time and level elsewhere. A line stays one line, whatever is in it. */
export function createLog(style: "journal" | "plain", write: (text: string) => void, now: () => number): Log {
  return (level, line) => {
    const one = line.replace(/[\u0000-\u001f\u007f]+/g, " ");
    write(style === "journal" ? `<${priorities[level]}>${one}\n` : `${new Date(now()).toISOString()} ${level} ${one}\n`);
  };
}
