import { peerKeysId } from "../components/network/wireguard.js";
import type { NodeSpecification } from "../config/specification.js";
import { countedAs, secretsOf } from "../components/secrets/registry.js";
import { tunnelMade } from "../config/stateMarks.js";
import { readMarks } from "../custody/records.js";
import type { Marks } from "../formats/records.js";
import { specification } from "./nodes.js";
import { recordsFolder, type Places } from "./places.js";
import { rotatables } from "./rotate/secret.js";
import { roles } from "./stackFile.js";

/** How old one key of an environment is. */
export interface KeyAge {
  /** As `holdfast rotate` calls it: `age environment`, `ssh`, `secret lnd-tls-key`, `wireguard phone`; and `passphrase`, which goes with `age environment`. */
  readonly key: string;
  /** The node's name, where the key is a node's. */
  readonly node?: string;
  /** How often it has been made, where that is counted. */
  readonly version?: number;
  /** When it was made or last rotated; absent where nobody noted it. ISO 8601. */
  readonly made?: string;
  /** What is never rotated by itself: a node's identities, and what something that exists was made with. */
  readonly fixed?: true;
  /** Whether keys wait beside it that have still to prove themselves. */
  readonly waiting?: true;
}

/** Every key of an environment, and how old it is: from the records alone, nothing is unlocked and no host is asked. */
export function keyAges(places: Places): KeyAge[] {
  const marks = readMarks(recordsFolder(places));
  const noted = (key: string, mark: string): KeyAge => ({ key, ...(marks.made[mark] !== undefined && { made: marks.made[mark] }) });
  return [
    ...roles.map((role) => noted(`age ${role}`, role)),
    noted("passphrase", "passphrase"),
    noted("ssh", "ssh"),
    ...specification(places).nodes.flatMap((node) => nodeKeyAges(node, marks)),
  ];
}

function nodeKeyAges(node: NodeSpecification, marks: Marks): KeyAge[] {
  // What was never rotated is as old as the node's first update, which noted its tunnel or its state.
  const first = node.versions["wireguard-node"] === undefined ? marks.made[tunnelMade(node.id)] : undefined;
  const age = (key: string, id: string): KeyAge => {
    const { version = 1, rotated, candidate } = node.versions[id] ?? {};
    const made = version > 1 ? rotated : first;
    return { key, node: node.name, version, ...(made !== undefined && { made }), ...(candidate !== undefined && { waiting: true }) };
  };
  const rotated = rotatables(node).map(({ id }) => id);
  const counted = secretsOf(node.services, [], node.versions).filter((secret) => countedAs(secret) === secret.id).map(({ id }) => id);
  return [
    ...rotated.map((id) => age(`secret ${id}`, id)),
    ...(node.tunnel?.peers ?? []).map((peer) => age(`wireguard ${peer.name}`, peerKeysId(peer.name))),
    ...counted.filter((id) => !rotated.includes(id)).map((id): KeyAge => ({ ...age(`secret ${id}`, id), fixed: true })),
    ...[node.identity, ...node.identities].map((identity): KeyAge => ({ key: identity.kind === "lnd-seed" ? "lnd-seed" : `${identity.kind} ${identity.name}`, node: node.name, made: identity.made, fixed: true })),
  ];
}

/** The age of a key in words: days, or "unknown". */
export function ageText({ made }: Pick<KeyAge, "made">, now: Date): string {
  if (made === undefined) return "unknown";
  const days = Math.floor((now.getTime() - Date.parse(made)) / 86_400_000);
  return days < 1 ? "today" : days === 1 ? "1 day" : `${days} days`;
}
