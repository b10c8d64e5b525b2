import { hostLayout } from "../../formats/hostLayout.js";
import type { Ended, Project } from "../project.js";

/** What a test sees of a node from inside its machine, over SSH. A command that fails throws what it printed. */
export interface Observer {
  /** @returns what a command on the machine printed */
  readonly on: (command: string) => Promise<string>;
  /** How many sessions the machine's sshd let in while something was done, and what came of it. */
  readonly sessionsDuring: <T>(work: () => Promise<T>) => Promise<{ readonly sessions: number; readonly result: T }>;
  /** Units that were started, stopped or restarted meanwhile. */
  readonly unitsChangedBy: (work: () => Promise<unknown>) => Promise<string[]>;
  /** How often units have come up since the machine booted. */
  readonly starts: (...units: string[]) => Promise<number>;
  /** Inode, times, owner and mode of everything in some places: who writes a file anew changes that. */
  readonly traces: (...paths: string[]) => Promise<string>;
  /** Who LND says it is, asked with the macaroon that it made and the certificate that was delivered. */
  readonly lndIdentity: () => Promise<string>;
  /** Marks a resource of the stack to be made anew by the next update. */
  readonly taint: (resource: string) => Promise<void>;
}

export async function succeeds(run: Promise<Ended>): Promise<Ended> {
  const ended = await run;
  if (ended.exitCode !== 0) throw new Error(`exit ${ended.exitCode}: ${ended.output}`);
  return ended;
}

export function observe(project: Project, node: string): Observer {
  const on = async (command: string): Promise<string> => (await succeeds(project.ssh(node, command))).stdout;
  const number = async (command: string): Promise<number> => Number(await on(command));

  const sessions = (): Promise<number> => number("journalctl --sync; journalctl --quiet --boot --output=cat --grep='^Accepted ' | wc --lines");
  const runs = async (): Promise<ReadonlyMap<string, string>> => {
    const blocks = (await on("systemctl show --all --property=Id,InvocationID '*.service' '*.target'")).split("\n\n");
    return new Map(blocks.map((block) => [/^Id=(.*)$/m.exec(block)![1]!, /^InvocationID=(.*)$/m.exec(block)![1]!]));
  };

  return {
    on,
    sessionsDuring: async (work) => {
      const before = await sessions();
      const result = await work();
      // The session that counts is one too.
      return { sessions: (await sessions()) - before - 1, result };
    },
    unitsChangedBy: async (work) => {
      const before = await runs();
      await work();
      const after = await runs();
      return [...new Set([...before.keys(), ...after.keys()])].filter((unit) => (before.get(unit) ?? "") !== (after.get(unit) ?? "")).sort();
    },
    starts: (...units) => number(`journalctl --sync; journalctl --quiet --boot --output=cat ${units.map((unit) => `--unit=${unit}`).join(" ")} | grep --count --extended-regexp '^(Started|Finished) '`),
    traces: (...paths) => on(`find ${paths.join(" ")} -printf '%p %l %i %T@ %C@ %U:%G %m\\n' | sort`),
    lndIdentity: async () => {
      const macaroon = `od -An -v -tx1 ${hostLayout.lnd}/data/chain/bitcoin/regtest/admin.macaroon | tr -d ' \\n'`;
      const answer = await on(`printf 'header = "Grpc-Metadata-macaroon: %s"' "$(${macaroon})" `
        + `| curl --silent --show-error --fail --max-time 10 --cacert ${hostLayout.secrets}/lnd-cert --config - https://127.0.0.1:8080/v1/getinfo`);
      return (JSON.parse(answer) as { identity_pubkey: string }).identity_pubkey;
    },
    taint: async (resource) => {
      const { stdout } = await succeeds(project.pulumi("stack", "export", "-s", "dev"));
      const { resources } = (JSON.parse(stdout) as { deployment: { resources: { urn: string }[] } }).deployment;
      const { urn } = resources.find((one) => one.urn.endsWith(`::${resource}`))!;
      await succeeds(project.pulumi("state", "taint", "--yes", "-s", "dev", urn));
    },
  };
}
