import { ensureImage, type Image } from "../../machines/image.js";
import { RECIPE, type Recipe } from "../../machines/recipe.js";
import type { Place } from "./place.js";

const lines = (...all: string[]): string => `${all.join("\n")}\n`;

/**
 * cloud-init as Debian has it, for a cloud without a metadata service: everything is in the seed on the disk. Whatever cares for disks,
 * mirrors and vendors is left out, because the machine has none of them; what a user's data can ask for is in.
 *
 * @see cloud-init's documentation, "NoCloud" and "Base configuration"
 */
const CLOUD_INIT = lines(
  "datasource_list: [ NoCloud ]",
  "network: { config: disabled }",
  "disable_root: false",
  "ssh_genkeytypes: [ ed25519 ]",
  "users: [ default ]",
  "system_info: { default_user: { name: root, lock_passwd: true } }",
  "cloud_init_modules: [ seed_random, bootcmd, write-files, set_hostname, update_etc_hosts, users-groups, ssh ]",
  "cloud_config_modules: [ ssh-import-id, set-passwords, timezone, runcmd ]",
  "cloud_final_modules: [ package-update-upgrade-install, write-files-deferred, scripts-vendor, scripts-per-once, scripts-per-boot, scripts-per-instance, scripts-user, phone-home, final-message, power-state-change ]",
);

/** The machines' own image with what a cloud's has besides: cloud-init, file systems, LUKS (nbdkit opens it where the kernel cannot). The cloud gives the addresses, from outside. */
export const CLOUD_RECIPE: Recipe = {
  ...RECIPE,
  packages: [...RECIPE.packages, "cloud-init", "cryptsetup-bin", "e2fsprogs", "libnbd-bin", "nbdkit"],
  masked: [...RECIPE.masked, "systemd-networkd-wait-online.service", "cloud-init-hotplugd.socket", "e2scrub_all.timer", "e2scrub_reap.service"],
  files: {
    ...RECIPE.files,
    "etc/cloud/cloud.cfg.d/90-rehearsal.cfg": CLOUD_INIT,
    "etc/systemd/network/05-host0.network": lines("[Match]", "Name=host0", "", "[Link]", "Unmanaged=yes"),
  },
};

/** What a server is made of, whichever image was asked for. */
const THE_ONE = "debian-13";

/** @param name as the cloud's list has it @throws when the image cannot be built */
export async function imageNamed(name: string, { cache, report }: Place): Promise<Image> {
  if (name !== THE_ONE) report(`the local cloud boots ${THE_ONE}, where ${name} was asked for`);
  return ensureImage({ cache, recipe: CLOUD_RECIPE, report });
}
