import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { nixosSchema, type Settings } from "../../formats/settings.js";
import type { Connection } from "../../formats/step.js";
import { RemoteFailure, runOnHost } from "../host/ssh.js";
import { tell } from "../stepProgram.js";
import { archiveOf } from "./installationArchive.js";
import { UNLOCK_PORT, diskKeyCommand, diskoCommand, inspectCommand, installCommand, markCommand, rebootCommand, seenHost, unlockCommand, unlockKeyCommand, type SeenHost } from "./installationCommands.js";
import { unpackCommand } from "./nixCommands.js";
import { SSH_PORT, startInstaller } from "./nixosAnywhere.js";
import { diskFaults, presentFaults, wipedDisks, type Wipe } from "./nixosDisks.js";
import { waitingConnection } from "./unlock.js";

export interface InstallationRequest {
  readonly connection: Connection;
  readonly generation: number;
  /** The node's id: what the flake calls its system. */
  readonly node: string;
  readonly flake: string;
  readonly settings: Settings;
  readonly wipe?: Wipe | undefined;
  /** Opens an encrypted root. */
  readonly diskKey?: string | undefined;
}

export const installedSchema = z.strictObject({
  /** `present`: NixOS was there already, and nothing was done. */
  state: z.enum(["present", "installed"]),
  generation: z.int(),
  /** What the host was set up with. */
  disks: nixosSchema.shape.disks.unwrap().optional(),
  /** By which an encrypted host is known while it waits for its disk's key, at port 2222: type and key. */
  unlockKey: z.string().optional(),
});
export type Installed = z.infer<typeof installedSchema>;

/** KiB that the installer and an evaluation in it want: what is sold as 4 GB has them. */
const LEAST_MEMORY = 3_500_000;
const [LOOK, BUILD, REBOOT] = [30_000, 3_600_000, 900_000];

/**
 * Makes NixOS of a host that has another system: its installer by kexec, disko, the system, a reboot that is proven. Everything over the pinned key, before and after.
 * A host that is NixOS already, on these disks, is left alone. Cut short, it is gone on with; nothing is wiped before disks and the operator's word were compared, twice.
 *
 * @throws saying what was found, and whether disks were touched
 */
