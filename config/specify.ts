import { fileIdentitySchema, identityFileSchema, type FileIdentity, type IdentityFile } from "../formats/identity.js";
import { brief, mixedKinds } from "../custody/recipients.js";
import type { Versions } from "../formats/records.js";
import type { Service } from "../formats/services.js";
import { parseFormat } from "../formats/versioned.js";
import { combinationFindings, identityFindings } from "./combinations.js";
import { passphraseFindings, sharedMarks, type EnvironmentMarks } from "./environments.js";
import { marksOf, recordsIn, recordsOf } from "./marks.js";
import { provenOnByDefault } from "./release.js";
import { ConfigurationRefused, findingsOf, type Finding } from "./refusal.js";
import { backupSchema, bitcoinSchema, hostSchema, recipientsSchema, stackSchema, type NodeConfiguration, type Recipients } from "./schema.js";
import { isHetzner, type NodeHost, type NodeSpecification, type StackSpecification, type TunnelSpecification } from "./specification.js";
import { publicKeySchema, cidrParts, firstHostAddress } from "./text.js";
import { z } from "zod";

/** The files that a configuration names, by their path relative to the project. */
export type ReadFile = (path: string) => string | undefined;

/**
 * Makes a stack's configuration into specifications.
 *
 * @param environment the stack's name
 * @param input the stack's `holdfast:` keys, unchecked
 * @param others the public marks of the project's other stacks
 * @param passphrase the fingerprint of the passphrase that is in force, where one is
 * @throws ConfigurationRefused with every finding, before anything is touched
 */
export function specify(
  environment: string, input: Readonly<Record<string, unknown>>, read: ReadFile, others: readonly EnvironmentMarks[], passphrase?: string,
): StackSpecification {
  const findings: Finding[] = [];
  const resolved = resolveFiles(input, read, findings);
  const result = stackSchema.safeParse(resolved);
  if (!result.success) findings.push(...findingsOf(result.error, resolved));
  if (!result.success || findings.length > 0) throw new ConfigurationRefused(findings);

  const stack = result.data;
  const recipients = recipientsSchema.parse(stack.recipients);
  const own = marksOf(environment, resolved, read);
  findings.push(...sharedMarks(own, others), ...mixedRecipients(recipients), ...sharedIds(stack.nodes));
  findings.push(...Object.entries(stack.nodes).flatMap(([name, node]) => combinationFindings(name, node, stack.network)));
  if (passphrase !== undefined) findings.push(...passphraseFindings(own, others, passphrase));
  const records = recordsOf(environment, resolved);
  const { versions, marks } = recordsIn(records, read, []);
  const nodes = Object.entries(stack.nodes).flatMap(([name, node]) => {
    const owner = { environment, network: stack.network, name, id: node.id ?? name, recipients };
    const identity = readIdentity({ ...owner, path: node.identity, kind: "identity" }, identityFileSchema, read, findings);
    const identities = node.identities.flatMap((path) => readIdentity({ ...owner, path, kind: "identities" }, fileIdentitySchema, read, findings) ?? []);
    findings.push(...identityFindings(name, node.services, identities));
    return identity ? [specifyNode(owner, node, { identity, identities, versions }, read, findings)] : [];
  });
  if (findings.length > 0) throw new ConfigurationRefused(findings);
  return {
    environment,
    network: stack.network,
    flake: stack.system.flake,
    proofSeconds: stack.system.proofSeconds,
    authorizedKeys: z.array(publicKeySchema).parse(stack.access.authorizedKeys),
    ...(stack.access.identityFile !== undefined && { identityFile: stack.access.identityFile }),
    recipients,
    provenOn: stack.release?.provenOn ?? provenOnByDefault(stack.network),
    records,
    deposit: stack.deposit,
    versions,
    marks,
    foreignMarks: Object.fromEntries(others.flatMap((other) => other.marks.filter(({ kind }) => kind === "tunnel-key" || kind === "state").map(({ path, value }) => [value, `environment ${other.environment} (its ${path})`]))),
    ...(stack.wallet !== undefined && { walletIdentityFile: stack.wallet.identityFile }),
    nodes,
  };
}

/** Recipients of both kinds in one environment: what is sealed for two of them would be as weak as the classical one. */
export function mixedRecipients(recipients: Readonly<Record<string, string>>): Finding[] {
  const mixed = mixedKinds(Object.values(recipients));
  if (mixed === undefined) return [];
  const path = (recipient: string): string => `holdfast:recipients.${Object.entries(recipients).find(([, one]) => one === recipient)![0]}`;
  return [{
    path: path(mixed.classical), found: JSON.stringify(brief(mixed.classical)),
    wanted: `is a classical recipient, and ${path(mixed.hybrid)} is a post-quantum one; wants one kind for all three (\`holdfast env create --post-quantum\` makes all hybrid)`,
  }];
}

/** Nodes whose keys would derive from one id. */
function sharedIds(nodes: Readonly<Record<string, NodeConfiguration>>): Finding[] {
  const owners = new Map<string, string>();
  return Object.entries(nodes).flatMap(([name, node]) => {
    const id = node.id ?? name;
    const owner = owners.get(id);
    owners.set(id, name);
    return owner === undefined ? [] : [{ path: `holdfast:nodes.${name}.id`, found: JSON.stringify(id), wanted: `is the id of node ${owner} too; wants one of its own, for all keys derive from it` }];
  });
}

