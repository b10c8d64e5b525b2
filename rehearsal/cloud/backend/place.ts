import { join, resolve } from "node:path";
import { checkPath, namesOf, type Names } from "../../machines/names.js";

/** Where a cloud keeps what it has. */
export interface Place {
  /** `<state>/cloud`: the machines in it are not among those of `<state>`. */
  readonly folder: string;
  readonly cache: string;
  /** A folder that each server sees, read-only, at /opt/rehearsal. */
  readonly programs?: string;
  readonly report: (line: string) => void;
}

export interface CloudBackendArgs {
  /** Where everything heavy goes. */
  readonly cache: string;
  /** The rehearsal's state folder; the cloud's is below it. */
  readonly state: string;
  readonly programs?: string;
  readonly report: (line: string) => void;
}

/** @throws when a path cannot be written into mount options */
export function placeOf({ cache, state, programs, report }: CloudBackendArgs): Place {
  for (const path of [state, cache, ...(programs ? [programs] : [])]) checkPath(resolve(path));
  return { folder: join(resolve(state), "cloud"), cache, report, ...(programs ? { programs: resolve(programs) } : {}) };
}

/** Everything on the deploy machine that belongs to a server follows from its id. */
export const namesOfServer = ({ folder }: Place, id: number): Names => namesOf(folder, `server-${id}`);

export const volumesFolder = ({ folder }: Place): string => join(folder, "volumes");
