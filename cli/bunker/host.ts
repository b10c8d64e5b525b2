import { z } from "zod";
import { RemoteFailure, runOnHost } from "../../components/host/ssh.js";
import type { NodeSpecification, StackSpecification } from "../../config/specification.js";
import { hostLayout } from "../../formats/hostLayout.js";
import type { Connection } from "../../formats/step.js";

/** The passphrase of all keys, as the host has it: it never leaves the host. */
const PASSPHRASE = `${hostLayout.secrets}/bunker-passphrase`;
/** Longer than the bunker's own deadline for a call. */
const DEADLINE = 150_000;

/** `hosts`: the file that the bunker unlocks with at its start becomes the second parameter, on the host. */
export type Passphrase = "none" | "hosts";

/** Asks the bunker of one node, as the operator. @throws with the bunker's own words */
export type AskBunker = <T>(answer: z.ZodType<T>, method: string, params?: readonly unknown[], passphrase?: Passphrase) => Promise<T>;

/**
 * The node whose bunker is meant.
 *
 * @param name needed when several nodes have one
 */
export function bunkerNode({ environment, nodes }: Pick<StackSpecification, "environment" | "nodes">, name: string | undefined): NodeSpecification {
  const node = nodes.find((one) => one.name === name);
  if (name !== undefined && node === undefined) throw new Error(`Stack ${environment} has no node ${name}. It has: ${nodes.map((one) => one.name).join(", ")}.`);
  const having = (node === undefined ? nodes : [node]).filter(({ bunker }) => bunker !== undefined);
  if (having.length === 0) {
    throw new Error(`${node === undefined ? `No node of stack ${environment} has a bunker` : `Node ${node.name} has no bunker`}. Put bunker among the node's services, with bunker: { relays: [wss://…], admins: [npub1…] } beside them, and raise it: holdfast up -s ${environment}.`);
  }
  if (having.length > 1) throw new Error(`Several nodes have a bunker; name one with --node: ${having.map((one) => one.name).join(", ")}.`);
  return having[0]!;
}

/** @param method is one of ours, never text from outside: it becomes part of a command */
export const bunkerOf = (to: Connection, deadline = DEADLINE): AskBunker => async (answer, method, params = [], passphrase = "none") => {
  const command = `${hostLayout.currentSystem}/sw/bin/holdfast-bunker call ${method}${passphrase === "hosts" ? ` --passphrase-file ${PASSPHRASE}` : ""}`;
  let text: string;
  try {
    text = await runOnHost(to, command, { input: JSON.stringify(params), deadline });
  } catch (error) {
    throw explained(error, to);
  }
  const result = answer.safeParse(jsonOf(text));
  if (!result.success) throw new Error(`The bunker on ${to.address} answered ${method} in a form that this command does not know. Are both of one version? holdfast up brings the present one.`);
  return result.data;
};

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // `call` prints a text as it is.
    return text.trim();
  }
}

function explained(error: unknown, { address }: Connection): unknown {
  if (!(error instanceof RemoteFailure) || error.connectionLost) return error;
  if (error.exitCode === 127) return new Error(`There is no bunker on ${address} yet, or another program in its place (holdfast.bunker.package), which has no control socket. If the stack has just got one: holdfast up.`);
  const said = /holdfast-bunker: ([^]*)$/.exec(error.stderr.trim())?.[1];
  if (said === undefined) return error;
  return new Error(said.includes("No bunker listens") ? "The bunker does not run. `holdfast status` shows whether the gate is open; on the host, `journalctl -u bunker` tells why it ended." : said);
}

const keySchema = z.object({ name: z.string(), publicKey: z.string().nullable(), is: z.string(), held: z.boolean() });
const relaySchema = z.object({ url: z.string(), is: z.string(), provenAt: z.number().optional(), reason: z.string().optional() });

/** What `status` answers. */
export const bunkerStatusSchema = z.object({
  /** The bunker's own public key, in hex: where admins reach it. */
  identity: z.string(),
  keys: z.array(keySchema),
  relays: z.array(relaySchema),
  /** What invitations name. */
  clientRelays: z.array(z.string()),
  audit: z.object({ sequence: z.number(), hash: z.string() }),
});
export type BunkerStatus = z.infer<typeof bunkerStatusSchema>;
export type BunkerKey = BunkerStatus["keys"][number];

/** @throws naming the keys that there are */
export async function keyCalled(ask: AskBunker, name: string): Promise<{ readonly key: BunkerKey; readonly status: BunkerStatus }> {
  const status = await ask(bunkerStatusSchema, "status");
  const key = status.keys.find((one) => one.name === name);
  if (key === undefined) throw new Error(`The bunker has no key ${name}. ${status.keys.length === 0 ? "It has none: holdfast bunker create makes one." : `There are: ${status.keys.map((one) => one.name).join(", ")}.`}`);
  return { key, status };
}
