import type { z } from "zod";

/** What a format's parser found wrong: names the format, the path inside it and what is wanted there. */
export class FormatError extends Error {}

/**
 * Reads one of our formats from its text.
 *
 * @param what the format's name for people, as it stands in the message
 * @throws FormatError which never quotes the text: it may be secret
 */
export function parseFormat<T>(schema: z.ZodType<T>, what: string, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FormatError(`${what}: this is not JSON (${text.length} characters).`);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new FormatError(`${what}: at ${issue.path.join(".") || "the top"}: ${issue.message}.`);
}

/** Prints a format's value: one line, the same text for the same value. */
export function printFormat<T>(schema: z.ZodType<T>, value: T): string {
  return JSON.stringify(schema.parse(value));
}
