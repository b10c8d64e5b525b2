import { createHash } from "node:crypto";

/** Debian's release under every machine. */
export const SUITE = "trixie";
export const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

const PACKAGES = [
  "systemd-sysv", "udev", "dbus", "openssh-server", "openssh-sftp-server", "iproute2", "iputils-ping", "nftables", "wireguard-tools", "wireguard-go",
  "age", "nix-bin", "restic", "ca-certificates", "curl", "kmod", "procps",
];

/** Units that a machine does not need: timers of a long life, consoles nobody looks at, work that the image has done already. */
const MASKED = [
  "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "console-getty.service", "getty@.service", "getty.target",
  "systemd-pstore.service", "systemd-logind.service", "ldconfig.service", "systemd-journal-catalog-update.service", "sshd-keygen.service",
  "sshd-unix-local.socket", "sys-fs-fuse-connections.mount", "dev-hugepages.mount", "proc-sys-fs-binfmt_misc.automount",
];

const ENABLED = ["systemd-networkd.service"];

const lines = (...all: string[]): string => `${all.join("\n")}\n`;

/** Files of the image, by path. */
const FILES: Readonly<Record<string, string>> = {
  "etc/fstab": "",
  "etc/hostname": lines("machine"),
  "etc/machine-id": "",
  "etc/resolv.conf": "",
  "etc/nix/nix.conf": lines("experimental-features = nix-command flakes", "build-users-group =", "substitute = false", "sandbox = false"),
  "etc/ssh/sshd_config.d/10-rehearsal.conf": lines(
    "HostKey /etc/ssh/ssh_host_ed25519_key", "PermitRootLogin prohibit-password", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "UseDNS no",
    "# All peers of a rehearsal share a few addresses; a test that knocks must not lock out the next.", "PerSourcePenalties no",
  ),
  "etc/systemd/journald.conf.d/10-rehearsal.conf": lines("[Journal]", "Storage=volatile", "RuntimeMaxUse=64M"),
  "etc/systemd/network/05-host0.network": networkFile(undefined),
  "etc/systemd/networkd.conf.d/10-rehearsal.conf": lines("[Network]", "ManageForeignRoutes=no", "ManageForeignRoutingPolicyRules=no"),
};

/** Before systemd's own 80-container-host0.network, which would ask for DHCP. No gateway: a machine needs the bridge and nothing beyond. */
export function networkFile(addressWithPrefix: string | undefined): string {
  return lines("[Match]", "Name=host0", "", "[Network]", ...(addressWithPrefix ? [`Address=${addressWithPrefix}`] : []), "DHCP=no", "IPv6AcceptRA=no", "LinkLocalAddressing=no");
}

/** What makes an image what it is; another recipe is another image. */
export interface Recipe {
  readonly suite: string;
  readonly packages: readonly string[];
  readonly masked: readonly string[];
  readonly enabled: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

export const RECIPE: Recipe = { suite: SUITE, packages: PACKAGES, masked: MASKED, enabled: ENABLED, files: FILES };

/** 16 hex digits. The mirror is no part of it: Debian's signature says what Debian is. */
export function recipeHash(recipe: Recipe, architecture: string): string {
  return createHash("sha256").update(JSON.stringify({ recipe, architecture })).digest("hex").slice(0, 16);
}

/**
 * The arguments that build the root file system into a folder.
 *
 * In namespaces of its own, and killed with whoever runs it: no mount and no process of a killed build stays.
 *
 * @param mirror of Debian; without one mmdebstrap takes its own default
 */
export function buildArguments(recipe: Recipe, into: string, mirror: string | undefined): string[] {
  return [
    "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
    "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", `--keyring=${KEYRING}`,
    `--include=${recipe.packages.join(",")}`,
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
    recipe.suite, into, ...(mirror ? [mirror] : []),
  ];
}

/**
 * The mirror of Debian that this machine's apt uses, if it uses one.
 *
 * @param targets what `apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)'` says
 */
export function mirrorOf(targets: string): string | undefined {
  const debian = targets.split("\n").map((line) => line.split("|")).find(([origin, label]) => origin === "Debian" && label === "Debian");
  return debian?.slice(2).join("|");
}
