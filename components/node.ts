import * as pulumi from "@pulumi/pulumi";
import { isHetzner, type NodeSpecification, type StackSpecification } from "../config/specification.js";
import { CommodityHost, commodityConnection } from "./host/commodity.js";
import { HetznerHost, HetznerServer } from "./host/hetzner.js";
import type { HetznerProject } from "./host/hetznerProject.js";
import type { Host } from "./host/host.js";
import { lndconnect } from "./network/lndconnect.js";
import { policyOf } from "./network/policy.js";
import { Tunnels } from "./network/wireguard.js";
import { plainly } from "./plainly.js";
import { Deposit, requireDepositFolder } from "./recovery/deposit.js";
import { Gate } from "./recovery/gate.js";
import { ownMarks } from "./recovery/ownRoots.js";
import { SealedBundle } from "./secrets/bundle.js";
import { holdIdentities } from "./secrets/identities.js";
import { Secrets } from "./secrets/secrets.js";
import { Installation } from "./system/nixosInstallation.js";
import { placeOf, settingsOf } from "./system/settings.js";
import { System, SystemActivation } from "./system/system.js";

export interface NodeArgs {
  readonly specification: NodeSpecification;
  readonly stack: StackSpecification;
  /** Where the node's server is made, when it is Hetzner's. */
  readonly hetzner?: HetznerProject | undefined;
}

/** What an operator wants to know of a node. Holds no secret. */
export interface NodeSummary {
  readonly nodePublicKey: string;
  readonly address: string;
  readonly gate: string;
  readonly decision: string;
  readonly system: string;
  /** Absent: the node has no tunnel. */
  readonly tunnel?: { readonly address: string; readonly endpoint: string; readonly publicKey: string; readonly peers: readonly string[] };
  /** What tells the node's state from another one. */
  readonly stateMark: string;
  readonly generation: number;
  /** The host's pinned key. */
  readonly hostKey: string;
  /** Hetzner's ids, when the host is Hetzner's. */
  readonly hetzner?: { readonly server: number; readonly ipv4: number; readonly volume: number };
  /** The newest export of the node's roots, below the deposit's folder. */
  readonly deposit: string;
}

/** A Bitcoin and Lightning node, from its host to its open gate. A rebuild takes the same way. */
export class Node extends pulumi.ComponentResource {
  readonly summary: pulumi.Output<NodeSummary>;
  /** WireGuard configurations by peer, and the address that a phone wallet scans; neither without a tunnel. Secret. */
  readonly peerConfigurations?: pulumi.Output<Record<string, string>>;
  readonly lndconnect?: pulumi.Output<string>;

