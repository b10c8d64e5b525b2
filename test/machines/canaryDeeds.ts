import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { writeIdentity } from "../../custody/identityFile.js";
import { identityIn, newIdentity, openText } from "../../custody/seal.js";
import type { Bundle } from "../../formats/bundle.js";
import type { Seed } from "../../formats/identity.js";
import type { Share } from "../../formats/share.js";
import { namesOf } from "../../rehearsal/machines/names.js";
import { inNamespace, processes } from "../../rehearsal/machines/processes.js";
import type { Project } from "../project.js";
import { pemLines, rootOf } from "./canary.js";
import { walletOf } from "./outside.js";
import { passOf } from "./phone.js";

/** Runs a command of the project, keeps what it says, and wants it to end so. */
export type Said = (name: string, run: Promise<{ readonly exitCode: number; readonly output: string }>, wanted?: "well" | "failed") => Promise<string>;

/** Who keeps a share, with an identity that lies elsewhere. */
export interface Trustee {
  readonly name: string;
  readonly identity: string;
  readonly recipient: string;
  readonly file: string;
}

const inState = (project: Project, name: string): string => readFileSync(join(project.state, name), "utf8");

/** The file systems of the project's machine. */
export const machineOf = (project: Project): string => rootOf(inNamespace(namesOf(project.state, "alice").namespace).map(({ pid }) => pid));

interface Resource {
  readonly type: string;
  readonly urn: string;
  readonly inputs?: Record<string, unknown>;
  readonly outputs?: Record<string, unknown>;
}

/** A value of `pulumi stack export --show-secrets`. */
const clear = (value: unknown): unknown => (typeof value === "object" && value !== null && "plaintext" in value ? JSON.parse(String(value.plaintext)) : value);

/** Everything that is secret about this environment now, by name, as its owner gets it. */
export async function collect(project: Project, walletIdentity: string, when: string): Promise<Map<string, string>> {
  const machine = machineOf(project);
  const shown = await project.pulumi("stack", "export", "--show-secrets", "--stack", "dev");
  const { resources } = (JSON.parse(shown.stdout) as { deployment: { resources: Resource[] } }).deployment;
  const roots = resources.filter(({ type }) => type === "random:index/randomPassword:RandomPassword").map(({ urn, outputs: made }) => [`root ${urn.split("::").at(-1)}`, String(clear(made!["result"]))] as const);
  // The rest of the key's lines is its public half, as the certificate has it.
  const secretPart = (name: string, text: string): string => (name === "lnd-key" ? pemLines(text).slice(0, 2).join("\n") : text.trim());
  const { bundle } = JSON.parse(String(clear(resources.find(({ urn }) => urn.endsWith("::alice-bundle-seal"))!.inputs!["stdin"]))) as { bundle: Bundle };
  const delivered = bundle.files.filter(({ name }) => name !== "lnd-cert").map(({ name, content }) => [`bundle ${name}`, secretPart(name, Buffer.from(content, "base64").toString())] as const);
  const installed = readdirSync(`${machine}/etc/nix-bitcoin-secrets/`).filter((name) => name !== "lnd-cert").map((name) => [`installed ${name}`, secretPart(name, readFileSync(`${machine}/etc/nix-bitcoin-secrets/${name}`, "utf8"))] as const);
  const passes = await Promise.all(["phone", "laptop"].map((peer) => passOf(project, peer)));
  const unlocked = await project.holdfast("env", "unlock");
  const all = [
    ...roots, ...delivered, ...installed,
    ...passes.flatMap(({ peer, configuration, lndconnect }) => [
      [`key of ${peer}`, /^PrivateKey = (.*)$/m.exec(configuration)![1]!] as const, [`preshared key of ${peer}`, /^PresharedKey = (.*)$/m.exec(configuration)![1]!] as const,
      // Its signature: what stands before that is public.
      ["macaroon", walletOf(lndconnect).macaroon.slice(-64)] as const,
    ]),
    ["passphrase", readFileSync(/^export PULUMI_CONFIG_PASSPHRASE_FILE='(.*)'$/m.exec(unlocked.stdout)![1]!, "utf8").trim()],
    ["store password", inState(project, "store-password").trim()],
    // The recovery identity is gone once it is escrowed.
    ...["environment", "recovery"].filter((role) => existsSync(join(project.state, `${role}.age-key`))).map((role) => [`${role} identity`, identityIn(inState(project, `${role}.age-key`), role)] as const),
    ["wallet identity", walletIdentity],
    ["the host's identity", identityIn(readFileSync(`${machine}/var/lib/holdfast/identity.age-key`, "utf8"), "identity")],
    // Its first lines are the format's header and the public key.
    ["SSH key", inState(project, "ssh_ed25519").split("\n").slice(3).join("\n")],
  ] as const;
  return new Map(all.map(([name, value]) => [`${name}, ${when}`, value]));
}

