/** A secret file as it stands on the disk. */
export interface Standing {
  readonly content: Buffer;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** A secret file as the bundle wants it. An owner that the host does not know yet has no number. */
export interface Wanted {
  readonly name: string;
  readonly content: Buffer;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly mode: number;
  readonly consumers: readonly string[];
}

export interface Plan {
  /** Names of files that stay what they are: linked, so that they keep inode and time. */
  readonly keep: readonly string[];
  readonly write: readonly Wanted[];
  /** Names of files that are written or go away, sorted. */
  readonly changed: readonly string[];
  /** Units that read one of those, each once, sorted. */
  readonly restart: readonly string[];
}

/**
 * What it takes to come from the files that stand to those that are wanted.
 *
 * @param formerConsumers of files by name, for those that go away
 */
export function planInstallation(
  standing: ReadonlyMap<string, Standing>,
  wanted: readonly Wanted[],
  formerConsumers: ReadonlyMap<string, readonly string[]>,
): Plan {
  const write = wanted.filter((file) => !isSame(standing.get(file.name), file));
  const keep = wanted.filter((file) => !write.includes(file)).map((file) => file.name);
  const names = new Set(wanted.map((file) => file.name));
  const gone = [...standing.keys()].filter((name) => !names.has(name));
  return {
    keep,
    write,
    changed: [...write.map((file) => file.name), ...gone].sort(),
    restart: [...new Set([...write.flatMap((file) => file.consumers), ...gone.flatMap((name) => formerConsumers.get(name) ?? [])])].sort(),
  };
}

function isSame(standing: Standing | undefined, wanted: Wanted): boolean {
  return standing !== undefined && standing.uid === wanted.uid && standing.gid === wanted.gid && standing.mode === wanted.mode && standing.content.equals(wanted.content);
}
