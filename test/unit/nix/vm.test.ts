import { execa } from "execa";
import { beforeAll, describe, expect, it } from "vitest";
import { announceMissing } from "./evaluate.js";
import { exampleHandover, outputsOf } from "./flakeOutputs.js";

interface Machine { readonly assertions: readonly string[]; readonly undeclared: readonly string[]; readonly hostName: string; readonly units: readonly string[]; readonly secrets: readonly string[] }
interface Check { readonly testScript: string; readonly machines: Readonly<Record<string, Machine>> }

/** What a script does with its machines, as Python's own parser sees it. What an f-string fills in is `x`. */
interface Read {
  /** Names that the script uses and never makes. */
  readonly free: readonly string[];
  readonly calls: readonly { readonly machine: string; readonly method: string; readonly text: string | null }[];
}

const READER = `
import ast, builtins, json, sys
tree = ast.parse(sys.stdin.read())
compile(tree, "testScript", "exec")
names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
made = {node.id for node in names if isinstance(node.ctx, ast.Store)} | {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} | set(dir(builtins))
def text(node):
    if isinstance(node, ast.Constant): return node.value
    if isinstance(node, ast.JoinedStr): return "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
calls = [{"machine": call.func.value.id, "method": call.func.attr, "text": text(call.args[0]) if call.args else None}
    for call in ast.walk(tree) if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)]
print(json.dumps({"free": sorted({node.id for node in names} - made), "calls": calls}))
`;
const read = async (script: string): Promise<Read> => JSON.parse((await execa("python3", ["-c", READER], { input: script, timeout: 10_000 })).stdout) as Read;

/** Of the driver's Machine, as NixOS's manual lists them. */
const COMMANDS = ["succeed", "fail", "execute", "wait_until_succeeds", "wait_until_fails"];
const METHODS = [...COMMANDS, "wait_for_unit"];
/** Made by systemd, and by NixOS for every machine. */
const GIVEN = ["multi-user.target", "network.target"];

/** What would stop a test before it has tested anything. */
async function scriptFaults({ testScript, machines }: Check): Promise<string[]> {
  const { free, calls } = await read(testScript);
  const ofMachines = calls.filter(({ machine }) => free.includes(machine));
  const waits = ofMachines.filter(({ method }) => method === "wait_for_unit");
  const asked = ofMachines.flatMap(({ machine, text }) => [...(text ?? "").matchAll(/systemctl (?:is-active|start) (\S+)/g)].map(([, unit]) => ({ machine, text: unit! })).filter(({ text: unit }) => unit !== "x.service"));
  const commands = ofMachines.filter(({ method }) => COMMANDS.includes(method));
  const shell = await Promise.all(commands.map(async ({ text }) => (await execa("bash", ["-n"], { input: text ?? "", reject: false, timeout: 10_000 })).stderr));
  return [
    ...free.filter((name) => name !== "start_all" && machines[name] === undefined).map((name) => `no machine is called ${name}`),
    ...Object.keys(machines).filter((name) => !free.includes(name)).map((name) => `machine ${name} is booted for nothing`),
    ...ofMachines.filter(({ method }) => !METHODS.includes(method)).map(({ machine, method }) => `${machine}.${method} is no method of the driver that these tests know`),
    ...[...waits, ...asked].filter(({ machine, text }) => !GIVEN.includes(text ?? "") && !machines[machine]?.units.includes(text ?? "")).map(({ machine, text }) => `${machine} has no ${text}`),
    ...shell.filter((words) => words !== ""),
  ];
}

describe.skipIf(announceMissing())("a test in virtual machines", () => {
  let checks: Readonly<Record<string, Check>>;
  beforeAll(async () => { checks = (await outputsOf(exampleHandover, "checks")) as typeof checks; });

  it("is there for secrets, firewall, WireGuard, wallet identity and rollback", () => {
    expect(Object.keys(checks).sort()).toEqual(["firewall", "identity", "rollback", "secrets", "wireguard"]);
  });

  it("boots systems that NixOS would accept, by the names that its script uses", () => {
    for (const [name, { machines }] of Object.entries(checks)) {
      for (const [machine, { assertions, undeclared, hostName }] of Object.entries(machines)) expect({ assertions, undeclared, hostName }, `${name}: ${machine}`).toEqual({ assertions: [], undeclared: [], hostName: machine });
    }
  });

  it("is Python that Python reads, of commands that bash reads, on machines and units that are there", async () => {
    for (const [name, check] of Object.entries(checks)) expect(await scriptFaults(check), name).toEqual([]);
  });

  it("asks for secrets that the node declares", () => {
    for (const [name, { testScript, machines }] of Object.entries(checks)) {
      const declared = Object.values(machines).flatMap(({ secrets }) => secrets);
      expect([...testScript.matchAll(/\/etc\/nix-bitcoin-secrets\/([\w-]+)/g)].map(([, secret]) => secret).filter((secret) => !declared.includes(secret!)), name).toEqual([]);
    }
  });

  it.each<[string, string, RegExp]>([
    ["a machine that nobody booted", `nodee.succeed("true")`, /no machine is called nodee/],
    ["a method that the driver has not", `node.suceed("true")`, /node\.suceed is no method/],
    ["a unit that no module makes", `node.wait_for_unit("lndd.service")`, /node has no lndd\.service/],
    ["a command that bash cannot read", `node.succeed("if true; then")`, /syntax error/],
  ])("with %s would be found", async (_, line, words) => {
    const check = checks["identity"]!;
    expect((await scriptFaults({ ...check, testScript: `${check.testScript}\n${line}\n` })).join("\n")).toMatch(words);
  });

  it("with a script that is no Python would be found", async () => {
    const check = checks["identity"]!;
    await expect(scriptFaults({ ...check, testScript: `${check.testScript}\nfor node in\n` })).rejects.toThrow("SyntaxError");
  });
});
