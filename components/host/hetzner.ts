import * as hcloud from "@pulumi/hcloud";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { HetznerSpecification } from "../../config/schema.js";
import type { PolicyRule } from "../../formats/settings.js";
import type { Connection } from "../../formats/step.js";
import { cloudRules } from "../network/cloudFirewall.js";
import { opensshKeys } from "../secrets/openssh.js";
import type { Secrets } from "../secrets/secrets.js";
import { step } from "../step.js";
import { reachedSchema } from "./commodity.js";
import { userDataOf } from "./hetznerCloudInit.js";
import { adoptionOf, GENERATION, isDiscarded, isReplaced, labelsOf, selectorOf, type LastSeen, type Role } from "./hetznerFound.js";
import { numberOf, type HetznerProject } from "./hetznerProject.js";
import type { Host, HostGeneration } from "./host.js";
import { welcomedSchema } from "./welcome.js";

export interface HetznerServerArgs {
  readonly specification: HetznerSpecification;
  /** The node's immutable id. */
  readonly node: string;
  readonly project: HetznerProject;
  readonly policy: readonly PolicyRule[];
  /** Its host keys derive from here. */
  readonly secrets: Secrets;
  readonly identityFile?: string | undefined;
}

const released = z.strictObject({ servers: z.array(z.int()), volumes: z.array(z.int()) });

/**
 * A server of a Hetzner project, with an address and a data volume that outlive it. It answers SSH with a key of its own, and nothing else was done to it.
 *
 * Raising the generation replaces the server alone. What is already there under the environment's labels is taken over, whatever the state knows.
 */
export class HetznerServer extends pulumi.ComponentResource implements HostGeneration {
  readonly generation: number;
  readonly machine: pulumi.Output<string>;
  readonly resource: pulumi.Resource;
  readonly address: pulumi.Output<string>;
  /** Resolves when the host has a key of its own, and has answered with it. */
  readonly connection: pulumi.Output<Connection>;
  /** The volume's device on every server that it is attached to. */
  readonly device: pulumi.Output<string>;
  readonly seen: pulumi.Output<Omit<LastSeen, "generation"> & { readonly server: number }>;

