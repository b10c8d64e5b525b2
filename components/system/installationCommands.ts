import { hostLayout } from "../../formats/hostLayout.js";
import { z } from "zod";
import { devicesSchema, type SeenDisks } from "./nixosDisks.js";

/** What a host says of itself before and during an installation. */
export interface SeenHost {
  /** `installer`: NixOS's own, running in memory. */
  readonly system: "nixos" | "installer" | "other";
  readonly uid: number;
  /** Changes with each start of a kernel, kexec too. */
  readonly bootId: string;
  /** In KiB. */
  readonly memory: number;
  readonly disks: SeenDisks;
  /** The device of the root file system, `major:minor`. */
  readonly root: string;
  /** What `markCommand` wrote in this boot; empty when nothing was. */
  readonly mark: string;
}

/** In memory: what the installation has begun to wipe. Gone with the installer. */
const MARK = "/run/holdfast-installation";

/** Where disko reads the key of an encrypted root from. In the installer's memory alone. */
export const DISK_KEY = "/run/holdfast-disk-key";

/** The key by which an encrypted host is known while it waits for its disk's key. On the unencrypted /boot, so it is no other's. */
const UNLOCK_KEY = "/etc/holdfast-initrd/ssh_host_ed25519_key";

/** Looks, and changes nothing. Prints JSON. */
export const inspectCommand = [
  "set -e", ". /etc/os-release",
  'links=$(for link in /dev/disk/by-id/*; do if [ -e "$link" ]; then printf \'%s"%s":"%s"\' "$comma" "$link" "$(readlink -f "$link")"; comma=,; fi; done)',
  `mark=$(if [ -e ${MARK} ]; then cat ${MARK}; fi)`,
  `printf '{"id":"%s","variant":"%s","uid":%s,"bootId":"%s","memory":%s,"mark":"%s","root":"%s","links":{%s},"lsblk":' "$ID" "\${VARIANT_ID-}" "$(id -u)" "$(cat /proc/sys/kernel/random/boot_id)" "$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)" "$mark" "$(findmnt --noheadings --output MAJ:MIN --target / | tr -d ' ')" "$links"`,
  "lsblk --json --paths --output NAME,TYPE,FSTYPE,PTTYPE,PARTLABEL,MAJ:MIN", "echo }",
].join("; ");

const inspectionSchema = z.strictObject({
  id: z.string(), variant: z.string(), uid: z.int(), bootId: z.uuid(), memory: z.int(), mark: z.string(), root: z.string(), links: z.record(z.string(), z.string()), lsblk: devicesSchema,
});

/** @throws when the host's answer is not what `inspectCommand` prints */
export function seenHost(answer: string): SeenHost {
  let json: unknown;
  try {
    json = JSON.parse(answer);
  } catch (error) {
    throw new Error(`The host's account of itself is no JSON: ${JSON.stringify(answer.slice(0, 300))}. Does it have lsblk (util-linux)?`, { cause: error });
  }
  const { id, variant, links, lsblk, ...rest } = inspectionSchema.parse(json);
  return { ...rest, system: id !== "nixos" ? "other" : variant === "installer" ? "installer" : "nixos", disks: { links, devices: lsblk.blockdevices } };
}

/** Remembers, in memory, for which generation and disks the wiping has begun. @param mark a digest */
export const markCommand = (mark: string): string => `printf %s ${mark} > ${MARK}`;

/** The public key of an installed host's initrd. */
export const unlockKeyCommand = `cut -d ' ' -f 1,2 ${UNLOCK_KEY}.pub`;

/** Takes the disk's key from stdin. */
export const diskKeyCommand = `umask 077; cat > ${DISK_KEY}`;

const nixBuild = (id: string, attribute: string, options: string): string =>
  `nix --extra-experimental-features 'nix-command flakes' build ${options}--no-link --print-out-paths --no-write-lock-file 'path:${hostLayout.sources}/${id}/flake#${attribute}' --override-input handover 'path:${hostLayout.sources}/${id}/handover'`;

/** Partitions, formats and mounts below /mnt. Wipes, each time. */
export const diskoCommand = (id: string, node: string): string =>
  ["set -e", `script=$(${nixBuild(id, `nixosConfigurations.${node}.config.system.build.diskoScript`, "")})`, '"$script"'].join("; ");

/**
 * Builds the system in the new root's store, gives it the host's keys, and makes it boot. Prints its path, and the public key of the initrd where there is one.
 * The host's keys are the ones that it was known by: kexec took them into the installer.
 *
 * @see nixos-install(8)
 */
export const installCommand = (id: string, node: string, disks: "plain" | "encrypted"): string => [
  "set -e", "mountpoint -q /mnt",
  "mkdir -p -m 755 /mnt/etc/ssh", "cp -a /etc/ssh/ssh_host_* /mnt/etc/ssh/",
  ...(disks === "encrypted" ? [
    `mkdir -p -m 700 /mnt${UNLOCK_KEY.slice(0, UNLOCK_KEY.lastIndexOf("/"))}`,
    `[ -e /mnt${UNLOCK_KEY} ] || ssh-keygen -q -t ed25519 -N '' -C initrd -f /mnt${UNLOCK_KEY}`,
  ] : []),
  `built=$(${nixBuild(id, `holdfastSystems.${node}`, "--eval-store auto --store 'local?root=/mnt' ")})`,
  'nixos-install --root /mnt --no-root-passwd --no-channel-copy --system "$built" >&2',
  'echo "$built"',
  ...(disks === "encrypted" ? [`cut -d ' ' -f 1,2 /mnt${UNLOCK_KEY}.pub`] : []),
].join("; ");

/** Ends before the connection does. */
export const rebootCommand = "sync; nohup sh -c 'sleep 2; systemctl reboot || reboot' >/dev/null 2>&1 &";

/** Where an encrypted host answers while it waits for its disk's key. nix/disks/unlock.nix has the same. */
export const UNLOCK_PORT = 2222;

/** Answers each question for a disk's key with what stands on stdin. systemd's own protocol: https://systemd.io/PASSWORD_AGENTS */
export const unlockCommand = "systemd-tty-ask-password-agent --query";
