import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { Evaluated, Unit } from "./evaluate.js";

/** Units that NixOS has without any module of a node's: systemd's own, and what every system brings. */
const ofNixos = new Set([
  "basic.target", "cryptsetup.target", "default.target", "final.target", "getty.target", "graphical.target", "local-fs-pre.target", "local-fs.target", "multi-user.target",
  "network-online.target", "network-pre.target", "network.target", "nss-lookup.target", "nss-user-lookup.target", "paths.target", "reboot.target", "remote-fs.target", "rescue.service", "rescue.target", "emergency.service", "emergency.target",
  "shutdown.target", "sleep.target", "slices.target", "sockets.target", "sysinit.target", "system.slice", "time-sync.target", "timers.target", "umount.target",
  "dbus.service", "network-setup.service", "systemd-journald.service", "systemd-logind.service", "systemd-modules-load.service", "systemd-networkd.service", "systemd-resolved.service",
  "systemd-sysctl.service", "systemd-timesyncd.service", "systemd-tmpfiles-setup.service", "systemd-udevd.service", "systemd-udev-settle.service", "systemd-update-utmp.service",
]);
const dependencies = ["after", "before", "requires", "requisite", "wants", "bindsTo", "partOf", "conflicts", "upholds", "onFailure", "wantedBy", "requiredBy"] as const;
const deadlineSeconds = 60;

/** Dependencies on units that do not exist: `a.service: After=b.service`. systemd ignores them without a word. */
export function unitsThatAreNot({ units }: Evaluated): string[] {
  const exists = (name: string) => name in units || ofNixos.has(name) || name.endsWith(".device") || name.endsWith(".mount") || name.replace(/@[^.]*/, "@") in units;
  return Object.entries(units).flatMap(([name, unit]) =>
    dependencies.flatMap((kind) => unit[kind].filter((other) => !exists(other)).map((other) => `${name}: ${kind} ${other}`)));
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]);

/** Users and groups that a unit, a secret or a rule of tmpfiles names, and that nobody makes. */
export function ownersThatAreNot({ units, users, groups, secrets, tmpfiles }: Evaluated): string[] {
  const wrongUser = (name: unknown) => typeof name === "string" && name !== "-" && !/^\d+$/.test(name) && !(name in users);
  const wrongGroup = (name: unknown) => typeof name === "string" && name !== "-" && !/^\d+$/.test(name) && !(name in groups);
  return [
    ...Object.entries(units).flatMap(([unit, { serviceConfig }]) => {
      if (serviceConfig === undefined || serviceConfig["DynamicUser"] === true) return [];
      return [
        ...listOf(serviceConfig["User"]).filter(wrongUser).map((user) => `${unit}: User=${String(user)}`),
        ...[...listOf(serviceConfig["Group"]), ...listOf(serviceConfig["SupplementaryGroups"])].filter(wrongGroup).map((group) => `${unit}: Group=${String(group)}`),
      ];
    }),
    ...Object.entries(secrets).flatMap(([file, { owner, group }]) => [
      ...(wrongUser(owner) ? [`secret ${file}: owner ${owner}`] : []),
      ...(wrongGroup(group) ? [`secret ${file}: group ${group}`] : []),
    ]),
    ...tmpfiles.flatMap((rule) => {
      const [, , , user, group] = rule.replace(/'[^']*'/g, "x").trim().split(/\s+/);
      return [...(wrongUser(user) ? [`tmpfiles «${rule}»: user ${user}`] : []), ...(wrongGroup(group) ? [`tmpfiles «${rule}»: group ${group}`] : [])];
    }),
  ];
}

/** Texts of a node in which something may be named: units, their scripts, files of the store and of /etc. */
const texts = ({ units, files, etc, activationScripts }: Evaluated): [where: string, text: string][] => [
  ...Object.entries(units).flatMap(([name, unit]): [string, string][] => [[name, unit.text], ...scriptsOf(unit).map(([kind, text]): [string, string] => [`${name} ${kind}`, text])]),
  ...files.map(({ path, text }): [string, string] => [path, text]),
  ...Object.entries(etc).map(([name, { text }]): [string, string] => [`/etc/${name}`, text ?? ""]),
  ...Object.entries(activationScripts).map(([name, { text }]): [string, string] => [`activation script ${name}`, text]),
];

const scriptKinds = ["script", "preStart", "postStart", "reload", "preStop", "postStop"] as const;
const scriptsOf = (unit: Unit): [string, string][] => scriptKinds.flatMap((kind) => (unit[kind] === undefined ? [] : [[kind, unit[kind]] as [string, string]]));

/** Secrets that something reads and that nobody declares: `where: file`. */
export function secretsThatAreNot(evaluated: Evaluated): string[] {
  const known = new Set(Object.keys(evaluated.secrets));
  const named = new RegExp(`${evaluated.secretsDirectory}/([A-Za-z0-9._-]+)`, "g");
  const missing = texts(evaluated).flatMap(([where, text]) => [...text.matchAll(named)].map(([, file]) => file!).filter((file) => !known.has(file)).map((file) => `${where}: ${file}`));
  return [...new Set(missing)];
}

