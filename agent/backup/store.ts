import { readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { z } from "zod";
import type { Settings } from "../../formats/settings.js";
import { writeWhole } from "../files.js";
import type { GateHost } from "../gate/host.js";
import { ProgramFailure, run } from "../run.js";

/** Why a look into the store failed. Only `absent` says that there is nothing. */
export type StoreTrouble = "absent" | "wrong-password" | "unreachable";
export class StoreFailure extends Error {
  constructor(readonly trouble: StoreTrouble, message: string) {
    super(message);
  }
}

/** Where restic finds everything; all secrets are in files. */
export interface ResticPlaces {
  /** Holds the repository's address with its user and password: 0600, in memory. */
  readonly repositoryFile: string;
  readonly passwordFile: string;
  readonly cacheDirectory: string;
  /** Of the store's certificate, when no public authority signed it. */
  readonly certificateFile?: string;
}

/** restic's arguments for one command. Needs restic 0.14 or later. @see restic's manual, "Preparing a new repository" */
export function resticArguments(at: ResticPlaces, command: readonly string[]): [string, ...string[]] {
  return [
    "restic",
    "--repository-file", at.repositoryFile,
    "--password-file", at.passwordFile,
    "--cache-dir", at.cacheDirectory,
    ...(at.certificateFile === undefined ? [] : ["--cacert", at.certificateFile]),
    ...command,
  ];
}

/** The repository as restic wants it, with the store's user inside when it is a REST server. */
export function repositoryWithCredentials(repository: string, user: string, password: string): string {
  const rest = /^rest:(https?:\/\/)(?:[^/@]*@)?(.*)$/.exec(repository);
  return rest === null ? repository : `rest:${rest[1]}${encodeURIComponent(user)}:${encodeURIComponent(password)}@${rest[2]}`;
}

/**
 * What restic's failure means. Whatever is not plainly "no repository" or "wrong password" is an unreachable store: never an empty one.
 *
 * @see restic 0.17 and later: exit 10 no repository, 12 wrong password; earlier ones exit 1 and say it
 */
export function troubleIn(failure: ProgramFailure): StoreTrouble {
  if (failure.exitCode === 12 || /wrong password or no key found/.test(failure.stderr)) return "wrong-password";
  if (failure.exitCode === 10 || (failure.exitCode === 1 && /unable to open config file: .*(does not exist|no such file or directory)/.test(failure.stderr))) return "absent";
  return "unreachable";
}

const snapshotSchema = z.object({ id: z.string(), time: z.string(), paths: z.array(z.string()), tags: z.array(z.string()).default([]) });
type Snapshot = z.infer<typeof snapshotSchema>;

const sequenceOf = (snapshot: Snapshot): number => Number(snapshot.tags.find((tag) => /^sequence-\d+$/.test(tag))?.slice("sequence-".length) ?? -1);

/** The snapshot with the highest sequence, the latest of equals: a host's clock may be wrong, its count is not. */
export function newestOf(snapshots: readonly Snapshot[]): Snapshot | undefined {
  return [...snapshots].sort((a, b) => sequenceOf(b) - sequenceOf(a) || Date.parse(b.time) - Date.parse(a.time))[0];
}

/** The repository outside the host. Every call has a deadline and throws StoreFailure. */
export interface Store {
  /** Makes the repository. Fails when there is one. */
  init(): Promise<void>;
  /** The newest backup of this node, or undefined when the repository holds none. */
  newest(): Promise<Snapshot | undefined>;
  /** Sends a folder. @returns the id of its snapshot */
  send(folder: string, sequence: number): Promise<string>;
  /** One text file of a snapshot. */
  text(snapshot: string, path: string): Promise<string>;
  /** Writes a snapshot's files below a folder, each at its whole path. */
  fetch(snapshot: string, below: string): Promise<void>;
}

/** How long a store's server may take to accept a connection, in milliseconds. */
const ANSWER = 10_000;

/** restic asks a server that is down for minutes on end: one look beforehand says so at once. A repository without a server passes. */
async function requireAnswer(repository: string): Promise<void> {
  if (!/^rest:https?:/.test(repository)) return;
  const { hostname, port, protocol } = new URL(repository.slice("rest:".length));
  const fault = await new Promise<string | undefined>((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port) || (protocol === "https:" ? 443 : 80), timeout: ANSWER });
    const end = (said?: string): void => {
      socket.destroy();
      resolve(said);
    };
    socket.once("connect", () => end());
    socket.once("timeout", () => end(`no connection within ${ANSWER / 1000} s`));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED" ? "the connection was refused" : error.message));
  });
  if (fault !== undefined) throw new StoreFailure("unreachable", `${repository}: ${fault}`);
}

/** The end of what restic said, without its question about the address: it repeats that. */
function lastWords(said: string): string {
  const [meant = ""] = said.split("Is there a repository at the following location?");
  return meant.trim().split("\n").slice(-2).join("; ");
}

/** The store that the settings name. Its credentials are read at each call: they can be rotated. */
export function openStore(host: GateHost, settings: Settings): Store {
  const runtime = dirname(host.paths.gateReport);
  const { environment, node } = settings.place;
  const name = `${environment}-${node}`;
  const { repository, user, certificate } = settings.backup;

  const restic = async (command: readonly string[]): Promise<string> => {
    const secret = (await readFile(`${host.paths.secrets}/backup-store-password`, "utf8")).trim();
    const at: ResticPlaces = {
      repositoryFile: `${runtime}/backup-repository`,
      passwordFile: `${host.paths.secrets}/backup-password`,
      cacheDirectory: `${host.paths.state}/restic-cache`,
      ...(certificate !== undefined && { certificateFile: `${runtime}/backup-store.pem` }),
    };
    await writeWhole(at.repositoryFile, repositoryWithCredentials(repository, user, secret), 0o600);
    if (certificate !== undefined) await writeWhole(`${runtime}/backup-store.pem`, certificate, 0o600);
    await requireAnswer(repository);
    try {
      return await run(resticArguments(at, command), { deadline: host.waits.store });
    } catch (error) {
      if (!(error instanceof ProgramFailure)) throw error;
      const said = [secret, encodeURIComponent(secret)].reduce((text, one) => text.replaceAll(one, "***"), error.stderr.trim());
      throw new StoreFailure(troubleIn(error), `restic ${command[0]} on ${repository}: ${error.exitCode === undefined ? `no end within ${host.waits.store / 1000} s` : `exit ${error.exitCode}`}: ${lastWords(said) || "it said nothing"}`);
    }
  };

  return {
    init: async () => void (await restic(["init"])),
    newest: async () => newestOf(z.array(snapshotSchema).parse(JSON.parse(await restic(["snapshots", "--json", "--no-lock", "--tag", "holdfast", "--host", name])) ?? [])),
    send: async (folder, sequence) => {
      const lines = (await restic(["backup", "--json", "--tag", "holdfast", "--tag", `sequence-${sequence}`, "--host", name, folder])).trim().split("\n");
      return z.object({ message_type: z.literal("summary"), snapshot_id: z.string() }).parse(JSON.parse(lines.at(-1)!)).snapshot_id;
    },
    text: async (snapshot, path) => restic(["dump", "--no-lock", snapshot, path]),
    fetch: async (snapshot, below) => {
      await rm(below, { recursive: true, force: true });
      await restic(["restore", "--no-lock", snapshot, "--target", below]);
    },
  };
}