  constructor(name: string, { specification, stack, hetzner }: NodeArgs, options?: pulumi.ComponentResourceOptions) {
    requireDepositFolder(stack, process.cwd());
    super("holdfast:index:Node", name, {}, options);
    const inside = { parent: this };
    const place = placeOf(specification);

    const identities = holdIdentities(name, specification, inside);
    const secrets = new Secrets(`${name}-secrets`, specification, inside);
    const server = isHetzner(specification.host) ? new HetznerServer(`${name}-hetzner`, {
      specification: specification.host, node: specification.id, project: requireProject(specification.name, hetzner), policy: policyOf(specification), secrets, identityFile: stack.identityFile,
    }, inside) : undefined;
    const { tunnel } = specification;
    const endpoint = tunnel?.endpoint ?? pulumi.interpolate`${server?.address ?? ""}:${tunnel?.port ?? ""}`;
    const tunnels = tunnel === undefined ? undefined : new Tunnels(`${name}-tunnels`, { specification, tunnel, endpoint, secrets }, inside);
    const own = ownMarks(stack, specification, { state: secrets.stateMark, tunnelKey: tunnels?.publicKey });
    const deposit = new Deposit(`${name}-deposit`, {
      specification, stack, place, certificates: secrets.certificates, own,
      identities: pulumi.all([identities.seed, identities.files]).apply(([seed, files]) => [seed, ...files]),
      roots: pulumi.all([secrets.roots, tunnels?.roots]).apply(([secretRoots, peers]) => ({ ...secretRoots, ...peers })),
    }, inside);
    // By way of the held identities: another node's seed or key is refused before anything is built for it.
    const settings = pulumi.all([own, tunnels?.peers, identities.seed, identities.files, server?.device]).apply(([{ tunnelKey: publicKey }, peers, seed, files, dataVolume]) => plainly(() =>
      settingsOf({ ...specification, nixos: { ...specification.nixos, ...(dataVolume !== undefined && { dataVolume }) }, identity: seed, identities: files }, stack.authorizedKeys, publicKey === undefined || peers === undefined ? undefined : { publicKey, peers })));

    const connection = isHetzner(specification.host) ? server!.connection : pulumi.output(commodityConnection(specification.host, stack.identityFile));
    const installation = specification.nixos.disks.layout === "kept" ? undefined
      : new Installation(`${name}-installation`, { specification, stack, connection, machine: server?.machine, settings, secrets }, inside);
    const after = installation?.installed;
    const host: Host = isHetzner(specification.host) ? new HetznerHost(`${name}-host`, { server: server!, after }, inside)
      : new CommodityHost(`${name}-host`, { specification: specification.host, after, ...(stack.identityFile !== undefined && { identityFile: stack.identityFile }) }, inside);
    const system = new System(`${name}-system`, { host, place, flake: stack.flake, settings, services: specification.services }, inside);
    const files = pulumi.all([secrets.files, tunnels?.files, own]).apply(([service, peers]) => [...service, ...(peers ?? [])]);
    const bundle = new SealedBundle(`${name}-bundle`, {
      place, files, recipient: system.recipient, connection: host.connection, host, records: stack.records,
    }, { ...inside, dependsOn: deposit });
    const activation = new SystemActivation(`${name}-activation`, {
      host, toplevel: system.toplevel, settings, proofSeconds: stack.proofSeconds, bundle, after: [deposit],
    }, inside);
    const gate = new Gate(`${name}-gate`, {
      host, place, identities, recipient: system.recipient, records: stack.records, toplevel: activation.result.apply(({ toplevel }) => toplevel),
      ...(stack.walletIdentityFile !== undefined && { walletIdentityFile: stack.walletIdentityFile }),
    }, inside);

    if (tunnel !== undefined && tunnels !== undefined) {
      this.peerConfigurations = tunnels.configurations;
      this.lndconnect = pulumi.secret(pulumi.all([secrets.certificate, secrets.value("lnd-macaroon-root-key")]).apply(([certificate, rootKey]) =>
        lndconnect({ address: tunnel.address, port: specification.lightning.restPort, certificate, rootKey })));
    }
    this.summary = pulumi.all([gate.report, host.connection, activation.result, own, deposit.deposited, endpoint, server?.seen]).apply(([report, { address, hostKey }, { toplevel }, { state, tunnelKey: publicKey }, { file }, dialled, seen]) => ({
      nodePublicKey: report.nodePublicKey ?? specification.identity.nodePublicKey,
      address,
      gate: report.state,
      decision: report.decision ?? "none",
      system: toplevel,
      ...(tunnel !== undefined && publicKey !== undefined && { tunnel: { address: tunnel.address, endpoint: dialled, publicKey, peers: tunnel.peers.map((peer) => peer.name) } }),
      stateMark: state,
      generation: specification.host.generation,
      hostKey,
      ...(seen !== undefined && { hetzner: seen }),
      deposit: file,
    }));
    this.registerOutputs({ summary: this.summary });
  }
}

function requireProject(node: string, project: HetznerProject | undefined): HetznerProject {
  if (project === undefined) throw new Error(`Node ${node} has host.hetzner, and the program did not look at the Hetzner project first.`);
  return project;
}
