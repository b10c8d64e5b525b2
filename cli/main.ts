import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import qrcode from "qrcode";
import { execa } from "execa";
import { shellArguments } from "../components/host/ssh.js";
import { projectFolder } from "../config/project.js";
import { raze } from "../rehearsal/surroundings.js";
import { acceptOlderCommands } from "./acceptOlder.js";
import { agreed, typed } from "./ask.js";
import { auditCommands } from "./audit.js";
import { bunkerCommands } from "./bunker.js";
import { cloudCommands } from "./cloud.js";
import { doctor } from "./doctor.js";
import { envCommands } from "./env.js";
import { escrowCommands } from "./escrow.js";
import { lockPassphrase } from "./keys.js";
import { machineCommands } from "./machines.js";
import { forgetNodes } from "./marks.js";
import { connectionOf, secretOutputs, specification } from "./nodes.js";
import { placesOf, type Places } from "./places.js";
import { prepareTools, rehearsed, stackKeys, type Agreement } from "./prepare.js";
import { releaseCommands } from "./release.js";
import { rotateCommands } from "./rotate.js";
import { openStack, pulumiEnvironment } from "./session.js";
import { stateCommands } from "./state.js";
import { statusCommand } from "./status.js";
import { unlockCommands } from "./unlock.js";
import { destroyStack, preview, up } from "./update.js";
import { paint } from "./updateView.js";
import { walletCommands } from "./walletCommands.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

interface StackOption { readonly stack: string }
interface FormOption { readonly json?: true }
interface YesOption { readonly yes?: true }
const form = (options: FormOption): "json" | "text" => (options.json ? "json" : "text");

const program = new Command("holdfast").description("Own, run and rebuild a Bitcoin and Lightning node.").version("0.1.0");
const inStack = (name: string, description: string): Command =>
  program.command(name).description(description).option("-s, --stack <name>", "the environment", "dev");
const here = (options: StackOption): Places => placesOf(projectFolder(process.cwd()), options.stack);
const agreement = (options: YesOption): Agreement => ({
  installPackages: async (names) => options.yes === true || agreed(`This machine lacks ${names.join(", ")}. Install these Debian packages?`),
});

inStack("up", "raise or update the environment's nodes; a machine made here comes first")
  .option("--yes", "agree to installing Debian packages").option("--json", "print the result as JSON")
  .action((options: StackOption & YesOption & FormOption) => up(here(options), agreement(options), form(options)));

inStack("preview", "show what an update would do, and touch nothing").option("--json", "print the changes as JSON")
  .action((options: StackOption & FormOption) => preview(here(options), form(options)));

statusCommand(program, here);

inStack("destroy", "destroy the environment's resources; a machine made here goes last").option("--yes", "do not ask, in a rehearsal").action(async (options: StackOption & YesOption) => {
  const places = here(options);
  const nodes = rehearsed(places);
  const word = (nodes.length > 0 && options.yes === true)
    || await typed(`This destroys environment ${places.environment}: its secrets, and the hold on its identities${nodes.length > 0 ? ", its machines, its backups, its deposited roots and its chain" : ""}.`, places.environment);
  if (!word) throw new Error(`Nothing was destroyed. Type the environment's name when asked${nodes.length > 0 ? ", or give --yes" : ""}.`);
  await destroyStack(await openStack(places, note));
  lockPassphrase(places);
  forgetNodes(places);
  if (nodes.length === 0) return;
  const left = await raze(places.state);
  const keys = stackKeys(places);
  rmSync(join(resolve(places.project, String(Object(keys["deposit"]).folder)), places.environment), { recursive: true, force: true });
  for (const node of nodes) rmSync(join(places.project, String(Object(Object(Object(keys["nodes"])[node])).identity)), { force: true });
  if (left.length > 0) throw new Error(`This could not be removed:\n  ${left.join("\n  ")}\nRun the same command again.`);
  print(`Environment ${places.environment} is gone, its machines, store and chain with it.`);
});

