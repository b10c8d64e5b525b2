import type { Command } from "commander";
import { execa } from "execa";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { shellArguments } from "../components/host/ssh.js";
import { connectionSchema } from "../formats/step.js";
import { hostSchema } from "../config/schema.js";
import { deleteMachine, listMachines } from "../rehearsal/machines/machine.js";
import { prepare, type Agreement } from "./prepare.js";
import type { Places } from "./places.js";
import { table } from "./table.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** `holdfast machine create|list|ssh|delete`: the rehearsal's machines by hand. */
export function machineCommands(
  program: Command,
  here: (options: { readonly stack: string }) => Places,
  agreement: (options: { readonly yes?: true }) => Agreement,
): void {
  const machine = program.command("machine").description("machines of the rehearsal");
  const inStack = (usage: string, description: string): Command =>
    machine.command(usage).description(description).option("-s, --stack <name>", "the environment", "dev");

  inStack("create [name]", "make the machines of the environment's nodes, with the chain and the store that they use").option("--yes", "agree to installing Debian packages")
    .action((_name: string | undefined, options: { readonly stack: string; readonly yes?: true }) => prepare(here(options), agreement(options)));

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
