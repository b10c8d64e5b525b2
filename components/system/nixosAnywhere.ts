import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { execa } from "execa";
import type { Connection } from "../../formats/step.js";
import { knownHostsLine, shellArguments } from "../host/ssh.js";
import { tell } from "../stepProgram.js";

/** The release that this was written against, and what `nix run` takes where none is on the PATH. */
export const nixosAnywhere = { version: "1.13.0", flake: "github:nix-community/nixos-anywhere/bad98b0685cf47eaeadcaf6787da8b51cf025693" } as const;

/** Where the installer answers SSH, and the installed system (nix/modules/ssh). */
export const SSH_PORT = 22;

/** Milliseconds for the download of the installer and its start. */
const KEXEC_DEADLINE = 1_200_000;

/**
 * What OpenSSH runs as the ProxyCommand of each connection that nixos-anywhere makes.
 *
 * nixos-anywhere says StrictHostKeyChecking=no first, and OpenSSH takes the first word: no later option can make it check. So each of its connections is
 * carried by one of ours that does. The outer ends in the sshd that has the pinned key, and that sshd alone connects the inner one, to itself: nobody stands between.
 * A loopback address, never the host's own: behind an address translation that would leave the machine.
 */
export function proxyScript(to: Connection): string {
  const connection = { ...to, ...(to.identityFile !== undefined && { identityFile: resolve(to.identityFile) }) };
  return `#!/bin/sh\nexec ssh ${["-o", "BatchMode=yes", "-o", "ControlMaster=no", "-W", `127.0.0.1:${to.port}`, ...shellArguments(connection)].map(quoted).join(" ")}\n`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * nixos-anywhere's arguments for its first phase alone: it needs no Nix on this machine. What follows (disko, installation, reboot) are ours, for its own take no
 * `--override-input`, and wait for ever.
 *
 * @param proxy the script's path; no blank in it, for Nix splits these options at blanks
 */
export function kexecArguments(to: Connection, proxy: string): string[] {
  return [
    "--phases", "kexec", "--build-on", "remote", "--no-use-machine-substituters",
    // Wanted, and not read in this phase.
    "--flake", "path:/none#none",
    ...(to.identityFile === undefined ? [] : ["-i", resolve(to.identityFile)]),
    "--ssh-port", String(to.port), "--post-kexec-ssh-port", String(SSH_PORT),
    // A connection that the user's own configuration keeps open would pass by the proxy.
    "--ssh-option", "ControlPath=none",
    "--ssh-option", "ProxyUseFdpass=no",
    "--ssh-option", "BatchMode=yes",
    "--ssh-option", `ProxyCommand=${proxy}`,
    "--target-host", `${to.user}@${to.address}`,
  ];
}

/** The program and its first arguments: the user's own, or a pinned one by way of Nix. */
async function program(): Promise<readonly [string, readonly string[]]> {
  const has = async (name: string): Promise<boolean> => !(await execa("sh", ["-c", `command -v ${name}`], { reject: false, timeout: 10_000 })).failed;
  if (await has("nixos-anywhere")) return ["nixos-anywhere", []];
  if (await has("nix")) return ["nix", ["--extra-experimental-features", "nix-command flakes", "run", nixosAnywhere.flake, "--"]];
  throw new Error(`There is neither nixos-anywhere (${nixosAnywhere.version}) nor Nix on this machine's PATH. Its script of that release needs no Nix: put a file \`nixos-anywhere\` on the PATH that runs src/nixos-anywhere.sh of a checkout.`);
}

/**
 * Lets the host boot the NixOS installer in place of its own system (kexec), over its pinned key. The installer has the same key.
 *
 * @param deadline in milliseconds
 * @throws when a connection that is carried by the host's sshd is not to be had, and before anything was done
 */
export async function startInstaller(to: Connection, deadline = KEXEC_DEADLINE): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-proxy-"));
  try {
    if (/[\s%]/.test(folder)) throw new Error(`The folder for temporary files, ${tmpdir()}, has a blank or a percent sign in its path. Set TMPDIR to another.`);
    const proxy = join(folder, "pinned");
    await writeFile(proxy, proxyScript(to), { mode: 0o700 });
    await requireBanner(to, proxy);
    const [file, first] = await program();
    await watched(file, [...first, ...kexecArguments(to, proxy)], deadline);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Asks through the proxy for what an sshd says first. */
async function requireBanner(to: Connection, proxy: string): Promise<void> {
  const { stdout, stderr, shortMessage } = await execa(proxy, { reject: false, timeout: 30_000, input: "SSH-2.0-holdfast\r\n" });
  if (stdout.startsWith("SSH-2.0-")) return;
  throw new Error(`${to.user}@${to.address} port ${to.port} gave no connection to its own sshd over its pinned key (${knownHostsLine(to).trim()}): ${stderr.trim() || shortMessage || "it said nothing"}\n`
    + "Nothing was done. Is it the host meant, does its sshd allow forwarding (AllowTcpForwarding), and does it listen on 127.0.0.1?");
}

/** Runs it with its words shown, and ends it with all that it started: some of its loops wait for ever. */
async function watched(file: string, args: readonly string[], deadline: number): Promise<void> {
  const child = execa(file, args, { reject: false, detached: true, all: true, stdin: "ignore", env: { SSH_PRIVATE_KEY: "" } });
  let late = false;
  const end = (): void => { if (child.pid !== undefined) try { process.kill(-child.pid, "SIGKILL"); } catch (error) { if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; } };
  const interrupted = (): void => { end(); process.exit(1); };
  const timer = setTimeout(() => { late = true; end(); }, deadline);
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    for await (const line of child.iterable({ from: "all" })) tell(line);
    const { failed, exitCode } = await child;
    if (failed) throw new Error(`nixos-anywhere ${late ? `did not end within ${deadline / 60_000} minutes` : `failed (exit ${exitCode ?? "unknown"})`}; its own words stand above. The host's disks were not touched.`);
  } finally {
    clearTimeout(timer);
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
  }
}