export async function installNixos(request: InstallationRequest): Promise<Installed> {
  const { connection, generation, settings } = request;
  const first = await look(connection).catch((error: unknown) => { throw maybeWaiting(error, settings); });
  if (first.system === "nixos") return present(request, first);
  requireSuitable(request, first);
  if (first.system === "other") {
    tell("starting NixOS's installer in place of the host's system (kexec)");
    await startInstaller(connection);
  }
  const installer: Connection = { ...connection, user: "root" };
  // Another kernel may see other disks.
  const second = await look(installer);
  if (second.system !== "installer") throw new Error(`The host did not come to NixOS's installer, but to ${second.system === "nixos" ? "NixOS" : "its own system"}. Its disks were not touched. Is there memory enough for kexec?`);
  requireSuitable(request, second);

  const { id, tar } = await archiveOf(request.flake, settings);
  const run = (command: string, deadline: number, input: string | Uint8Array = ""): Promise<string> => runOnHost(installer, command, { input, deadline, channel: "fresh" });
  await run(unpackCommand(id), 120_000, tar);
  const encrypted = encryptedRoot(settings);
  if (encrypted) await run(diskKeyCommand, LOOK, keyOf(request));
  tell(`wiping and formatting ${wipedDisks(settings.nixos).join(", ")}`);
  await run(markCommand(markOf(request)), LOOK);
  await run(diskoCommand(id, request.node), BUILD);
  tell("building the system on the host, into its new root");
  const [toplevel, unlockKey] = (await run(installCommand(id, request.node, encrypted ? "encrypted" : "plain"), BUILD)).trim().split("\n").slice(encrypted ? -2 : -1);
  tell(`installed ${toplevel}; restarting${unlockKey === undefined ? "" : `. While it waits for its disk's key it is known, at port ${UNLOCK_PORT}, by ${unlockKey}`}`);
  await run(rebootCommand, LOOK);
  await awaitNixos(request, second.bootId, unlockKey);
  return { state: "installed", generation, disks: settings.nixos.disks, ...(unlockKey !== undefined && { unlockKey }) };
}

/** Over the host's pinned key, whichever system runs. */
const look = async (to: Connection): Promise<SeenHost> => seenHost(await runOnHost(to, inspectCommand, { deadline: LOOK, channel: "fresh" }));

/** Takes a NixOS as it is, when it is what an installation here would have made: by an earlier generation, or by an attempt whose end nobody saw. */
async function present({ connection, generation, settings }: InstallationRequest, seen: SeenHost): Promise<Installed> {
  const faults = presentFaults(settings.nixos, seen.disks, seen.root);
  if (faults.length > 0) throw new Error(`${connection.address} is NixOS already, and not of the disks that nixos.disks names; nothing was done:\n${faults.map((fault) => `  ${fault}.`).join("\n")}\nTo keep it as it is: nixos.disks: { layout: kept }. To install it anew: have it start another system (a rescue system), and run the same command again.`);
  tell("the host is NixOS already, on these disks; they are left alone");
  const unlockKey = encryptedRoot(settings) ? (await runOnHost(connection, unlockKeyCommand, { deadline: LOOK, channel: "fresh" })).trim() : undefined;
  return { state: "present", generation, disks: settings.nixos.disks, ...(unlockKey !== undefined && { unlockKey }) };
}

/** A host with an encrypted root may be waiting where nobody has looked yet. */
const maybeWaiting = (error: unknown, settings: Settings): unknown =>
  (encryptedRoot(settings) && error instanceof RemoteFailure && error.connectionLost
    ? new Error(`${error.message}\nIf its installation was cut short, it may wait for its disk's key at port ${UNLOCK_PORT}: holdfast unlock NODE --host-key 'the key that the installation has printed'.`, { cause: error }) : error);

/** What binds the wiping that was begun to this request. */
const markOf = ({ generation, settings }: InstallationRequest): string =>
  createHash("sha256").update(JSON.stringify([generation, settings.nixos.disks])).digest("hex");

const encryptedRoot = ({ nixos: { disks } }: Settings): boolean => disks.layout !== "kept" && disks.encrypted;

function keyOf({ diskKey }: InstallationRequest): string {
  if (diskKey === undefined) throw new Error("The disks are to be encrypted, and no key for them came with the request. Nothing was done.");
  return diskKey;
}

/** @throws with every reason why this host must not be installed */
function requireSuitable(request: InstallationRequest, seen: SeenHost): void {
  const { connection, generation, wipe, settings } = request;
  const faults = diskFaults(settings.nixos, seen.disks, { generation, wipe, ours: seen.system === "installer" && seen.mark === markOf(request) });
  if (seen.uid !== 0) faults.push(`${connection.user} is not root there (uid ${seen.uid})`);
  if (seen.memory < LEAST_MEMORY) faults.push(`it has ${Math.round(seen.memory / 1024)} MiB of memory, and the installer wants ${Math.round(LEAST_MEMORY / 1024)}`);
  if (!connection.hostKey.startsWith("ssh-ed25519 ")) faults.push("its pinned key is not of the kind that the new system serves: pin /etc/ssh/ssh_host_ed25519_key.pub");
  if (connection.port !== SSH_PORT) faults.push(`its SSH port is ${connection.port}, and that of the installer and of the new system is ${SSH_PORT}: let it listen there, and name that port`);
  if (encryptedRoot(settings)) keyOf(request);
  if (faults.length > 0) throw new Error(`NixOS is not installed on ${connection.address}, and no disk was touched:\n${faults.map((fault) => `  ${fault}.`).join("\n")}`);
}

/**
 * Waits until the host answers as NixOS, with its pinned key, after another start. Opens its disk on the way.
 *
 * @param before the installer's boot id
 */
async function awaitNixos({ connection, diskKey }: InstallationRequest, before: string, unlockKey: string | undefined): Promise<void> {
  let last = "it did not go down";
  for (const end = Date.now() + REBOOT; Date.now() < end; await pause(3000)) {
    const seen = await look(connection).catch((error: Error) => error);
    if (!(seen instanceof Error) && seen.bootId !== before) {
      if (seen.system === "nixos") return;
      throw new Error(`The host started ${seen.system === "installer" ? "an installer" : "another system"} instead of the NixOS that was installed. Does it boot from the disk that was named, and is its rescue system switched off?`);
    }
    last = seen instanceof Error ? seen.message : "it did not go down";
    if (unlockKey === undefined || diskKey === undefined) continue;
    last = await runOnHost(waitingConnection({ connection, unlockKey }), unlockCommand, { input: `${diskKey}\n`, deadline: LOOK, channel: "fresh" }).then(() => "its disk's key was given", (error: Error) => `${last}; unlocking: ${error.message}`);
  }
  throw new Error(`NixOS was installed, and the host did not come back as NixOS within ${REBOOT / 60_000} minutes: ${last}\nLook at its console; then run the same command again.`);
}