/** What only a secret looks like: the settings of daemons that take one, and the forms of private keys. */
const secretForms = [/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/, /AGE-SECRET-KEY-/, /\bnsec1[a-z0-9]{20}/, /^\s*(?:rpcpassword|rpcauth|btcd\.rpcpass|bitcoind\.rpcpass|PrivateKey|PresharedKey|PASSPHRASE)\s*=\s*[^\s$]/m];

/** Secrets whose value would lie in the Nix store, where everybody reads: `where: what`. */
export function secretsInStore(evaluated: Evaluated): string[] {
  return [
    ...texts(evaluated).flatMap(([where, text]) => secretForms.flatMap((form) => form.exec(text)?.[0] ?? []).map((found) => `${where}: ${found.trim()}`)),
    ...Object.entries(evaluated.units).flatMap(([name, { environment }]) => Object.entries(environment)
      // A place among the unit's credentials is none: `%d/…`.
      .filter(([key, value]) => /PASSW|PASSPHRASE|SECRET|PRIVATE_KEY/.test(key) && !(key.endsWith("_FILE") && value?.startsWith("%d/"))).map(([key]) => `${name}: the variable ${key}`)),
    ...Object.entries(evaluated.wireguard).flatMap(([name, { privateKey, peers }]) => [
      ...(privateKey === null ? [] : [`${name}: privateKey`]), ...peers.filter(({ presharedKey }) => presharedKey !== null).map((peer) => `${name}: presharedKey of ${peer.name}`),
    ]),
    ...(evaluated.secretsDirectory.startsWith("/nix") ? [`nix-bitcoin.secretsDir: ${evaluated.secretsDirectory}`] : []),
  ];
}

/** What `bash -n` has against a node's scripts. */
export async function scriptFaults(evaluated: Evaluated): Promise<string[]> {
  const scripts = [
    ...evaluated.files.filter(({ language }) => language === "bash").map(({ path, text }): [string, string] => [path, text]),
    ...Object.entries(evaluated.units).flatMap(([name, unit]) => scriptsOf(unit).map(([kind, text]): [string, string] => [`${name} ${kind}`, text])),
    ...Object.entries(evaluated.activationScripts).map(([name, { text }]): [string, string] => [`activation script ${name}`, text]),
  ];
  const faults = [];
  for (const [where, text] of scripts) {
    const { exitCode, stderr } = await execa("bash", ["-n"], { input: text, reject: false, timeout: deadlineSeconds * 1000 });
    if (exitCode !== 0) faults.push(`${where}: ${stderr}`);
  }
  return faults;
}

/** What nft has against the node's tables. Needs no root: it is asked in a user namespace of its own. */
export async function rulesetFaults({ nftables, etc, files }: Evaluated): Promise<string[]> {
  const rulesets: [string, string][] = [
    ...Object.values(nftables.tables).map(({ name, family, content }): [string, string] => [`table ${family} ${name}`, `table ${family} ${name} {\n${content}\n}\n`]),
    ...(nftables.ruleset === "" ? [] : [["networking.nftables.ruleset", nftables.ruleset] as [string, string]]),
    ...Object.entries(etc).filter(([name]) => name.endsWith(".nft")).map(([name, { text }]): [string, string] => [`/etc/${name}`, text ?? ""]),
    ...files.filter(({ path }) => path.endsWith(".nft") || path.endsWith("-ruleset")).map(({ path, text }): [string, string] => [path, text]),
  ];
  const faults = [];
  for (const [where, text] of rulesets) {
    const { exitCode, stderr } = await execa("unshare", ["--map-root-user", "--net", "nft", "--check", "--file", "-"], { input: text, reject: false, timeout: deadlineSeconds * 1000 });
    if (exitCode !== 0) faults.push(`${where}: ${stderr}`);
  }
  return faults;
}

/** What `systemd-analyze verify` has against the node's units. Programs of the store are not there, and are not asked for. */
export async function unitFaults({ units }: Evaluated): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-units-"));
  try {
    for (const [name, { text, wantedBy, requiredBy }] of Object.entries(units)) {
      await writeFile(join(folder, name), text.replace(/\/nix\/store\/[^\s"';:]+/g, "/bin/true").replaceAll(/\/run\/(current-system\/sw|wrappers)\/bin\/[^\s"';:]+/g, "/bin/true"));
      for (const [suffix, by] of [["wants", wantedBy], ["requires", requiredBy]] as const) {
        for (const other of by) {
          await mkdir(join(folder, `${other}.${suffix}`), { recursive: true });
          await writeFile(join(folder, `${other}.${suffix}`, ".keep"), "");
        }
      }
    }
    const names = Object.keys(units).filter((name) => !name.includes("@."));
    const { stderr, timedOut } = await execa("systemd-analyze", ["verify", "--man=no", ...names.map((name) => join(folder, name))], {
      env: { SYSTEMD_UNIT_PATH: `${folder}:/usr/lib/systemd/system:/lib/systemd/system`, SYSTEMD_LOG_COLOR: "0" }, reject: false, stdin: "ignore", timeout: deadlineSeconds * 1000,
    });
    if (timedOut) throw new Error(`systemd-analyze verify took longer than ${deadlineSeconds} s.`);
    return stderr.split("\n").filter((line) => line.trim() !== "").map((line) => line.replaceAll(`${folder}/`, "").replaceAll(folder, ""));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
