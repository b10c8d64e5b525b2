import { join } from "node:path";
import { z } from "zod";

/** JSON lines over a Unix socket: a request brings one answer with its id. */
export const requestSchema = z.strictObject({ id: z.union([z.string().max(200), z.int()]), method: z.string().max(200), params: z.array(z.unknown()).max(20).default([]) });
export const answerSchema = z.union([z.strictObject({ id: z.union([z.string(), z.int(), z.null()]), result: z.unknown() }), z.strictObject({ id: z.union([z.string(), z.int(), z.null()]), error: z.string() })]);
export type ControlAnswer = z.infer<typeof answerSchema>;

/** Bytes of a request's line. */
export const LONGEST_REQUEST = 1_048_576;
/** Bytes of an answer's line: a backup comes in one. */
export const LONGEST_ANSWER = 1_073_741_824;

export const socketOf = (runFolder: string): string => join(runFolder, "control.sock");

/** Cuts what comes into lines, and keeps no more of an unfinished one than `longest` bytes. */
export function lineReader(longest: number, onLine: (line: string) => void, onTooLong: () => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let kept = 0;
  return (chunk) => {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; from = end + 1, end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, end)]);
      [parts, kept] = [[], 0];
      if (line.length > longest) return onTooLong();
      onLine(line.toString("utf8"));
    }
    parts.push(chunk.subarray(from));
    kept += chunk.length - from;
    if (kept > longest) {
      [parts, kept] = [[], 0];
      onTooLong();
    }
  };
}
