import { z } from "zod";
import { hostLayout } from "../../formats/hostLayout.js";
import { nixosSchema, type Settings } from "../../formats/settings.js";
import { placeSchema } from "../../formats/place.js";
import type { Connection } from "../../formats/step.js";
import { RemoteFailure, runOnHost } from "../host/ssh.js";
import { tell } from "../stepProgram.js";
import { readHardware, type FoundHardware } from "./hostHardware.js";
import { archiveOf } from "./installationArchive.js";
import { buildCommand, settingsCommand, unpackCommand } from "./nixCommands.js";
import { requireSameDisks } from "./nixosDisks.js";

export interface SystemRequest {
  readonly connection: Connection;
  /** The node's id: what the flake calls its system. */
  readonly node: string;
  readonly flake: string;
  readonly settings: Settings;
}

export const builtSchema = z.strictObject({
  toplevel: z.string(),
  /** The host's own hardware configuration that it was built with, by path: with flake and settings, all that the toplevel follows from. */
  hardware: z.record(z.string(), z.string()).optional(),
});
export type Built = z.infer<typeof builtSchema>;

const [LOOK, SEND, BUILD] = [60_000, 120_000, 1_800_000];

/**
 * Brings the system's sources to the host and builds them there; activates nothing.
 *
 * @throws before anything is sent when the stack names other disks than the host has, or when its hardware configuration cannot be used
 */
export async function installSystem({ connection, node, flake, settings }: SystemRequest): Promise<Built> {
  const run = (command: string, deadline: number, input: string | Uint8Array = ""): Promise<string> => runOnHost(connection, command, { deadline, input });
  requireDisksOf(await run(settingsCommand, LOOK), settings);
  const hardware = settings.nixos.disks.layout === "kept" ? await readHardware((command) => run(command, LOOK)) : undefined;
  if (hardware !== undefined) tell(hardware.state === "made" ? "the host had no hardware configuration; NixOS has made one, /etc/nixos/hardware-configuration.nix" : `taking the host's own hardware configuration (${Object.keys(hardware.files).join(", ")})`);

  const { id, tar } = await archiveOf(flake, settings, hardware?.files);
  tell(`sending the system's sources (${Math.ceil(tar.length / 1024)} KiB)`);
  await run(unpackCommand(id), SEND, tar);
  tell("building the system on the host");
  const started = Date.now();
  const output = await run(buildCommand(id, node), BUILD).catch((error: unknown) => { throw explained(error, settings, hardware); });
  const toplevel = output.trim().split("\n").at(-1) ?? "";
  if (!/^\/nix\/store\/[a-z0-9]{32}-\S+$/.test(toplevel)) throw new Error(`Nix on the host built no path: ${JSON.stringify(output.slice(0, 300))}`);
  tell(`built ${toplevel} in ${((Date.now() - started) / 1000).toFixed(1)} s; kept at ${hostLayout.candidate}`);
  return { toplevel, ...(hardware !== undefined && { hardware: hardware.files }) };
}

const presentSchema = z.object({ place: placeSchema, nixos: z.object({ disks: nixosSchema.shape.disks.unwrap() }) });

/**
 * Compares with what the host's present system was made from. A system that is none of ours, or from before settings named disks, has nothing to compare.
 *
 * @param present JSON, or nothing
 */
function requireDisksOf(present: string, { place, nixos }: Settings): void {
  if (present.trim() === "") return;
  const parsed = presentSchema.safeParse(jsonOf(present));
  if (!parsed.success || parsed.data.place.node !== place.node || parsed.data.place.generation !== place.generation) return;
  requireSameDisks(place.node, place.generation, parsed.data.nixos.disks, nixos.disks);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${hostLayout.settings} on the host is no JSON: ${JSON.stringify(text.slice(0, 200))}. Does root's shell print something of its own at login?`, { cause: error });
  }
}

/** Adds where to look, when what NixOS misses is what a kept host has to say itself. */
function explained(error: unknown, { nixos }: Settings, hardware: FoundHardware | undefined): unknown {
  if (nixos.disks.layout !== "kept" || !(error instanceof RemoteFailure) || !/root file system|boot\.loader/.test(error.stderr)) return error;
  return new Error(`${error.message}\nThis host keeps its disks (nixos.disks.layout: kept): its root file system and boot loader are what ${hardware === undefined ? "it would say in /etc/nixos/hardware-configuration.nix, and it is no NixOS. Name its disks, as another layout, for NixOS to be installed" : "its /etc/nixos/hardware-configuration.nix has to say. NixOS's installer leaves the boot loader in configuration.nix: put those lines (boot.loader.…) into the former"}.`, { cause: error });
}
