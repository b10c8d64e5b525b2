import { z } from "zod";
import { runStep, tell } from "../../stepProgram.js";
import { deleteServer, liftProtection, listHetzner, powerOn, shutDown } from "../hetznerApi.js";
import { GENERATION, selectorOf } from "../hetznerFound.js";

const input = z.strictObject({
  access: z.strictObject({ token: z.string(), endpoint: z.string() }),
  /** Of the node's server. */
  labels: z.record(z.string(), z.string()),
  generation: z.int().positive(),
  /** The volume that the operator has named. */
  discard: z.int().nullable(),
  /** A server that was found switched off. */
  off: z.int().nullable(),
  /** A server that was made for a replacement whose update never heard of it. */
  orphan: z.int().nullable(),
});

/**
 * Lifts Hetzner's protection of what this update may delete: servers of the node's earlier generations, and the volume that the operator has named. Of nothing else.
 * Stops a server that is replaced, if it can be stopped. Switches one on that is there and off: no provider does. Deletes one that nobody will ever have heard of.
 */
await runStep(input, async ({ access, labels, generation, discard, off, orphan }) => {
  if (off !== null) {
    tell(`switching server ${off} on`);
    await powerOn(access, off);
  }
  if (orphan !== null) {
    tell(`deleting server ${orphan}: it was made for generation ${generation}, and the answer that said so was lost`);
    await liftProtection(access, "servers", orphan);
    await deleteServer(access, orphan);
  }
  const all = await listHetzner(access, "servers", selectorOf(labels));
  const older = all.filter((one) => Number(one.labels[GENERATION]) < generation);
  for (const { id, protection, status } of older) {
    tell(`server ${id} is replaced by generation ${generation}: lifting its protection, and stopping it`);
    if (protection.delete) await liftProtection(access, "servers", id);
    if (status === "running") await shutDown(access, id).catch((error: Error) => tell(`it is replaced as it is: ${error.message}`));
  }
  const volumes = discard === null ? [] : (await listHetzner(access, "volumes")).filter(({ id, protection }) => id === discard && protection.delete).map(({ id }) => id);
  for (const id of volumes) {
    tell(`lifting the protection of volume ${id}, which the stack file names as one to discard`);
    await liftProtection(access, "volumes", id);
  }
  return { servers: older.map(({ id }) => id), volumes };
});