/** The words of the node's seed. */
export async function seedWords(project: Project, walletIdentity: string): Promise<string[]> {
  const { sealed } = JSON.parse(inState(project, "alice.lnd-seed.json")) as { sealed: string };
  return (JSON.parse(await openText(sealed, walletIdentity)) as Seed).mnemonic;
}

/**
 * Puts the wallet identity behind a passphrase, as on mainnet, and takes it out of the stack file: what opens the node's identities from then on is the wallet's socket.
 *
 * @returns the wallet identity, which is in clear on no disk any more
 */
export async function lockWallet(project: Project, passphrase: string, passphraseFile: string): Promise<string> {
  const file = join(project.state, "wallet.age-key");
  const identity = identityIn(readFileSync(file, "utf8"), file);
  const { wallet } = JSON.parse(inState(project, "recipients.json")) as { wallet: string };
  for (const path of [file, `${file}.pub`]) rmSync(path, { force: true });
  await writeIdentity(file, { identity, recipient: wallet }, { form: "passphrase", passphrase });
  writeFileSync(passphraseFile, passphrase, { mode: 0o600 });
  project.edit("Pulumi.dev.yaml", (text) => text.replace(/^ {2}holdfast:wallet:\n.*\n/m, ""));
  return identity;
}

/** Runs lines as an operator types them into one shell. */
export async function shell(project: Project, ...lines: string[]): Promise<{ readonly exitCode: number; readonly output: string }> {
  const script = ['holdfast() { node cli/holdfast.mjs "$@"; }', "set -e", ...lines].join("\n");
  const PATH = [join(project.folder, ".shims"), resolve("node_modules/.bin"), process.env["PATH"]].join(":");
  const result = await execa("sh", ["-c", script], { cwd: project.folder, env: { PATH, NO_COLOR: "1" }, all: true, reject: false, stdin: "ignore", timeout: 400_000 });
  return { exitCode: result.exitCode ?? -1, output: result.all };
}

/**
 * Splits the recovery identity among three, has it proven that it comes back, and gets it back.
 *
 * @param elsewhere a folder for what trustees have, and for what comes back
 * @returns the trustees, what they keep, and what came and went
 */
export async function escrow(project: Project, said: Said, elsewhere: string): Promise<{ readonly trustees: readonly Trustee[]; readonly recovered: string; readonly secrets: ReadonlyMap<string, string> }> {
  const secrets = new Map<string, string>();
  const trustees: Trustee[] = [];
  const inRecords = (name: string): string => join(project.state, "escrow", name);
  for (const name of ["ada", "ben", "cyd"]) {
    const file = join(elsewhere, `${name}.age-key`);
    const made = await newIdentity();
    writeFileSync(file, `${made.identity}\n`, { mode: 0o600 });
    trustees.push({ name, file, ...made });
  }
  await said("holdfast escrow create", project.holdfast("escrow", "create", "--threshold", "2", ...trustees.flatMap(({ name, recipient }) => ["--trustee", `${name}=${recipient}`]), "--yes"));
  const asked = await said("holdfast escrow request", project.holdfast("escrow", "request"));
  const to = /^age1\S+$/m.exec(asked)![0];
  secrets.set("one-time identity", identityIn(inState(project, "escrow-request.age-key"), "one-time identity"));
  const answers: string[] = [];
  for (const { name, file } of trustees.slice(1)) {
    const answer = join(elsewhere, `${name}.answer`);
    writeFileSync(answer, await said(`holdfast escrow contribute, ${name}`, project.holdfast("escrow", "contribute", "--share", inRecords(`${name}.age`), "--identity", file, "--for", to)));
    answers.push("--share", answer);
  }
  await said("holdfast escrow drill", project.holdfast("escrow", "drill", ...answers));
  const given = trustees.slice(0, 2).flatMap(({ name, file }) => ["--share", inRecords(`${name}.age`), "--identity", file]);
  const output = join(elsewhere, "recovered.age-key");
  await said("holdfast escrow recover", project.holdfast("escrow", "recover", ...given, "--output", output));
  const recovered = identityIn(readFileSync(output, "utf8"), output);
  rmSync(output);
  for (const { name, identity } of trustees) secrets.set(`share of ${name}`, (JSON.parse(await openText(readFileSync(inRecords(`${name}.age`), "utf8"), identity)) as Share).share);
  return { trustees, recovered, secrets };
}

/** The processes that keep an unlocked wallet of the project's. */
export const keepersOf = (project: Project): number[] => processes().filter(({ argv }) => argv.includes(join(project.folder, "dist", "wallet-keeper.js"))).map(({ pid }) => pid);
