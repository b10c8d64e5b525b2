import { z } from "zod";
import { placeSchema } from "../../formats/place.js";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { readIfThere, writeWhole } from "../files.js";
import type { GateHost } from "./host.js";

/**
 * How far the making of a wallet got; each is written before what it names is begun.
 * `creating`: no wallet yet, or a part of one; nothing was handed out or imported, so it may be begun again.
 * `recovering`: the wallet exists and has the right node id; its funds are looked for.
 * `importing`: funds agree with the manifest; channel.backup goes in, after which peers close: there is no way back from here.
 * `sending`: this host's first manifest goes off-site.
 * `opened`: the identity target may start on this disk.
 */
export const phases = ["creating", "recovering", "importing", "sending", "opened"] as const;
export type Phase = (typeof phases)[number];

export const journalSchema = z.strictObject({
  format: z.literal("holdfast-gate-journal/1"),
  /** As which host the wallet was made. */
  place: placeSchema,
  nodePublicKey: z.string().regex(/^0[23][0-9a-f]{64}$/),
  /** How this disk came by its wallet. */
  decision: z.enum(["fresh", "restore"]),
  phase: z.enum(phases),
  /** Addresses that lnd looks ahead of the last one it found. */
  recoveryWindow: z.int().positive(),
  written: z.iso.datetime(),
});
export type Journal = z.infer<typeof journalSchema>;

/** @throws FormatError when the file was damaged: the gate does not guess what a disk has been through */
export async function readJournal(host: GateHost): Promise<Journal | undefined> {
  const text = await readIfThere(host.paths.gateJournal);
  return text === undefined ? undefined : parseFormat(journalSchema, host.paths.gateJournal, text);
}

/** On the disk, synced, when this returns. */
export async function writeJournal(host: GateHost, journal: Omit<Journal, "format" | "written">): Promise<Journal> {
  const whole = { format: "holdfast-gate-journal/1" as const, ...journal, written: host.now().toISOString() };
  await writeWhole(host.paths.gateJournal, printFormat(journalSchema, whole), 0o600);
  return whole;
}
