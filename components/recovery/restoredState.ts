import { randomUUID } from "node:crypto";
import type { Roots } from "../../formats/roots.js";
import { candidateName, peerKeysId, peerRootName } from "../network/wireguard.js";
import { presharedKey, registry } from "../secrets/registry.js";
import { rootName } from "../secrets/root.js";

/** A resource as Pulumi keeps it in a deployment of version 3. @see pulumi sdk/go/common/apitype, ResourceV3 */
export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly custom: boolean;
  readonly id?: string;
  readonly parent?: string;
  readonly provider?: string;
  readonly protect?: boolean;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
  readonly additionalSecretOutputs?: readonly string[];
}

/** A root's resource: where it stands, and what the program asks for. */
interface RootResource {
  readonly component: "secrets" | "tunnels";
  readonly name: string;
  readonly protect: boolean;
  readonly keepers?: { readonly version: string };
}

const PASSWORD = "random:index/randomPassword:RandomPassword";
const COMPONENTS = { secrets: "holdfast:secrets:Secrets", tunnels: "holdfast:network:Tunnels" } as const;

/** A secret in the form in which `pulumi stack import` takes it and encrypts it. @see pulumi sdk/go/common/apitype, SecretV1 */
const secret = (value: unknown): unknown => ({ "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", plaintext: JSON.stringify(value) });

/**
 * The part of a lost state that cannot be made again: each node's roots, with the components that they belong to. The next update finds every root as it is, and makes the rest.
 *
 * @param randomVersion of @pulumi/random: its plugin's too
 */
export function restoredResources(at: { readonly project: string; readonly stack: string; readonly randomVersion: string }, nodes: readonly Roots[]): StateResource[] {
  const urn = (type: string, name: string): string => `urn:pulumi:${at.stack}::${at.project}::${type}::${name}`;
  const stack = urn("pulumi:pulumi:Stack", `${at.project}-${at.stack}`);
  const id = randomUUID();
  const provider = urn("pulumi:providers:random", `default_${at.randomVersion.replaceAll(".", "_")}`);
  return [
    { urn: stack, type: "pulumi:pulumi:Stack", custom: false },
    { urn: provider, type: "pulumi:providers:random", custom: true, id, inputs: { version: at.randomVersion }, outputs: { version: at.randomVersion } },
    ...nodes.flatMap((roots) => {
      const { node } = roots.place;
      const nodeUrn = urn("holdfast:index:Node", node);
      const component = (kind: keyof typeof COMPONENTS): string => urn(`holdfast:index:Node$${COMPONENTS[kind]}`, `${node}-${kind}`);
      return [
        { urn: nodeUrn, type: "holdfast:index:Node", custom: false, parent: stack },
        ...(["secrets", ...(roots.roots[TUNNEL_KEY] === undefined ? [] : ["tunnels" as const])] as const).map((kind) => ({ urn: component(kind), type: COMPONENTS[kind], custom: false, parent: nodeUrn })),
        ...Object.entries(roots.roots).map(([secretId, { version, value }]) => {
          const root = rootResource(roots, secretId, version);
          return password({
            urn: urn(`holdfast:index:Node$${COMPONENTS[root.component]}$${PASSWORD}`, root.name), parent: component(root.component), provider: `${provider}::${id}`, protect: root.protect,
          }, value, root.keepers);
        }),
      ];
    }),
  ];
}

/**
 * A RandomPassword with a value that it had before, as its provider kept it in its first version: the provider itself brings it to its own, with the bcrypt hash that it has there.
 *
 * @see terraform-provider-random, resource_password.go, state upgrade from version 0
 */
function password(of: Pick<StateResource, "urn" | "parent" | "provider" | "protect">, value: string, keepers?: RootResource["keepers"]): StateResource {
  const inputs = { length: value.length, special: false, ...(keepers && { keepers }) };
  return {
    ...of, type: PASSWORD, custom: true, id: "none", inputs,
    outputs: {
      __meta: '{"schema_version":"0"}', ...inputs, id: "none", lower: true, upper: true, number: true, minLower: 0, minUpper: 0, minNumeric: 0, minSpecial: 0, result: secret(value),
    },
    additionalSecretOutputs: ["result", "bcryptHash"],
  };
}

function rootResource({ place: { node }, roots, versions }: Roots, secretId: string, version: number): RootResource {
  const keepers = version > 1 && { keepers: { version: String(version) } };
  const peers = Object.keys(roots).flatMap((id) => (id.startsWith(PEER) ? [id.slice(PEER.length)] : []));
  if (secretId.startsWith(PEER)) {
    const peer = secretId.slice(PEER.length);
    const of = peers.find((one) => candidateName(one) === peer && versions.nodes[node]?.[peerKeysId(one)]?.candidate === version);
    return { component: "tunnels", name: peerRootName(`${node}-tunnels`, of ?? peer, version), protect: false, ...keepers };
  }
  const known = [...registry, ...peers.map(presharedKey)].find(({ id }) => id === secretId);
  if (known === undefined) throw new Error(`The export of ${node} holds a root ${secretId}, which this version of Holdfast does not know. Use the commit that the recovery kit names.`);
  return { component: "secrets", name: rootName(`${node}-secrets`, { id: secretId, version }), protect: known.rotation === "never", ...keepers };
}

const PEER = peerKeysId("");

/** A node has it together with its tunnel. */
const TUNNEL_KEY = "wireguard-node";