/** Puts the content of each `{ file: … }` in its place: a JSON file with the keys that would stand there. */
export function resolveFiles(input: Readonly<Record<string, unknown>>, read: ReadFile, findings: Finding[]): Record<string, unknown> {
  const resolve = (path: string, value: unknown): unknown => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    const entries = Object.entries(value as Record<string, unknown>);
    const [first] = entries;
    if (entries.length !== 1 || first?.[0] !== "file" || typeof first[1] !== "string") {
      return Object.fromEntries(entries.map(([key, inner]) => [key, resolve(path === "" ? key : `${path}.${key}`, inner)]));
    }
    const refuse = (wanted: string): unknown => {
      findings.push({ path: `holdfast:${path}.file`, found: JSON.stringify(first[1]), wanted });
      return value;
    };
    const text = read(first[1]);
    if (text === undefined) return refuse("names a file that is not there; `holdfast up` writes it for a machine made here");
    let content: unknown;
    try {
      content = JSON.parse(text);
    } catch {
      return refuse("names a file that is not JSON");
    }
    return Object.hasOwn(Object(content), "file") ? refuse("names a file that names a file again; wants one with the values") : content;
  };
  return resolve("", input) as Record<string, unknown>;
}

interface Owner {
  readonly environment: string;
  readonly network: StackSpecification["network"];
  readonly name: string;
  readonly id: string;
  readonly recipients: Recipients;
}

function readIdentity<T extends IdentityFile | FileIdentity>(
  owner: Owner & { readonly path: string; readonly kind: "identity" | "identities" },
  schema: z.ZodType<T>,
  read: ReadFile,
  findings: Finding[],
): T | undefined {
  const refuse = (wanted: string): undefined => {
    findings.push({ path: `holdfast:nodes.${owner.name}.${owner.kind}`, found: JSON.stringify(owner.path), wanted });
    return undefined;
  };
  const text = read(owner.path);
  if (text === undefined) return refuse(`names a file that is not there; \`holdfast wallet create ${owner.name}\` makes the node's seed, sealed for the wallet recipient`);
  let identity: T;
  try {
    identity = parseFormat(schema, "identity file", text);
  } catch (error) {
    return refuse((error as Error).message);
  }
  if (identity.environment !== owner.environment || identity.node !== owner.id || identity.network !== owner.network) {
    return refuse(`is the identity of ${identity.environment}/${identity.node} on ${identity.network}; wants that of ${owner.environment}/${owner.id} on ${owner.network}`);
  }
  if (identity.recipient !== owner.recipients.wallet) return refuse("is sealed for another recipient than holdfast:recipients.wallet");
  return identity;
}

/** What a node runs whatever its configuration says, in this order. */
const runsAlways = ({ tunnel }: NodeConfiguration): readonly Service[] => ["bitcoind", ...(tunnel === "none" ? [] : ["wireguard" as const]), "offsite-backup"];

function specifyNode(
  { environment, network, name, id }: Owner,
  node: NodeConfiguration,
  { identity, identities, versions }: { readonly identity: IdentityFile; readonly identities: readonly FileIdentity[]; readonly versions: Versions },
  read: ReadFile,
  findings: Finding[],
): NodeSpecification {
  const host: NodeHost = node.host.hetzner ?? hostSchema.parse(node.host.commodity);
  const hasVolume = isHetzner(host) || node.nixos.dataVolume !== undefined;
  const { certificateFile, ...backup } = backupSchema.parse(node.backup);
  const certificate = certificateFile === undefined ? undefined : read(certificateFile);
  if (certificateFile !== undefined && certificate === undefined) {
    findings.push({ path: `holdfast:nodes.${name}.backup.certificateFile`, found: JSON.stringify(certificateFile), wanted: "names a file that is not there" });
  }
  if (read(backup.passwordFile) === undefined) {
    findings.push({ path: `holdfast:nodes.${name}.backup.passwordFile`, found: JSON.stringify(backup.passwordFile), wanted: "names a file that is not there; wants the store's password in a file of mode 0600" });
  }
  return {
    name,
    id,
    environment,
    network,
    host,
    identity,
    identities,
    services: [...new Set([...runsAlways(node), ...node.services, ...(hasVolume ? ["data-volume" as const] : []), ...(node.nixos.disks.layout !== "kept" && node.nixos.disks.encrypted ? ["encrypted-root" as const] : [])])],
    nixos: node.nixos,
    ...(node.wipe !== undefined && { wipe: node.wipe }),
    versions: versions.nodes[id] ?? {},
    lightning: { ...node.lightning, alias: node.lightning.alias ?? name },
    bitcoinPeers: bitcoinSchema.parse(node.bitcoin).peers,
    ...(node.bunker !== undefined && { bunker: node.bunker }),
    ...(node.tunnel !== "none" && { tunnel: specifyTunnel(node.tunnel, host) }),
    sshFrom: node.ssh.from,
    backup: { ...backup, ...(certificate !== undefined && { certificate }) },
  };
}

const specifyTunnel = ({ network, port, endpoint, peers }: Exclude<NodeConfiguration["tunnel"], "none">, host: NodeHost): TunnelSpecification => ({
  network,
  address: firstHostAddress(network),
  prefixLength: cidrParts(network).prefixLength,
  port,
  ...(endpoint !== undefined ? { endpoint } : isHetzner(host) ? {} : { endpoint: `${host.address}:${port}` }),
  peers: Object.entries(peers).map(([name, { address }]) => ({ name, address })),
});
