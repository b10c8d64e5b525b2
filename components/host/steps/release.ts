import { z } from "zod";
import { runStep, tell } from "../../stepProgram.js";
import { liftProtection, listHetzner, powerOn } from "../hetznerApi.js";
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
});

/**
 * Lifts Hetzner's protection of what this update may delete: servers of the node's earlier generations, and the volume that the operator has named. Of nothing else.
 * Switches a server on that is there and off: no provider does.
 */
await runStep(input, async ({ access, labels, generation, discard, off }) => {
  if (off !== null) {
    tell(`switching server ${off} on`);
    await powerOn(access, off);
  }
  const all = await listHetzner(access, "servers", selectorOf(labels));
  const servers = all.filter((one) => one.protection.delete && Number(one.labels[GENERATION]) < generation).map(({ id }) => id);
  for (const id of servers) {
    tell(`lifting the protection of server ${id}, which generation ${generation} replaces`);
    await liftProtection(access, "servers", id);
  }
  const volumes = discard === null ? [] : (await listHetzner(access, "volumes")).filter(({ id, protection }) => id === discard && protection.delete).map(({ id }) => id);
  for (const id of volumes) {
    tell(`lifting the protection of volume ${id}, which the stack file names as one to discard`);
    await liftProtection(access, "volumes", id);
  }
  return { servers, volumes };
});
