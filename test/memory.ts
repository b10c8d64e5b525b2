import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** Larger regions are V8's reservations, of which little is in use. */
const LARGEST = 256 * 1_048_576;

/** Whether the writable memory of a process holds a text, in one of V8's two encodings. */
export function memoryHolds(pid: number, text: string): boolean {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    const regions = [...readFileSync(`/proc/${pid}/maps`, "utf8").matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)].map(([, from, to]) => [from, to].map((edge) => Number.parseInt(edge!, 16)) as [number, number]);
    return regions.filter(([from, to]) => to - from <= LARGEST).some(([from, to]) => {
      const bytes = Buffer.alloc(to - from);
      try {
        readSync(memory, bytes, 0, bytes.length, from);
      } catch {
        // Not every region may be read.
        return false;
      }
      return bytes.includes(text, 0, "latin1") || bytes.includes(Buffer.from(text, "utf16le"));
    });
  } finally {
    closeSync(memory);
  }
}
