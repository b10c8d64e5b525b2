import { constants, accessSync, existsSync } from "node:fs";
import { join } from "node:path";
import { attempt, run } from "../run.js";

/** What the rehearsal runs on the deploy machine, and the Debian package that has it. */
const NEEDED: readonly { readonly file: string; readonly package: string }[] = [
  { file: "mmdebstrap", package: "mmdebstrap" },
  { file: "systemd-nspawn", package: "systemd-container" },
  { file: "ip", package: "iproute2" },
  { file: "nft", package: "nftables" },
  { file: "losetup", package: "mount" },
  { file: "wg", package: "wireguard-tools" },
  { file: "wireguard-go", package: "wireguard-go" },
  { file: "ssh", package: "openssh-client" },
  { file: "ssh-keygen", package: "openssh-client" },
  { file: "age", package: "age" },
  { file: "restic", package: "restic" },
  { file: "openssl", package: "openssl" },
  { file: "/usr/share/keyrings/debian-archive-keyring.gpg", package: "debian-archive-keyring" },
];

const FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

function isThere(file: string): boolean {
  const candidates = file.startsWith("/") ? [file] : [...(process.env["PATH"] ?? "").split(":"), ...FOLDERS].map((folder) => join(folder, file));
  return candidates.some((path) => {
    try {
      accessSync(path, constants.R_OK);
      return true;
    } catch (error) {
      if (["ENOENT", "ENOTDIR", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
      throw error;
    }
  });
}

/**
 * Names of the Debian packages that this machine lacks for making machines, in alphabetical order.
 *
 * @param has answers whether a program (by name) or a file (by path) is there
 */
export function missingPackages(has: (file: string) => boolean = isThere): string[] {
  return [...new Set(NEEDED.filter(({ file }) => !has(file)).map((one) => one.package))].sort();
}

/** apt-get's arguments. Waits for another apt instead of failing, asks nothing, brings nothing that was not named. */
export function installArguments(names: readonly string[]): string[] {
  return ["apt-get", "-o", "DPkg::Lock::Timeout=120", "-q", "-y", "--no-install-recommends", "install", ...names];
}

/**
 * Installs Debian packages. Call it only when the user has agreed.
 *
 * @throws when this is not a Debian, when the user is not root, or when apt-get fails with fresh lists too
 */
export async function installPackages(names: readonly string[], report: (line: string) => void): Promise<void> {
  if (names.length === 0) return;
  const byHand = `Install them by hand: ${names.join(", ")}`;
  if (!existsSync("/etc/debian_version")) throw new Error(`this machine lacks ${names.join(", ")} and is no Debian, so apt-get cannot install them. ${byHand} (or what your distribution calls them), then try again.`);
  if (process.getuid?.() !== 0) throw new Error(`installing ${names.join(", ")} needs root. Run this as root, or: sudo apt-get install ${names.join(" ")}`);
  const environment = { DEBIAN_FRONTEND: "noninteractive" };
  report(`installing ${names.join(", ")}`);
  const first = await attempt(installArguments(names), { deadline: 600_000, environment });
  if (first.exitCode === 0) return;
  report("apt-get could not with the package lists it has; fetching new ones");
  await run(["apt-get", "-o", "DPkg::Lock::Timeout=120", "-q", "update"], { deadline: 300_000, environment });
  await run(installArguments(names), { deadline: 600_000, environment });
}
