import * as pulumi from "@pulumi/pulumi";
import type { NodeSpecification, StackSpecification } from "../config/specification.js";
import { CommodityHost } from "./host/commodity.js";
import { lndconnect } from "./network/lndconnect.js";
import { Tunnels } from "./network/wireguard.js";
import { plainly } from "./plainly.js";
import { Deposit, requireDepositFolder } from "./recovery/deposit.js";
import { Gate } from "./recovery/gate.js";
import { ownTunnelKey } from "./recovery/ownRoots.js";
import { SealedBundle } from "./secrets/bundle.js";
import { holdIdentities } from "./secrets/identities.js";
import { Secrets } from "./secrets/secrets.js";
import { Installation } from "./system/nixosInstallation.js";
import { placeOf, settingsOf } from "./system/settings.js";
import { System, SystemActivation } from "./system/system.js";

export interface NodeArgs {
  readonly specification: NodeSpecification;
  readonly stack: StackSpecification;
}

/** What an operator wants to know of a node. Holds no secret. */
export interface NodeSummary {
  readonly nodePublicKey: string;
  readonly address: string;
  readonly gate: string;
  readonly decision: string;
  readonly system: string;
  readonly tunnel: { readonly address: string; readonly endpoint: string; readonly publicKey: string; readonly peers: readonly string[] };
  readonly generation: number;
  /** The newest export of the node's roots, below the deposit's folder. */
  readonly deposit: string;
}

/** A Bitcoin and Lightning node, from its host to its open gate. A rebuild takes the same way. */
export class Node extends pulumi.ComponentResource {
  readonly summary: pulumi.Output<NodeSummary>;
  /** WireGuard configurations by peer, and the address that a phone wallet scans. Secret. */
  readonly peerConfigurations: pulumi.Output<Record<string, string>>;
  readonly lndconnect: pulumi.Output<string>;

  constructor(name: string, { specification, stack }: NodeArgs, options?: pulumi.ComponentResourceOptions) {
    requireDepositFolder(stack, process.cwd());
    super("holdfast:index:Node", name, {}, options);
    const inside = { parent: this };
    const place = placeOf(specification);

    const identities = holdIdentities(name, specification, inside);
    const secrets = new Secrets(`${name}-secrets`, specification, inside);
    const tunnels = new Tunnels(`${name}-tunnels`, { specification, secrets }, inside);
    const tunnelKey = ownTunnelKey(stack, specification, tunnels.publicKey);
    const deposit = new Deposit(`${name}-deposit`, {
      specification, stack, place, certificates: secrets.certificates, tunnelKey,
      identities: pulumi.all([identities.seed, identities.files]).apply(([seed, files]) => [seed, ...files]),
      roots: pulumi.all([secrets.roots, tunnels.roots]).apply(([own, peers]) => ({ ...own, ...peers })),
    }, inside);
    // By way of the held identities: another node's seed or key is refused before anything is built for it.
    const settings = pulumi.all([tunnelKey, tunnels.peers, identities.seed, identities.files]).apply(([publicKey, peers, seed, files]) =>
      plainly(() => settingsOf({ ...specification, identity: seed, identities: files }, stack.authorizedKeys, { publicKey, peers })));

    const installation = specification.nixos.disks.layout === "kept" ? undefined : new Installation(`${name}-installation`, { specification, stack, settings, secrets }, inside);
    const host = new CommodityHost(`${name}-host`, {
      specification: specification.host, after: installation?.installed, ...(stack.identityFile !== undefined && { identityFile: stack.identityFile }),
    }, inside);
    const system = new System(`${name}-system`, { host, place, flake: stack.flake, settings }, inside);
    const files = pulumi.all([secrets.files, tunnels.files, tunnelKey]).apply(([own, peers]) => [...own, ...peers]);
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

    this.peerConfigurations = tunnels.configurations;
    this.lndconnect = pulumi.secret(pulumi.all([secrets.certificate, secrets.value("lnd-macaroon-root-key")]).apply(([certificate, rootKey]) =>
      lndconnect({ address: specification.tunnel.address, port: specification.lightning.restPort, certificate, rootKey })));
    this.summary = pulumi.all([gate.report, host.address, activation.result, tunnelKey, deposit.deposited]).apply(([report, address, { toplevel }, publicKey, { file }]) => ({
      nodePublicKey: report.nodePublicKey ?? specification.identity.nodePublicKey,
      address,
      gate: report.state,
      decision: report.decision ?? "none",
      system: toplevel,
      tunnel: { address: specification.tunnel.address, endpoint: specification.tunnel.endpoint, publicKey, peers: specification.tunnel.peers.map((peer) => peer.name) },
      generation: specification.host.generation,
      deposit: file,
    }));
    this.registerOutputs({ summary: this.summary });
  }
}
