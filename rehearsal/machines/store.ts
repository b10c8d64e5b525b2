import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:tls";
import { join, resolve } from "node:path";
import { alone } from "./lock.js";
import { BRIDGE_ADDRESS } from "./names.js";
import { onBridge, removePlumbing } from "./plumbing.js";
import { end, signal, startedWith, type Process } from "./processes.js";
import { run, until } from "../run.js";

/** Where machines back up to: restic's rest-server, outside of them all. */
export interface Store {
  /** Without user and repository: `rest:https://USER:PASSWORD@10.231.0.1:PORT/USER/`, see restic's manual, "REST Server". */
  readonly url: string;
  readonly address: string;
  readonly port: number;
  /** PEM, to be pinned: `restic --cacert`. */
  readonly certificate: string;
}

export interface StoreArgs {
  readonly state: string;
  /** A folder with the program `rest-server`. */
  readonly programs: string;
  /** On the bridge's address; each state folder has one of its own. */
  readonly port: number;
  /** Passwords by user name; a user reaches `/USER/` and nothing else. Kept as hashes only. */
  readonly users: Readonly<Record<string, string>>;
}

const folderOf = (state: string): string => join(resolve(state), "store");
/** By this argument the server is found again. */
const mark = (state: string): string => join(folderOf(state), "data");

/** rest-server's arguments: nobody can delete or overwrite what is there, nor see another user's. @see its README, "Append-Only Mode" */
export function storeArguments(program: string, state: string, port: number): string[] {
  const folder = folderOf(state);
  return [
    program, "--path", mark(state), "--listen", `${BRIDGE_ADDRESS}:${port}`, "--append-only", "--private-repos", "--htpasswd-file", join(folder, "htpasswd"),
    "--tls", "--tls-cert", join(folder, "certificate.pem"), "--tls-key", join(folder, "key.pem"), "--tls-min-ver", "1.3",
  ];
}

/** openssl's arguments for a self-signed certificate of the bridge's address, to be pinned by whoever connects. @see openssl-req(1) */
export function certificateArguments(keyFile: string, certificateFile: string): string[] {
  return [
    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=holdfast rehearsal store",
    "-addext", `subjectAltName=IP:${BRIDGE_ADDRESS}`, "-keyout", keyFile, "-out", certificateFile,
  ];
}

/** A password file as rest-server reads it. SHA-1 is unsalted: these passwords are long and random, not a person's. @see htpasswd(1) -s */
export function htpasswd(users: Readonly<Record<string, string>>): string {
  return Object.entries(users).map(([name, password]) => {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) throw new Error(`"${name}" cannot be a user of the store: lower-case letters, digits and hyphens are wanted`);
    return `${name}:{SHA}${createHash("sha1").update(password).digest("base64")}\n`;
  }).join("");
}

/**
 * Starts the store, or finds it running; it outlives this process. Its data and certificate stay the same until it is deleted.
 *
 * @throws when rest-server is missing, its port is taken, or it does not answer in 15 s with its certificate
 */
export async function startStore({ state, programs, port, users }: StoreArgs): Promise<Store> {
  const folder = folderOf(state);
  const program = join(resolve(programs), "rest-server");
  if (!existsSync(program)) throw new Error(`there is no rest-server in ${resolve(programs)}: the rehearsal's programs are built by "holdfast up"`);
  return alone(`store ${folder}`, 60_000, async () => {
    await mkdir(mark(state), { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    const certificate = await ensureCertificate(folder);
    const changed = await writeIfChanged(join(folder, "htpasswd"), htpasswd(users));
    const argv = storeArguments(program, state, port);
    const as = (one: Process): boolean => one.argv.join("\0") === argv.join("\0");
    await end(() => running(state).filter((one) => !as(one)), 5_000);
    await onBridge(async () => {
      if (running(state).length > 0) {
        if (changed) signal(running(state), "SIGHUP");
      } else launch(folder, argv);
      const answers = await until(() => answersWith(certificate, port), 15_000, 50);
      if (answers && running(state).length > 0) return;
      await end(() => running(state), 0);
      throw new Error(`the store did not answer at ${BRIDGE_ADDRESS} port ${port} with its certificate: ${(await readFile(join(folder, "log"), "utf8")).trim().split("\n").at(-1) ?? ""}`);
    });
    return { url: `rest:https://${BRIDGE_ADDRESS}:${port}/`, address: BRIDGE_ADDRESS, port, certificate };
  });
}

/** Ends the store; its data stay. One that does not run is no failure. */
export async function stopStore(state: string): Promise<void> {
  await alone(`store ${folderOf(state)}`, 60_000, () => end(() => running(state), 5_000));
  await removePlumbing();
}

/** Ends the store and removes everything that was backed up to it. */
export async function deleteStore(state: string): Promise<void> {
  await stopStore(state);
  await rm(folderOf(state), { recursive: true, force: true });
}

/** The store's processes. */
export const running = (state: string): Process[] => startedWith(mark(state)).filter(({ argv }) => argv.includes("--append-only"));

function launch(folder: string, [program, ...args]: readonly string[]): void {
  const log = openSync(join(folder, "log"), "a", 0o600);
  const child = spawn(program!, args, { detached: true, cwd: "/", stdio: ["ignore", log, log], env: { PATH: "/usr/bin:/bin" } });
  child.on("error", (error) => {
    throw new Error(`the store could not be started: ${error.message}`);
  });
  child.unref();
  closeSync(log);
}

async function ensureCertificate(folder: string): Promise<string> {
  const [certificateFile, keyFile] = [join(folder, "certificate.pem"), join(folder, "key.pem")];
  if (!existsSync(certificateFile)) {
    await run(certificateArguments(keyFile, `${certificateFile}.new`));
    await rename(`${certificateFile}.new`, certificateFile);
  }
  return readFile(certificateFile, "utf8");
}

async function writeIfChanged(path: string, text: string): Promise<boolean> {
  if (existsSync(path) && (await readFile(path, "utf8")) === text) return false;
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return true;
}

function answersWith(certificate: string, port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: BRIDGE_ADDRESS, port, ca: certificate, timeout: 2_000 });
    const answer = (yes: boolean) => (): void => {
      socket.destroy();
      done(yes);
    };
    socket.once("secureConnect", answer(true)).once("error", answer(false)).once("timeout", answer(false));
  });
}
