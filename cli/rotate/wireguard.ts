import { writeFileSync, rmSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { candidateName, peerKeysId } from "../../components/network/wireguard.js";
import { publicKeyOf } from "../../components/secrets/derive.js";
import type { NodeSpecification, PeerSpecification } from "../../config/specification.js";
import { readVersions, writeVersions } from "../../custody/records.js";
import type { Probe } from "../../formats/step.js";
import { connectionOf } from "../nodes.js";
import { recordsFolder } from "../places.js";
import { noteEnd } from "./journal.js";
import { audited, requireAgreement, stackNow, type Means } from "./means.js";
import { begin, resumed, walk, WAITING } from "./phases.js";
import { proposed, raised, versionOf, withdrawn } from "./versions.js";

/** What `holdfast rotate wireguard` was asked for. */
export interface PeerRequest {
  readonly peer: string;
  readonly node?: string;
  /** Milliseconds in which the new keys have to make their handshake. */
  readonly within: number;
  /** Gets the new configuration, 0600, in place of the terminal. */
  readonly output?: string;
}

/** What the rotation of a peer needs beside the rest. */
export interface PeerMeans extends Means {
  /** Configurations as the stack has them, by node's name and then by peer's. Secret. */
  readonly configurations: () => Promise<Readonly<Record<string, Readonly<Record<string, string>>>>>;
  /** Shows a configuration and its QR code to the person at the terminal. */
  readonly show: (configuration: string) => Promise<void>;
}

/** Longest name of a peer whose candidate still has a name that is one. */
const LONGEST = 31 - "-next".length;

const peersOf = ({ tunnel }: NodeSpecification): readonly PeerSpecification[] => tunnel?.peers ?? [];

/** @throws naming the peers that there are */
export function chosenPeer(nodes: readonly NodeSpecification[], { peer, node }: Pick<PeerRequest, "peer" | "node">): NodeSpecification {
  const asked = nodes.filter((one) => (node ?? one.name) === one.name);
  if (asked.length > 0 && asked.every(({ tunnel }) => tunnel === undefined)) {
    throw new Error(`${asked.map(({ name }) => name).join(" and ")} ${asked.length === 1 ? "has" : "have"} no tunnel (tunnel: none), and so no peers whose keys could rotate.`);
  }
  const owners = asked.filter((one) => peersOf(one).some(({ name }) => name === peer));
  const [owner] = owners;
  if (owner === undefined || owners.length > 1) {
    const known = nodes.flatMap((one) => peersOf(one).map(({ name }) => `${name} of ${one.name}`)).join(", ");
    throw new Error(`${owner === undefined ? `No node${node === undefined ? "" : ` ${node}`} has a peer ${peer}` : `Several nodes have a peer ${peer}; name one with --node`}. There are: ${known}.`);
  }
  const next = candidateName(peer);
  if (peersOf(owner).some(({ name }) => name === next)) throw new Error(`${owner.name} has a peer ${next} already, which is what ${peer}'s next keys would be called. Rename that peer first.`);
  if (peer.length > LONGEST) throw new Error(`The name ${peer} is too long for a peer whose keys rotate: at most ${LONGEST} letters, for its next keys are called ${next} while they wait.`);
  return owner;
}

const subjectOf = (node: NodeSpecification, peer: string): string => `wireguard ${node.id}/${peer}`;

/**
 * Gives a peer new keys. The old ones go on working until the new ones have made a handshake with the node.
 *
 * @throws when they have not in time; they go on waiting then, and the same command too
 */
export async function rotatePeer(means: PeerMeans, request: PeerRequest): Promise<void> {
  const { state, environment } = means.places;
  const records = recordsFolder(means.places);
  const node = chosenPeer(stackNow(means).nodes, request);
  const { peer } = request;
  const id = peerKeysId(peer);
  const subject = subjectOf(node, peer);
  const command = `holdfast rotate wireguard ${peer}${request.node === undefined ? "" : ` -n ${node.name}`} -s ${environment}`;
  const under = resumed(state, subject);
  const next = Number(under?.facts["version"] ?? versionOf(readVersions(records), node.id, id) + 1);
  if (under === undefined) {
    await requireAgreement(means, [
      `${node.name}: the keys of peer ${peer} go from version ${next - 1} to ${next}`,
      "  restarts  nothing; the node reads its peers anew, and sessions of other peers go on",
      `  note      ${peer} gets a new configuration. Its old one works until the new one has made a handshake, and never again after that.`,
    ].join("\n"));
  }
  const rotation = under ?? begin(state, { subject, command, facts: { version: String(next) } }, "propose", means.now());
  if (under !== undefined) means.say(`Going on with the rotation of ${subject}, which began ${under.began}.`);

  await audited(means, "wireguard-rotated", subject, () => walk(state, rotation, [
    { name: "propose", says: "making the new keys", work: async () => writeVersions(records, proposed(readVersions(records), node.id, id, next, means.now())) },
    { name: "bring", says: `giving ${node.name} the new keys beside the old`, work: means.update },
    {
      name: WAITING, says: "handing over the new configuration",
      work: async () => {
        const configuration = await configurationOf(means, node.name, candidateName(peer));
        await handOver(means, request, configuration);
        await firstHandshake(means, node.name, publicKeyIn(configuration), request, command);
      },
    },
    { name: "promote", says: "putting the new keys in force", work: async () => writeVersions(records, raised(readVersions(records), node.id, id, next, means.now())) },
    { name: "drop", says: "giving the address to the new keys, and forgetting the old", work: means.update },
    {
      name: "prove", says: "looking at the node's peers",
      work: async () => {
        const known = Object.keys((await tunnelOf(means, node.name)).handshakes);
        const own = publicKeyIn(await configurationOf(means, node.name, peer));
        const wanted = peersOf(node).length;
        if (!known.includes(own) || known.length !== wanted + waitingPeers(means, node)) {
          throw new Error(`${node.name} has ${known.length} peers, and ${known.includes(own) ? "" : "not "}the new key of ${peer} among them; wants ${wanted}. Run the same command again.`);
        }
      },
    },
  ], means.say));
  means.say(`${peer} of ${node.name} has new keys (version ${next}); its old configuration is worth nothing now.`);
}

/** Takes keys that have not proven themselves away again. */
export async function abandonPeer(means: Means, request: Pick<PeerRequest, "peer" | "node">): Promise<void> {
  const node = chosenPeer(stackNow(means).nodes, request);
  const subject = subjectOf(node, request.peer);
  const under = resumed(means.places.state, subject);
  const records = recordsFolder(means.places);
  const versions = readVersions(records);
  const id = peerKeysId(request.peer);
  if (under === undefined && versions.nodes[node.id]?.[id]?.candidate === undefined) throw new Error(`No rotation of ${subject} is under way: there is nothing to abandon.`);
  if (under !== undefined && versionOf(versions, node.id, id) >= Number(under.facts["version"])) {
    throw new Error(`The new keys of ${request.peer} have proven themselves and are in force; the old ones are gone. Go on instead: ${under.command}`);
  }
  await audited(means, "wireguard-rotated", `${subject}, abandoned`, async () => {
    writeVersions(records, withdrawn(readVersions(records), node.id, id));
    await means.update();
  });
  if (under !== undefined) noteEnd(means.places.state, under);
  means.say(`The new keys of ${request.peer} are gone; its old configuration goes on.`);
}

const publicKeyIn = (configuration: string): string => publicKeyOf(/^PrivateKey = (\S+)$/m.exec(configuration)![1]!);

/** How many peers of a node have two keys, others than this one. */
function waitingPeers(means: Means, node: NodeSpecification): number {
  const versions = readVersions(recordsFolder(means.places)).nodes[node.id] ?? {};
  return peersOf(node).filter(({ name }) => versions[peerKeysId(name)]?.candidate !== undefined).length;
}

async function configurationOf(means: PeerMeans, node: string, name: string): Promise<string> {
  const found = (await means.configurations())[node]?.[name];
  if (found === undefined) throw new Error(`The stack has no configuration of ${name} on ${node} yet. Run the same command again.`);
  return found;
}

async function handOver(means: PeerMeans, { peer, output }: PeerRequest, configuration: string): Promise<void> {
  if (output === undefined) {
    await means.show(configuration);
    return means.say(`This is ${peer}'s new configuration. Put it on ${peer} in place of the old one.`);
  }
  rmSync(output, { force: true });
  writeFileSync(output, configuration, { mode: 0o600, flag: "wx" });
  means.say(`${peer}'s new configuration is in ${output}. Put it on ${peer} in place of the old one.`);
}

async function tunnelOf(means: Means, node: string): Promise<NonNullable<Probe["tunnel"]>> {
  const stack = stackNow(means);
  const { tunnel } = await means.hosts.probe(connectionOf(stack, stack.nodes.find(({ name }) => name === node)!));
  if (tunnel === null) throw new Error(`The tunnel of ${node} is down. \`holdfast status\` tells more.`);
  return tunnel;
}

async function firstHandshake(means: Means, node: string, publicKey: string, { peer, within }: PeerRequest, command: string): Promise<void> {
  means.say(`waiting for its first handshake, for ${Math.round(within / 1000)} s`);
  for (const end = means.now().getTime() + within; ; await pause(1000)) {
    if (((await tunnelOf(means, node)).handshakes[publicKey] ?? 0) > 0) return means.say(`${peer} has made a handshake with its new keys`);
    if (means.now().getTime() >= end) {
      throw new Error(`${peer} made no handshake with its new keys within ${Math.round(within / 1000)} s. The old ones go on working, and the new ones go on waiting: \`${command}\` waits again, and with --abandon it takes them away.`);
    }
  }
}
