import { createHash } from "node:crypto";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { activationSchema, type Activation } from "../../formats/step.js";
import type { HostFile } from "../../rehearsal/machines/machine.js";
import { namesOf } from "../../rehearsal/machines/names.js";
import { inNamespace, processes, signal, type Process } from "../../rehearsal/machines/processes.js";
import { until } from "../../rehearsal/run.js";
import type { Project } from "../project.js";

/** A project's update connection: ssh's master process, found by its socket, whose name begins with the pinned key's digest. */
export function sharedConnections({ state }: Project): Process[] {
  const { hostFile } = namesOf(state, "alice");
  if (!existsSync(hostFile)) return [];
  const { hostKey } = JSON.parse(readFileSync(hostFile, "utf8")) as HostFile;
  const socket = `/${createHash("sha256").update(hostKey).digest("hex").slice(0, 8)}-`;
  return processes().filter(({ argv }) => argv[0]?.startsWith("ssh: ") && argv[0].includes(socket));
}

/** What the agent on a project's machine has written of its last activation, read past its network. */
export function trialOn({ state }: Project): Activation | undefined {
  const leader = inNamespace(namesOf(state, "alice").namespace).find(({ argv }) => argv[0]?.endsWith("/systemd"));
  const text = ifThere(() => readFileSync(`/proc/${leader!.pid}/root/run/holdfast/activation.json`, "utf8"));
  return text === "" ? undefined : activationSchema.loose().parse(JSON.parse(text));
}

/** Reads something of a process; one that has ended meanwhile, or is no business of ours, has nothing. */
function ifThere(read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

/** Everything that an update runs on the deploy machine: the command's process group; the engine, its plugins and steps, by the backend that they were told of; connections. */
function deployer(project: Project, group: number): Process[] {
  const told = `PULUMI_BACKEND_URL=file://${project.folder}/`;
  const groupOf = (pid: number): number => Number(ifThere(() => readFileSync(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /s, "").split(" ")[2]);
  const mine = (pid: number): boolean => groupOf(pid) === group || ifThere(() => readFileSync(`/proc/${pid}/environ`, "utf8")).includes(told);
  return [...processes().filter(({ pid }) => mine(pid)), ...sharedConnections(project)];
}

/** Ends a deployer as pulling its plug would: all of it, with no last word to anybody. */
export async function pullThePlug(project: Project, group: number): Promise<void> {
  const gone = await until(() => {
    const left = deployer(project, group);
    signal(left, "SIGKILL");
    return left.length === 0;
  }, 10_000);
  if (!gone) throw new Error(`of the killed deployer there are still ${deployer(project, group).map(({ argv }) => argv.join(" ")).join("; ")}`);
}

/** The step programs that run for a project now, by name. */
export const runningSteps = ({ folder }: Project): string[] =>
  processes().flatMap(({ pid, argv }) => {
    const name = argv[0]?.endsWith("node") ? /^dist\/steps\/(\w+)\.js$/.exec(argv[1] ?? "")?.[1] : undefined;
    return name !== undefined && ifThere(() => readlinkSync(`/proc/${pid}/cwd`)) === folder ? [name] : [];
  });
