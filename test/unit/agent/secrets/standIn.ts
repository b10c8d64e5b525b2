import { armor, Encrypter } from "age-encryption";
import { mkdtemp, mkdir, lstat, readdir, readlink, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Bundle, SecretFile } from "../../../../formats/bundle.js";
import type { Place } from "../../../../formats/place.js";
import { ProgramFailure } from "../../../../agent/run.js";
import { contact } from "../../../../agent/secrets/contact.js";
import { receive } from "../../../../agent/secrets/receive.js";
import { bringSecrets, commitSecrets, prepareTrial } from "../../../../agent/secrets/trial.js";
import { siteBelow, type Site } from "../../../../agent/site.js";
import type { Delivery } from "../../../../formats/step.js";

export const place: Place = { environment: "dev", network: "regtest", node: "alice", generation: 1 };

/** What a stand-in for systemd answers to one command; undefined: it is not its business. */
export type Answer = (argv: readonly string[]) => Promise<{ stdout?: string; exitCode?: number; stderr?: string } | undefined> | { stdout?: string; exitCode?: number; stderr?: string } | undefined;

export interface StandIn {
  readonly site: Site;
  readonly commands: string[];
}

/** A host in a directory of its own: users and groups are this process's own, and every program is the answer's. */
export async function standIn(answer: Answer): Promise<StandIn> {
  const root = await mkdtemp(join(tmpdir(), "holdfast-agent-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const [uid, gid] = [process.getuid!(), process.getgid!()];
  await mkdir(join(root, "etc"));
  await writeFile(join(root, "etc/passwd"), ["root", "lnd", "bitcoin"].map((name) => `${name}:x:${uid}:${gid}::/:/bin/sh\n`).join(""));
  await writeFile(join(root, "etc/group"), ["root", "lnd", "bitcoin"].map((name) => `${name}:x:${gid}:\n`).join(""));
  await writeFile(join(root, "etc/machine-id"), "0123456789abcdef0123456789abcdef\n");
  const commands: string[] = [];
  const site: Site = {
    ...siteBelow(root),
    run: async (argv) => {
      commands.push(argv.join(" "));
      const result = await answer(argv);
      if (result === undefined) throw new Error(`unexpected program: ${argv.join(" ")}`);
      if (result.exitCode) throw new ProgramFailure(argv, result.exitCode, result.stderr ?? "");
      return result.stdout ?? "";
    },
  };
  return { site, commands };
}

/** What units come after, on that host. */
const AFTER: Readonly<Record<string, string>> = { "lnd.service": "bitcoind.service", "rtl.service": "lnd.service" };

/** What `systemctl show` says of a unit that entered its state when the machine started. */
export const unitBlock = (unit: string, load: string, active: string, since = 0): string =>
  `Id=${unit}\nAfter=basic.target ${AFTER[unit] ?? ""}\nLoadState=${load}\nActiveState=${active}\nInactiveExitTimestampMonotonic=${since}\n`;
export const showing = (...units: readonly string[]): string => `systemctl show --property=Id,LoadState,ActiveState,InactiveExitTimestampMonotonic,After -- ${units.join(" ")}`;

/** systemd of a host whose units are all in one state. */
export function systemd(target: "active" | "activating" | "inactive"): Answer {
  return (argv) => {
    if (argv[1] === "show") return { stdout: argv.slice(4).map((unit) => unitBlock(unit, unit.startsWith("absent") ? "not-found" : "loaded", target)).join("\n") };
    return argv[1] === "try-restart" ? {} : undefined;
  };
}

export function file(name: string, content: string, over: Partial<SecretFile> = {}): SecretFile {
  return { name, owner: "lnd", group: "lnd", mode: "0440", consumers: ["lnd.service"], content: Buffer.from(content).toString("base64"), ...over };
}

export function bundleOf(version: number, files: readonly SecretFile[], at: Place = place): Bundle {
  return { format: "holdfast-bundle/1", place: at, version, files: [...files] };
}

export async function seal(bundle: Bundle, recipient: string): Promise<string> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return armor.encode(await encrypter.encrypt(JSON.stringify(bundle)));
}

/** After first contact: its recipient. */
export async function contacted(site: Site): Promise<string> {
  return (await contact(JSON.stringify({ place }), site)).recipient;
}

export async function deliverable(site: Site, bundle: Bundle): Promise<string> {
  return JSON.stringify({ sealed: await seal(bundle, await contacted(site)) });
}

/** What an activation does about secrets, from their delivery on, when nothing goes wrong. */
export async function bring(site: Site, asked: string): Promise<Delivery & { readonly restarted: string[] }> {
  const delivery = await receive(asked, site);
  await prepareTrial(site, { toplevel: "/nix/store/same", previous: "/nix/store/same", secretsVersion: delivery.version });
  await commitSecrets(site);
  return { ...delivery, restarted: await bringSecrets(site, 60_000) };
}
export const bringBundle = async (site: Site, bundle: Bundle): Promise<Delivery & { readonly restarted: string[] }> => bring(site, await deliverable(site, bundle));

/** The secrets as their readers find them: content, mode and inode by name. */
export async function installedFiles(site: Site): Promise<Record<string, { text: string; mode: number; inode: number; mtime: number }>> {
  const found: Record<string, { text: string; mode: number; inode: number; mtime: number }> = {};
  for (const name of await readdir(site.layout.secrets)) {
    const stat = await lstat(join(site.layout.secrets, name));
    found[name] = { text: await readFile(join(site.layout.secrets, name), "utf8"), mode: stat.mode & 0o7777, inode: stat.ino, mtime: stat.mtimeMs };
  }
  return found;
}

export function texts(files: Record<string, { text: string }>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, { text }]) => [name, text]));
}

/** Every path below /etc that has to do with secrets: nothing must be left over. */
export async function secretPaths(site: Site): Promise<string[]> {
  const etc = (await readdir(join(site.root, "etc"))).filter((name) => name.startsWith("nix-bitcoin-secrets"));
  const folders = await site.disk.list(`${site.layout.secrets}.d`);
  return [...etc.sort(), ...folders.map((name) => `.d/${name}`)];
}

export const linkTarget = (site: Site): Promise<string> => readlink(site.layout.secrets);

/** A site that is dead from its n-th effect on: nothing later happens any more. */
export function dyingAt(site: Site, effect: number): { dying: Site; isDead: () => boolean } {
  let effects = 0;
  const lives = (): void => {
    if (++effects >= effect) throw new Error("killed");
  };
  const guarded = <T extends object>(of: T): T =>
    new Proxy(of, { get: (target, key) => async (...args: unknown[]) => { lives(); return (target[key as keyof T] as (...args: unknown[]) => unknown)(...args); } });
  return { dying: { ...site, disk: guarded(site.disk), run: async (...args) => { lives(); return site.run(...args); } }, isDead: () => effects >= effect };
}
