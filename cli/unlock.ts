import type { Stack } from "@pulumi/pulumi/automation/index.js";
import type { Command } from "commander";
import { rootName } from "../components/secrets/root.js";
import { secretId, secretsOf } from "../components/secrets/registry.js";
import { installedSchema } from "../components/system/installation.js";
import { unlockHost, type WaitingHost } from "../components/system/unlock.js";
import type { NodeSpecification } from "../config/specification.js";
import { connectionOf, specification } from "./nodes.js";
import type { Places } from "./places.js";
import { openStack } from "./session.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

/** A resource of an exported state, its secrets in clear. */
export interface KnownResource { readonly urn: string; readonly outputs?: Readonly<Record<string, unknown>> }

const DISK_KEY = "root-disk-key";

/**
 * The key of a node's disk and that of its waiting host, from the stack's state.
 *
 * @param hostKey wins over what the state knows
 * @throws when the node's root is not encrypted, or the state lacks one of them
 */
export function diskKeysOf(node: NodeSpecification, resources: readonly KnownResource[], hostKey?: string): Pick<WaitingHost, "unlockKey" | "diskKey"> {
  const secret = secretsOf(node.services, [], node.versions).find(({ id }) => id === DISK_KEY);
  if (secret?.kind !== "derived") throw new Error(`The root of ${node.name} is not encrypted as far as the stack knows (nixos.disks.encrypted): there is no key to give.`);
  const output = (name: string, key: string): string | undefined => {
    const value = resources.find(({ urn }) => urn.endsWith(`::${name}`))?.outputs?.[key];
    const text: unknown = Object(value).plaintext;
    return typeof value === "string" ? value : typeof text === "string" ? String(JSON.parse(text)) : undefined;
  };
  const root = output(rootName(`${node.id}-secrets`, { id: DISK_KEY, version: secret.version }), "result");
  if (root === undefined) throw new Error(`The stack's state has no root of ${DISK_KEY} for ${node.name}. Was the node ever raised from this state? The deposit has it too (docs/recovery.md).`);
  const { generation } = node.host;
  const installed = output(`${node.id}-installation-provision-${generation}`, "stdout");
  const unlockKey = hostKey ?? (installed === undefined ? undefined : installedSchema.parse(JSON.parse(installed)).unlockKey);
  if (unlockKey === undefined) throw new Error(`The stack does not know the key of ${node.name} while it waits (generation ${generation}): its installation was not seen to end. Name the key that it printed: --host-key 'ssh-ed25519 …'.`);
  if (!/^ssh-ed25519 [A-Za-z0-9+/=]+$/.test(unlockKey)) throw new Error(`${JSON.stringify(unlockKey)} is no host key: it wants type and key, as in "ssh-ed25519 AAAA…".`);
  return { unlockKey, diskKey: secret.value(root, secretId(node.id, secret)) };
}

const resourcesOf = async (stack: Stack): Promise<readonly KnownResource[]> =>
  ((await stack.exportStack()).deployment as { readonly resources?: readonly KnownResource[] }).resources ?? [];

/** `holdfast unlock NODE`: the disk's key for a host that waits for it at its start. */
export function unlockCommands(program: Command, here: (options: { readonly stack: string }) => Places): void {
  program.command("unlock <node>").description("give a host with an encrypted root the key of its disk, which it waits for at each start")
    .option("-s, --stack <name>", "the environment", "dev").option("--host-key <key>", "the waiting host's key as its installation printed it, where the stack does not know it")
    .action(async (name: string, options: { readonly stack: string; readonly hostKey?: string }) => {
      const places = here(options);
      const stack = specification(places);
      const node = stack.nodes.find((one) => one.name === name || one.id === name);
      if (node === undefined) throw new Error(`Stack ${stack.environment} has no node ${name}. It has: ${stack.nodes.map((one) => one.name).join(", ")}.`);
      const keys = diskKeysOf(node, await resourcesOf(await openStack(places, note)), options.hostKey);
      const end = await unlockHost({ connection: connectionOf(stack, node), ...keys });
      print(end === "running" ? `${node.name} runs; it waits for no key.` : `${node.name} has its disk's key, and is up.`);
    });
}
