import { randomBytes } from "node:crypto";
import type { ServerPlan } from "../backend.js";

const SEED = "var/lib/cloud/seed/nocloud";

/**
 * What cloud-init finds on a server's new disk. JSON is YAML: nothing of the user's can break out of its place.
 *
 * @see cloud-init's documentation, "NoCloud", for meta-data, user-data and vendor-data
 */
export function seedFiles({ id, name, sshKeys, userData }: Pick<ServerPlan, "id" | "name" | "sshKeys" | "userData">): Record<string, string> {
  return {
    [`${SEED}/meta-data`]: `${JSON.stringify({ "instance-id": String(id), "local-hostname": name, "public-keys": sshKeys })}\n`,
    [`${SEED}/user-data`]: userData ?? "",
    [`${SEED}/vendor-data`]: "",
  };
}

/** A new disk is a new installation: it has an id of its own, and the server's name from the start. */
export const identityFiles = (name: string): Record<string, string> => ({
  "etc/hostname": `${name}\n`,
  "etc/hosts": `127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ${name}\n`,
  "etc/machine-id": `${randomBytes(16).toString("hex")}\n`,
});
