import type { z } from "zod";
import { marksSchema, noMarks, noVersions, versionsSchema, type Marks, type Versions } from "../formats/records.js";
import { parseFormat } from "../formats/versioned.js";
import type { EnvironmentMarks, Mark, MarkKind } from "./environments.js";
import type { Finding } from "./refusal.js";
import { defaultTunnelNetwork } from "./schema.js";
import type { ReadFile } from "./specify.js";
import { networkSchema, publicKeySchema, recipientSchema } from "./text.js";

/** Where an environment's records lie unless its stack file says otherwise. */
export const recordsOf = (environment: string, keys: Readonly<Record<string, unknown>>): string =>
  (typeof keys["records"] === "string" ? keys["records"] : `environments/${environment}`);

/** What `holdfast` wrote about an environment. A record that was never written says nothing; one that cannot be read is a finding. */
export function recordsIn(folder: string, read: ReadFile, findings: Finding[]): { readonly versions: Versions; readonly marks: Marks } {
  const record = <T>(schema: z.ZodType<T>, path: string, nothing: T): T => {
    const text = read(path);
    if (text === undefined) return nothing;
    try {
      return parseFormat(schema, path, text);
    } catch (error) {
      findings.push({ path: "holdfast:records", found: JSON.stringify(path), wanted: `${(error as Error).message} Bring the file back from version control` });
      return nothing;
    }
  };
  return { versions: record(versionsSchema, `${folder}/versions.json`, noVersions), marks: record(marksSchema, `${folder}/marks.json`, noMarks) };
}

/**
 * The public marks of an environment: what no other may have too. Tolerates a configuration that is not valid yet: what was never filled in is no mark.
 *
 * @param input the stack's keys, with the content of files in their place
 */
export function marksOf(environment: string, input: Readonly<Record<string, unknown>>, read: ReadFile): EnvironmentMarks {
  const faults: Finding[] = [];
  const marks: Mark[] = [];
  const note = (kind: MarkKind, path: string, value: unknown): void => {
    if (isMark(kind, value)) marks.push({ kind, path, value: kind === "host-key" ? value.split(" ").slice(0, 2).join(" ") : value });
  };
  for (const [role, recipient] of Object.entries(Object(input["recipients"]))) note("recipient", `holdfast:recipients.${role}`, recipient);
  for (const [name, node] of Object.entries(Object(input["nodes"]))) {
    note("host-key", `holdfast:nodes.${name}.host.commodity.hostKey`, Object(Object(Object(node).host).commodity).hostKey);
    if (Object(node).tunnel !== "none") note("tunnel-range", `holdfast:nodes.${name}.tunnel.network`, Object(Object(node).tunnel).network ?? defaultTunnelNetwork);
  }
  const folder = recordsOf(environment, input);
  const { passphrase, tunnels, states = {} } = recordsIn(folder, read, faults).marks;
  note("passphrase", `${folder}/marks.json: passphrase`, passphrase);
  for (const [id, publicKey] of Object.entries(tunnels)) note("tunnel-key", `${folder}/marks.json: tunnels.${id}`, publicKey);
  for (const [id, mark] of Object.entries(states)) note("state", `${folder}/marks.json: states.${id}`, mark);
  return { environment, marks, faults };
}

const SCHEMAS: Partial<Readonly<Record<MarkKind, z.ZodType>>> = { recipient: recipientSchema, "host-key": publicKeySchema, "tunnel-range": networkSchema };

const isMark = (kind: MarkKind, value: unknown): value is string => typeof value === "string" && (SCHEMAS[kind]?.safeParse(value).success ?? true);
