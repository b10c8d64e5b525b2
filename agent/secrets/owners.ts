import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The numbers behind names of users and groups, as far as the host knows them. */
export interface Owners {
  readonly users: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
}

/** Reads passwd(5) and group(5): what the host's own system declares, and no directory service that may be out of reach at boot. */
export async function readOwners(root: string): Promise<Owners> {
  const [passwd, group] = await Promise.all([readFile(join(root, "etc/passwd"), "utf8"), readFile(join(root, "etc/group"), "utf8")]);
  return { users: numbersByName(passwd), groups: numbersByName(group) };
}

/** Both files hold name, password and number first. */
export function numbersByName(text: string): ReadonlyMap<string, number> {
  return new Map(text.split("\n").map((line) => line.split(":")).filter((fields) => /^\d+$/.test(fields[2] ?? "")).map((fields) => [fields[0]!, Number(fields[2])]));
}
