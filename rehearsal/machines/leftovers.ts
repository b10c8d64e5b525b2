import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { statePrefix } from "./names.js";
import { processes } from "./processes.js";

const entries = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);

/**
 * What a state folder has on this machine outside of itself: processes, mounts, namespaces, links, cgroups, nspawn's own folders.
 * Empty after everything in it was deleted.
 */
export function leftovers(state: string): string[] {
  const folder = resolve(state);
  const [namespace, link] = [`hf-${statePrefix(state)}-`, `hf${statePrefix(state)}-`];
  const named = (path: string): boolean => path.split("/").at(-1)!.startsWith(namespace);
  return [
    ...processes()
      .filter(({ argv }) => argv.some((argument) => argument.startsWith(`--machine=${namespace}`) || argument.startsWith(`${folder}/store/`)))
      .map(({ pid, argv }) => `process ${pid}: ${argv.join(" ")}`),
    ...readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter((line) => line.split(" ")[4]?.startsWith(`${folder}/`) || line.includes(` ${namespace}`)).map((line) => `mount ${line.split(" ")[4]}`),
    ...entries("/run/netns").filter(named),
    ...entries("/sys/class/net").filter((path) => path.split("/").at(-1)!.startsWith(link)),
    ...["/sys/fs/cgroup/holdfast", "/sys/fs/cgroup/unified/holdfast", "/sys/fs/cgroup/systemd/holdfast"].flatMap(entries).filter(named),
    ...entries("/run/systemd/nspawn/propagate").filter(named),
  ];
}
