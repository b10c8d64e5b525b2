import { z } from "zod";
import { ApiError, invalidInput, notUnique } from "./errors.js";
import { labelFaults } from "./labels.js";
import type { Resource } from "./world.js";

export const labels = z.record(z.string(), z.string());
export const id = z.int().positive();
export const idOrName = z.union([z.int().positive(), z.string().min(1)]);
export const name = z.string().min(1, "is too short").max(128, "is too long");

/**
 * A request's body, checked. Keys that nobody asked for are let through, as the API does.
 *
 * @throws ApiError `invalid_input` with every field that is wrong
 */
export function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body ?? {});
  if (!result.success) throw invalidInput(...result.error.issues.map((issue) => ({ name: issue.path.join(".") || "body", messages: [issue.message] })));
  const labelsOf = Object(result.data).labels as Record<string, string> | undefined;
  const faults = labelsOf ? labelFaults(labelsOf) : [];
  if (faults.length > 0) throw invalidInput(...faults);
  return result.data;
}

/** @throws ApiError `uniqueness_error` when another one of the project has the name */
export function requireFreeName(all: readonly Resource[], wanted: string | undefined, self?: number): void {
  if (wanted !== undefined && all.some((one) => one.name === wanted && one.id !== self)) throw notUnique("name", "name is already used");
}

/** The body's JSON. @throws ApiError `json_error` */
export function parseBody(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new ApiError("json_error", `invalid JSON input: ${(error as Error).message}`);
  }
}
