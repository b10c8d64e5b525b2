import { mkdir, rename, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Site } from "../../../../agent/site.js";
import { placeSecrets } from "../../../../agent/secrets/trial.js";
import { standIn, unitBlock } from "../secrets/standIn.js";

const system = (name: string): string => `/nix/store/${name.padEnd(32, "0")}-system-${name}`;
export const [base, first, second] = [system("ba"), system("1"), system("2")] as const;

export interface FakeHost {
  readonly site: Site;
  readonly commands: string[];
  /** Exit codes of switch-to-configuration, by system and action; 0 for the others. */
  readonly exits: Map<string, number>;
  failed: string[];
  /** Happens in the middle of the next command that begins so. */
  readonly meanwhile: Map<string, () => Promise<unknown>>;
  /** Programs that fail, by how they begin. */
  readonly broken: Set<string>;
  setCurrent(toplevel: string): Promise<void>;
  setBoot(toplevel: string): Promise<void>;
  /** As a reboot does. */
  reboot(): Promise<void>;
}

/** A host whose systems switch as NixOS's do; its clock stands still but for sleeping. */
export async function fakeHost(systems: { current?: string; boot?: string } = {}): Promise<FakeHost> {
  let clock = 1000;
  const host: Omit<FakeHost, "site" | "commands"> & { site?: Site; commands?: string[] } = {
    exits: new Map(),
    failed: [],
    meanwhile: new Map(),
    broken: new Set(),
    setCurrent: (toplevel) => replaceLink(toplevel, made.site.layout.currentSystem),
    setBoot: async (toplevel) => {
      await replaceLink(toplevel, `${made.site.layout.systemProfile}-7-link`);
      await replaceLink("system-7-link", made.site.layout.systemProfile);
    },
    reboot: async () => {
      await made.site.disk.remove(join(made.site.root, "run"));
    },
  };
  const made = await standIn(async (argv) => {
    const command = argv.join(" ");
    for (const [begin, happen] of host.meanwhile) {
      if (!command.startsWith(begin)) continue;
      host.meanwhile.delete(begin);
      await happen();
    }
    if ([...host.broken].some((begin) => command.startsWith(begin))) return { exitCode: 1, stderr: "it is broken" };
    if (argv[0] === "nix-env") await host.setBoot(argv[4]!);
    const program = argv.find((word) => word.endsWith("/bin/switch-to-configuration"));
    if (program !== undefined) {
      const [toplevel, action] = [dirname(dirname(program)), argv.at(-1)!];
      const exitCode = host.exits.get(`${toplevel} ${action}`) ?? 0;
      if (action === "test" && (exitCode === 0 || exitCode === 4)) {
        await host.setCurrent(toplevel);
        // As systems of ours do; a bare host's does not.
        if (toplevel !== base) await placeSecrets("", made.site);
      }
      return { exitCode };
    }
    if (argv[1] === "show") return { stdout: argv.slice(4).map((unit) => unitBlock(unit, "loaded", "active")).join("\n") };
    if (argv[1] === "list-units") return { stdout: host.failed.map((unit) => `${unit} loaded failed failed Something\n`).join("") };
    if (argv[0] === "journalctl") return { stdout: "first words\nlast words\n" };
    return {};
  });
  for (const toplevel of [base, first, second]) await mkdir(join(made.site.root, toplevel), { recursive: true });
  const site: Site = {
    ...made.site,
    now: () => Date.UTC(2026, 0, 1) + clock,
    monotonic: () => clock,
    sleep: async (milliseconds) => void (clock += milliseconds),
  };
  if (systems.current) await host.setCurrent(systems.current);
  if (systems.boot) await host.setBoot(systems.boot);
  return Object.assign(host, { site, commands: made.commands });
}

async function replaceLink(target: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await symlink(target, `${path}.new`);
  await rename(`${path}.new`, path);
}
