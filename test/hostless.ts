import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";

/** Stands for a step's program that would need a host: notes in `log` that it ran, fails where `fail` says so, and answers as a host would. */
const STEP = `
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
const digest = (value) => createHash("sha256").update(JSON.stringify(value)).digest("hex");
const program = process.argv[1].match(/(\\w+)\\.js$/)[1];
const input = JSON.parse(readFileSync(0, "utf8"));
appendFileSync("log", program + "\\n");
if (existsSync("fail") && readFileSync("fail", "utf8") === program) {
  process.stderr.write("the host said no\\n");
  process.exit(1);
}
const answers = {
  reach: () => ({ machineId: "m".repeat(32), architecture: "x86_64" }),
  install: () => ({ toplevel: "/nix/store/" + digest([input.settings, input.digest]).slice(0, 32) + "-rehearsal" }),
  contact: () => ({ recipient: "age1" + "h".repeat(58), machineId: "m".repeat(32) }),
  certify: () => ({ certificate: "-----BEGIN CERTIFICATE-----\\nAQID\\n-----END CERTIFICATE-----\\n" }),
  deposit: () => ({ file: "dev/alice/" + digest(input).slice(0, 8) + ".roots.age", digest: digest(input) }),
  seal: () => ({ version: Date.now(), sealed: "-----BEGIN AGE ENCRYPTED FILE-----\\n" + digest([input, Math.random()]) + "\\n" }),
  deliver: () => ({ version: 1, changed: [] }),
  activate: () => ({ state: "committed", toplevel: input.toplevel, previous: "none" }),
  open: () => ({ format: "holdfast-gate/1", state: "open", decision: "fresh", phase: "open", nodePublicKey: input.identity.nodePublicKey, changed: "2026-11-21T00:00:00.000Z" }),
};
process.stdout.write(JSON.stringify(answers[program]()));
`;

/** The steps that reach a host. */
export const HOST_STEPS = ["activate", "contact", "deliver", "install", "open", "reach", "seal"];
/** The steps that stay on this machine, each by its source's path below components/. */
export const OWN_STEPS = ["secrets/steps/hold", "secrets/steps/certify", "recovery/steps/deposit"];

/** Lays a project out: the real program and the named real steps, bundled as program.mjs does it; every other step reaches no host. */
export async function layHostlessProject(folder: string, realSteps: readonly string[] = OWN_STEPS): Promise<void> {
  for (const name of ["state", "dist/steps", "flake"]) mkdirSync(join(folder, name), { recursive: true });
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  const bundled = { bundle: true, platform: "node", format: "esm", target: "node20", packages: "external", logLevel: "error" } as const;
  await build({ ...bundled, entryPoints: ["index.ts"], outfile: join(folder, "dist", "program.js") });
  for (const one of realSteps) await build({ ...bundled, entryPoints: { [one.slice(one.lastIndexOf("/") + 1)]: `components/${one}.ts` }, outdir: join(folder, "dist", "steps") });
  const played = [...HOST_STEPS, ...OWN_STEPS.filter((one) => !realSteps.includes(one)).map((one) => one.slice(one.lastIndexOf("/") + 1))];
  for (const one of played) writeFileSync(join(folder, "dist", "steps", `${one}.js`), STEP);
  cpSync("Pulumi.yaml", join(folder, "Pulumi.yaml"));
  const files = {
    "program.mjs": 'const program = await import("./dist/program.js");\nexport const { nodes, peers, lndconnect } = program;\n', "package.json": '{"type":"module"}',
    "dist/agent.mjs": "agent", "flake/flake.nix": "{ }", "store-password": "password-of-the-store",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

/** The steps that ran since this was asked last, in order of time. */
export function stepsThatRan(folder: string): string[] {
  const file = join(folder, "log");
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  rmSync(file, { force: true });
  return lines;
}

/** What a program said, and whether it ended well. */
export interface Said {
  readonly well: boolean;
  readonly stdout: string;
  readonly output: string;
}

/** Runs a program in a folder, for two minutes at most. */
export function say(program: string, args: readonly string[], { folder, environment, input = "" }: { readonly folder: string; readonly environment: NodeJS.ProcessEnv; readonly input?: string }): Promise<Said> {
  const child = spawn(program, args, { cwd: folder, timeout: 120_000, env: environment });
  let [stdout, output] = ["", ""];
  child.stdout.on("data", (chunk) => { stdout += String(chunk); output += String(chunk); });
  child.stderr.on("data", (chunk) => { output += String(chunk); });
  child.stdin.end(input);
  return new Promise((done) => child.once("close", (code) => done({ well: code === 0, stdout, output })));
}
