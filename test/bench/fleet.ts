import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { newProject } from "../project.js";
import { timed, type Timed } from "./timed.js";

/** A project whose dev stack has several nodes, n1, n2 …, each on a machine of its own. Their machines are made; nothing is deployed. */
export interface Fleet {
  readonly folder: string;
  readonly nodes: readonly string[];
  /** What plain `pulumi` needs; the counting `ssh` is on its PATH. */
  readonly environment: Readonly<Record<string, string>>;
  readonly run: (argv: readonly string[]) => Promise<Timed>;
  /** Runs something and counts the calls of `ssh` and the logins that the machines' sshd noted. */
  readonly counted: <T>(work: () => Promise<T>, machines?: "the machine is new") => Promise<{ readonly result: T; readonly calls: number; readonly sessions: number }>;
  readonly sshArguments: (node: string) => string[];
  readonly fileOf: (node: string, path: string) => Promise<string>;
  /** Deletes the machines. */
  readonly lose: () => Promise<void>;
  /** Deletes the machines and makes new ones. */
  readonly anew: () => Promise<void>;
  readonly remove: () => Promise<string[]>;
}

/** The tunnel of the fleet's n-th node, counted from 0: no two of them share a network. */
const tunnelOf = (index: number) => ({ network: `10.10.${index}.0/24`, peers: { phone: { address: `10.10.${index}.2` }, laptop: { address: `10.10.${index}.3` } } });

/** Pulumi.dev.yaml of a stack with these nodes. */
function stackFile(nodes: readonly string[]): string {
  const of = (path: string): { readonly file: string } => ({ file: `.holdfast/dev/${path}` });
  return stringify({
    config: {
      "holdfast:network": "regtest",
      "holdfast:system": { flake: "./rehearsal/system" },
      "holdfast:access": { authorizedKeys: of("authorized-keys.json"), identityFile: ".holdfast/dev/ssh_ed25519" },
      "holdfast:recipients": of("recipients.json"),
      "holdfast:deposit": { folder: "deposit" },
      "holdfast:wallet": { identityFile: ".holdfast/dev/wallet.age-key" },
      "holdfast:nodes": Object.fromEntries(nodes.map((name, index) => [name, {
        host: { commodity: of(`machines/${name}.json`) }, identity: `.holdfast/dev/${name}.lnd-seed.json`, bitcoin: of("chain.json"),
        tunnel: tunnelOf(index), backup: of(`${name}.store.json`),
      }])),
    },
  });
}

export async function openFleet(size: number): Promise<Fleet> {
  const project = await newProject();
  const nodes = Array.from({ length: size }, (_, index) => `n${index + 1}`);
  const must = async (...argv: string[]): Promise<string> => {
    const { exitCode, output, stdout } = await project.holdfast(...argv);
    if (exitCode !== 0) throw new Error(`holdfast ${argv.join(" ")}:\n${output}`);
    return stdout;
  };
  try {
    writeFileSync(join(project.folder, "Pulumi.dev.yaml"), stackFile(nodes));
    await must("machine", "create", "--yes");
    const environment = {
      ...Object.fromEntries(Object.entries(process.env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))), NO_COLOR: "1",
      ...Object.fromEntries([...(await must("env", "unlock")).matchAll(/^export (\w+)='(.*)'$/gm)].map(([, key, value]) => [key!, value!])),
    };
    const run = (argv: readonly string[]): Promise<Timed> => timed(argv, { cwd: project.folder, environment });
    await run(["pulumi", "stack", "select", "--create", "dev"]);
    /** Logins that a machine's sshd has noted, this one's own included. */
    const logins = async (): Promise<number> => {
      const all = await Promise.all(nodes.map((node) => project.ssh(node, "journalctl --output=cat | grep -c 'Accepted publickey'")));
      return all.reduce((sum, { stdout }) => sum + Number(stdout), 0);
    };
    return {
      folder: project.folder,
      nodes,
      environment,
      run,
      counted: async (work, machines) => {
        const [callsBefore, loginsBefore] = [project.connections(), machines ? 0 : await logins()];
        const result = await work();
        return { result, calls: project.connections() - callsBefore, sessions: await logins() - loginsBefore - size };
      },
      sshArguments: (node) => {
        const { address } = JSON.parse(readFileSync(join(project.state, "machines", `${node}.json`), "utf8")) as { readonly address: string };
        return ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", `UserKnownHostsFile=${join(project.state, "machines", node, "known_hosts")}`,
          "-o", "ControlPath=none", "-i", join(project.state, "ssh_ed25519"), `root@${address}`, "--"];
      },
      fileOf: async (node, path) => {
        const { exitCode, stdout, output } = await project.ssh(node, `cat ${path}`);
        if (exitCode !== 0) throw new Error(`${path} of ${node}: ${output}`);
        return stdout;
      },
      lose: async () => {
        for (const node of nodes) await must("machine", "delete", node);
      },
      anew: async () => {
        for (const node of nodes) await must("machine", "delete", node);
        await must("machine", "create", "--yes");
      },
      remove: project.remove,
    };
  } catch (error) {
    await project.remove();
    throw error;
  }
}
