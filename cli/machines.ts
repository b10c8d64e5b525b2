import type { Command } from "commander";
import { execa } from "execa";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { shellArguments } from "../components/host/ssh.js";
import { connectionSchema } from "../formats/step.js";
import { hostSchema } from "../config/schema.js";
import { createMachine, deleteMachine, listMachines } from "../rehearsal/machines/machine.js";
import { MOST_MACHINES, planOf } from "../rehearsal/plan.js";
import { ensureRehearsalKeys, sshPublicKey } from "./keys.js";
import { prepare, prepareTools, rehearsed, type Agreement } from "./prepare.js";
import type { Places } from "./places.js";
import { table } from "./table.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** The address that a machine has, that the plan gives it, or the first one that is free in the environment's range. */
async function freeAddress(places: Places, name: string): Promise<string> {
  const machines = await listMachines(places.state);
  const own = machines.find((one) => one.name === name)?.host?.address;
  const planned = planOf(places.state, rehearsed(places)).machines;
  const taken = new Set([...machines.map((one) => one.host?.address), ...planned.filter((one) => one.name !== name).map((one) => one.address)]);
  const free = planOf(places.state, Array.from({ length: MOST_MACHINES }, (_, index) => `machine-${index}`)).machines.map((one) => one.address).find((address) => !taken.has(address));
  const address = own ?? planned.find((one) => one.name === name)?.address ?? free;
  if (address === undefined) throw new Error(`All ${MOST_MACHINES} addresses of this environment are taken. Delete a machine first.`);
  return address;
}

/** `holdfast machine create|list|ssh|delete`: the rehearsal's machines by hand. */
export function machineCommands(
  program: Command,
  here: (options: { readonly stack: string }) => Places,
  agreement: (options: { readonly yes?: true }) => Agreement,
): void {
  const machine = program.command("machine").description("machines of the rehearsal");
  const inStack = (usage: string, description: string): Command =>
    machine.command(usage).description(description).option("-s, --stack <name>", "the environment", "dev");

  inStack("create [name]", "make one machine; without a name, those of the environment's nodes with the chain and the store that they use").option("--yes", "agree to installing Debian packages")
    .action(async (name: string | undefined, options: { readonly stack: string; readonly yes?: true }) => {
      const places = here(options);
      if (name === undefined) return prepare(places, agreement(options));
      const programs = await prepareTools(places, agreement(options), "rehearsal");
      await ensureRehearsalKeys(places);
      const address = await freeAddress(places, name);
      const host = await createMachine({ cache: places.cache, state: places.state, name, address, programs, authorizedKey: sshPublicKey(places), report: print });
      print(`${name} answers at ${host.address}, generation ${host.generation}: holdfast machine ssh ${name}`);
    });

  inStack("list", "the machines that there are").option("--json", "print as JSON").action(async (options: { readonly stack: string; readonly json?: true }) => {
    const machines = await listMachines(here(options).state);
    if (options.json) return print(JSON.stringify(machines));
    print(machines.length === 0 ? "no machines" : table([["NAME", "ADDRESS", "GENERATION", "STATE"],
      ...machines.map((one) => [one.name, one.host?.address ?? "-", String(one.host?.generation ?? "-"), one.running ? "running" : "down"])]));
  });

  inStack("ssh <name>", "open a shell on a machine").action(async (name: string, options: { readonly stack: string }) => {
    const { state } = here(options);
    const file = join(state, "machines", `${name}.json`);
    if (!existsSync(file)) throw new Error(`There is no machine ${name}. \`holdfast machine list\` shows those that there are.`);
    const { generation: _, ...where } = hostSchema.parse(JSON.parse(readFileSync(file, "utf8")));
    const connection = connectionSchema.parse({ ...where, identityFile: join(state, "ssh_ed25519") });
    process.exitCode = (await execa("ssh", shellArguments(connection), { stdio: "inherit", reject: false })).exitCode ?? 1;
  });

  inStack("delete <name>", "delete a machine and its disk; the store and the chain stay").action(async (name: string, options: { readonly stack: string }) => {
    await deleteMachine(here(options).state, name);
    print(`${name} is gone`);
  });
}