  constructor(name: string, { specification, node, project, policy, secrets, identityFile }: HetznerServerArgs, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:host:HetznerServer", name, {}, options);
    const { location, serverType, image, generation, volume: disk, network } = specification;
    const found = project.found(node);
    const adopt = adoptionOf(found, specification);
    const [discarded, replaced] = [isDiscarded(found, disk), isReplaced(found, disk)];
    const inside = { parent: this };
    const isProtected = specification.protection === "on";
    // The word that the server may go. It stays when the old one is gone, and the new one could not be made.
    const isRaised = (project.generation(node) ?? generation) < generation;
    const called = `${project.owner.environment}-${node}`;
    const labels = (role: Role): Record<string, string> => labelsOf(project.owner, role, node);
    const imported = (id: string | undefined): pulumi.CustomResourceOptions => (id === undefined ? {} : { import: id });
    this.generation = generation;

    // Its provider deletes nothing that is protected, and lifts no protection by itself.
    const release = step(`${name}-release`, {
      program: "release", output: released, host: { generation },
      input: {
        access: { ...project.access }, labels: labels("server"), generation, discard: disk.discard ?? null,
        off: !isRaised && found.server?.status === "off" ? found.server.id : null, orphan: project.orphan(node) ?? null,
      },
    }, inside);
    const afterRelease = release.apply((): pulumi.Resource[] => []);

    const address = (type: "ipv4" | "ipv6"): hcloud.PrimaryIp => new hcloud.PrimaryIp(`${name}-${type}`, {
      name: `${called}-${type}`, type, location, assigneeType: "server", autoDelete: false, deleteProtection: isProtected, labels: labels(type),
    }, { ...inside, protect: isProtected, ...imported(adopt[type]) });
    const [ipv4, ipv6] = [address("ipv4"), address("ipv6")];

    const volume = new hcloud.Volume(`${name}-volume`, {
      name: `${called}-data`, size: disk.size, location, deleteProtection: !discarded || replaced, labels: labels("volume"),
    }, {
      ...inside, protect: !discarded, dependsOn: afterRelease, deleteBeforeReplace: true, ...(replaced && { replaceOnChanges: ["size"] }), ...imported(adopt.volume),
    });

    // By labels, so that it is true of the next server too. Its provider never notices that an hcloud.FirewallAttachment is gone, and an attachment by id must be
    // taken from a server that is not there any more.
    const firewall = new hcloud.Firewall(`${name}-firewall`, {
      name: called, rules: cloudRules(policy), labels: labels("firewall"), applyTos: [{ labelSelector: selectorOf(labels("server")) }],
    }, { ...inside, protect: isProtected, ...imported(adopt.firewall) });

    const firstContact = secrets.lasting({ id: "ssh-first-contact", version: generation }, opensshKeys);
    const server = new hcloud.Server(`${name}-server`, {
      name: called, serverType, image, location, labels: { ...labels("server"), [GENERATION]: String(generation) },
      sshKeys: project.sshKeys,
      userData: pulumi.secret(firstContact.apply(userDataOf)),
      publicNets: [{ ipv4Enabled: true, ipv4: numberOf(ipv4), ipv6Enabled: true, ipv6: numberOf(ipv6) }],
      // Nothing reaches it before the policy's firewall is applied.
      firewallIds: [numberOf(project.closed)], ignoreRemoteFirewallIds: true,
      ...(specification.placementGroup !== undefined && { placementGroupId: project.group(specification.placementGroup) }),
      deleteProtection: isProtected, rebuildProtection: isProtected,
    }, {
      ...inside, dependsOn: afterRelease, protect: isProtected && !isRaised,
      // The first four would replace the server whenever they change; a new generation has their new values. The last would switch it off, unassign its addresses and
      // delete them: it is unknown of a server that was taken over, and so changes even though nothing has.
      ignoreChanges: ["image", "location", "sshKeys", "userData", "publicNets"],
      replaceOnChanges: [`labels["${GENERATION}"]`], deleteBeforeReplace: true,
      additionalSecretOutputs: ["userData"],
      ...imported(adopt.server),
    });
    const onServer = { ...inside, deletedWith: server };
    const attached = new hcloud.VolumeAttachment(`${name}-volume-attachment`, { serverId: numberOf(server), volumeId: numberOf(volume), automount: false }, {
      // Its id is the volume's: deleted after the next one was made, it would detach that.
      ...onServer, deleteBeforeReplace: true, ...imported(adopt.volumeAttachment),
    });
    const joined = network === undefined ? [] : [new hcloud.ServerNetwork(`${name}-network`, { serverId: numberOf(server), networkId: network.id, ...(network.ip !== undefined && { ip: network.ip }) }, onServer)];

    this.resource = server;
    this.machine = server.id;
    this.address = ipv4.ipAddress;
    this.device = volume.id.apply((id) => `/dev/disk/by-id/scsi-0HC_Volume_${id}`);
    const connectionBy = (hostKey: pulumi.Input<string>): pulumi.Output<Connection> => pulumi.all([this.address, hostKey]).apply(([at, key]) =>
      ({ user: "root", address: at, port: 22, hostKey: key, ...(identityFile !== undefined && { identityFile }) }));
    const own = secrets.lasting({ id: "ssh-host-key", version: generation }, opensshKeys);
    const welcomed = step(`${name}-welcome`, {
      program: "welcome", output: welcomedSchema, host: this,
      input: { firstContact: connectionBy(pulumi.unsecret(firstContact.apply(({ publicKey }) => publicKey))), own },
    }, { ...inside, dependsOn: [attached, firewall, ...joined] });
    this.connection = connectionBy(pulumi.unsecret(welcomed.apply(({ hostKey }) => hostKey)));
    this.seen = pulumi.all([numberOf(server), numberOf(ipv4), numberOf(volume)]).apply(([one, at, data]) => ({ server: one, ipv4: at, volume: data }));
    this.registerOutputs({ address: this.address, seen: this.seen });
  }
}

export interface HetznerHostArgs {
  readonly server: HetznerServer;
  /** What must have made the host before it is of use. */
  readonly after?: pulumi.Output<unknown> | undefined;
}

/** A server as a host: with the system that shall be deployed to. */
export class HetznerHost extends pulumi.ComponentResource implements Host {
  readonly generation: number;
  readonly machine: pulumi.Output<string>;
  readonly resource: pulumi.Resource;
  readonly address: pulumi.Output<string>;
  readonly connection: pulumi.Output<Connection>;
  readonly machineId: pulumi.Output<string>;

  constructor(name: string, { server, after }: HetznerHostArgs, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:host:Hetzner", name, {}, options);
    [this.generation, this.machine, this.resource, this.address] = [server.generation, server.machine, server.resource, server.address];
    const reached = step(`${name}-reach`, { program: "reach", input: { connection: server.connection }, output: reachedSchema, host: server }, {
      parent: this, ...(after !== undefined && { dependsOn: after.apply(() => []) }),
    });
    this.machineId = pulumi.unsecret(reached.apply(({ machineId }) => machineId));
    this.connection = pulumi.all([this.machineId, server.connection]).apply(([, connection]) => connection);
    this.registerOutputs({ machineId: this.machineId });
  }
}