inStack("doctor", "say what this machine has and lacks; changes nothing").option("--json", "print as JSON").action(async (options: StackOption & FormOption) => {
  const findings = await doctor(here(options));
  if (options.json) print(JSON.stringify(findings));
  else findings.forEach((one) => print(`${one.ok ? paint("green", "✓") : paint("red", "✗")} ${one.name.padEnd(28)} ${one.detail}`));
  if (findings.some((one) => !one.ok)) process.exitCode = 1;
});

inStack("prepare", "build and install the tools of the rehearsal on this machine; makes no machine").option("--yes", "agree to installing Debian packages")
  .action(async (options: StackOption & YesOption) => void await prepareTools(here(options), agreement(options), "rehearsal"));

inStack("engine", "make Pulumi's engine and plugins ready, and say where they are").action(async (options: StackOption) => {
  const { PATH, PULUMI_CONFIG_PASSPHRASE_FILE: _, ...environment } = await pulumiEnvironment(here(options), note, "command");
  print(`PATH begins with ${PATH?.split(":")[0]}`);
  for (const [key, value] of Object.entries(environment)) print(`${key}=${value}`);
});

envCommands(program, here);
escrowCommands(program, here);
machineCommands(program, here, agreement);
cloudCommands(program, here, agreement);
acceptOlderCommands(program, here);
stateCommands(program, here);
auditCommands(program, here);
walletCommands(program, here);
rotateCommands(program, here);
releaseCommands(program, here);
unlockCommands(program, here);
bunkerCommands(program, here);

program.command("wg").description("tunnels")
  .command("show <peer>").description("print a peer's configuration and its QR code, and the code for a phone wallet; all of it is secret")
  .option("-s, --stack <name>", "the environment", "dev").option("-n, --node <name>", "the node, when the stack has several").option("--json", "print as JSON")
  .action(async (peer: string, options: StackOption & FormOption & { readonly node?: string }) => {
    const { peers, lndconnect } = await secretOutputs(await openStack(here(options), note));
    const owners = Object.keys(peers).filter((name) => peers[name]?.[peer] !== undefined && (options.node ?? name) === name);
    const [node] = owners;
    if (node === undefined || owners.length > 1) {
      const known = Object.entries(peers).flatMap(([name, all]) => Object.keys(all).map((one) => `${one} of ${name}`)).join(", ");
      const without = Object.keys(peers).length === 0 || (options.node !== undefined && peers[options.node] === undefined);
      if (without) throw new Error(`${options.node ?? "No node of the stack"} has ${options.node === undefined ? "a" : "no"} tunnel (tunnel: none), and so no peers${known === "" ? "" : `. There are: ${known}`}.`);
      throw new Error(`${owners.length > 1 ? `Several nodes have a peer ${peer}; name one with --node` : `No node has a peer ${peer}`}. There are: ${known}.`);
    }
    const configuration = peers[node]![peer]!;
    if (options.json) return print(JSON.stringify({ node, peer, configuration, lndconnect: lndconnect[node] }));
    print(configuration);
    print(await qrcode.toString(configuration, { type: process.stdout.isTTY ? "terminal" : "utf8", small: true }));
    print(`For a phone wallet, once the tunnel is up:\n${lndconnect[node]}`);
    print(await qrcode.toString(lndconnect[node]!, { type: process.stdout.isTTY ? "terminal" : "utf8", small: true }));
  });

program.command("ssh <node>").description("open a shell on a node's host, over its pinned key").option("-s, --stack <name>", "the environment", "dev")
  .action(async (name: string, options: StackOption) => {
    const stack = specification(here(options));
    const node = stack.nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`Stack ${stack.environment} has no node ${name}. It has: ${stack.nodes.map((one) => one.name).join(", ")}.`);
    const result = await execa("ssh", shellArguments(connectionOf(stack, node)), { stdio: "inherit", reject: false });
    process.exitCode = result.exitCode ?? 1;
  });

try {
  await program.parseAsync();
} catch (error) {
  note(`${paint("red", "holdfast:")} ${(error as Error).message}`);
  process.exitCode = 1;
}
