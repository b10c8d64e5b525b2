import { randomBytes } from "node:crypto";
import { z } from "zod";
import { actionView, begin, ipRef, isLocked, requireUnlocked, serverRef, volumeRef, type Call } from "./actions.js";
import { assignedTo } from "./addresses.js";
import { images, imageView, locations, requireImage, requireLocation, requireServerType, serverTypeView } from "./catalogue.js";
import { ApiError, gone, invalidInput, notFound } from "./errors.js";
import { firewallsOf, refilter } from "./firewalls.js";
import { id, idOrName, labels, read, requireFreeName } from "./input.js";
import { requireRoom, SPREAD, USER_DATA } from "./limits.js";
import { attachment } from "./networks.js";
import { placementGroupView } from "./placementGroups.js";
import { newPrimaryIp } from "./primaryIps.js";
import { renamed } from "./renamed.js";
import { stamp, type PrimaryIp, type Resource, type Server } from "./world.js";

const hostname = z.string().regex(/^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/, "is not a valid hostname");
export const userData = z.string().refine((text) => Buffer.byteLength(text) <= USER_DATA, "is too long");

const createSchema = z.looseObject({
  name: hostname, server_type: idOrName, image: idOrName, location: idOrName.optional(), datacenter: z.unknown().optional(), ssh_keys: z.array(idOrName).optional(), user_data: userData.nullish(),
  start_after_create: z.boolean().optional(), automount: z.boolean().optional(), labels: labels.optional(), volumes: z.array(id).optional(), networks: z.array(id).optional(),
  firewalls: z.array(z.looseObject({ firewall: id })).optional(), placement_group: id.nullish(),
  public_net: z.looseObject({ enable_ipv4: z.boolean().default(true), enable_ipv6: z.boolean().default(true), ipv4: id.nullish(), ipv6: id.nullish() }).optional(),
});

export function findServer(call: Call, wanted: number): Server {
  const server = call.world.servers.find((one) => one.id === wanted);
  if (server === undefined) throw notFound("server", wanted);
  return server;
}

const fail = (name: string, message: string): never => {
  throw invalidInput({ name, messages: [message] });
};

const all = <T extends Resource>(known: readonly T[], ids: readonly (number | string)[] | undefined, field: string): T[] =>
  (ids ?? []).map((one) => known.find((item) => item.id === one || item.name === one) ?? fail(field, `${one} not found`));

/** An address of the project that a new server is to have, or one made for it. */
function addressFor(call: Call, type: "ipv4" | "ipv6", wanted: number | null | undefined, location: string): PrimaryIp {
  if (wanted === null || wanted === undefined) return newPrimaryIp(call, { type, location, autoDelete: true });
  const ip = call.world.primary_ips.find((one) => one.id === wanted) ?? fail(`public_net.${type}`, `Primary IP ${wanted} not found`);
  requireUnlocked(call, ipRef(ip.id));
  if (ip.type !== type) throw new ApiError("primary_ip_version_mismatch", `Primary IP ${ip.id} is no ${type}`);
  if (ip.assignee !== null) throw new ApiError("primary_ip_assigned", `Primary IP ${ip.id} is already assigned to a server`);
  if (ip.location !== location) throw new ApiError("primary_ip_datacenter_mismatch", `Primary IP ${ip.id} is in ${ip.location}, not in ${location}`);
  return ip;
}

/** `POST /servers`: answers at once; the machine comes with its action. */
export function createServer(call: Call): object {
  const { world } = call;
  const wanted = read(createSchema, call.body);
  if (wanted.datacenter !== undefined) throw gone("2025-12-16-phasing-out-datacenters");
  requireFreeName(world.servers, wanted.name);
  requireRoom(world, "servers");
  const type = requireServerType(wanted.server_type);
  const image = requireImage(wanted.image, type);
  const publicNet = wanted.public_net ?? { enable_ipv4: true, enable_ipv6: true };
  const first = world.primary_ips.find(({ id: one }) => one === publicNet.ipv4 || one === publicNet.ipv6);
  const volumes = all(world.volumes, wanted.volumes, "volumes");
  const location = requireLocation(wanted.location ?? volumes[0]?.location ?? first?.location ?? locations[0]!.name).name;
  const keys = all(world.ssh_keys, wanted.ssh_keys, "ssh_keys");
  const networks = all(world.networks, wanted.networks, "networks");
  const firewalls = all(world.firewalls, wanted.firewalls?.map(({ firewall }) => firewall), "firewalls");
  const [group] = all(world.placement_groups, wanted.placement_group ? [wanted.placement_group] : [], "placement_group");
  if (group && world.servers.filter(({ placementGroup }) => placementGroup === group.id).length >= SPREAD) throw new ApiError("placement_error", `placement group ${group.id} is full`);
  for (const volume of volumes) {
    requireUnlocked(call, volumeRef(volume.id));
    if (volume.server !== null) throw new ApiError("volume_already_attached", `volume ${volume.id} is already attached to server ${volume.server}`);
    if (volume.location !== location) fail("volumes", `volume ${volume.id} is in ${volume.location}, not in ${location}`);
  }

  const server: Server = {
    id: call.state.nextId++, name: wanted.name, labels: wanted.labels ?? {}, created: stamp(call.now), status: "initializing", type: type.name, location, image: image.id, diskSize: type.disk,
    protection: { delete: false, rebuild: false }, userData: wanted.user_data ?? null, sshKeys: keys.map(({ publicKey }) => publicKey), rescue: null, exists: false, placementGroup: group?.id ?? null,
    privateNets: [], backups: false, neverBoots: false,
  };
  const ips = [...(publicNet.enable_ipv4 ? [addressFor(call, "ipv4", publicNet.ipv4, location)] : []), ...(publicNet.enable_ipv6 ? [addressFor(call, "ipv6", publicNet.ipv6, location)] : [])];
  if (ips.length === 0 && networks.length === 0 && wanted.start_after_create !== false) fail("public_net", "a server without any network cannot be started");
  for (const ip of ips) ip.assignee = server.id;
  for (const volume of volumes) volume.server = server.id;
  for (const firewall of firewalls) firewall.appliedTo.push({ server: server.id, status: "applied" });
  world.servers.push(server);
  for (const network of networks) server.privateNets.push(attachment(call, server.id, network, {}));

  const start = wanted.start_after_create !== false;
  const action = begin(call, "create_server", { do: "createServer", server: server.id, start }, serverRef(server.id), ...ips.map((ip) => ipRef(ip.id)), ...volumes.map((one) => volumeRef(one.id)));
  const next = [
    ...volumes.map((volume) => begin(call, "attach_volume", { do: "attachVolume", volume: volume.id, server: server.id }, serverRef(server.id), volumeRef(volume.id))),
    ...(start ? [begin(call, "start_server", { do: "power", server: server.id, to: "on" }, serverRef(server.id))] : []),
  ];
  return {
    server: serverView(call, server), action: actionView({ ...action, resources: [serverRef(server.id)] }, call.now), next_actions: next.map((one) => actionView(one, call.now)),
    root_password: keys.length === 0 ? rootPassword() : null,
  };
}

/** The API's form of one; no machine of ours lets anybody in with it. */
export const rootPassword = (): string => randomBytes(10).toString("base64url");

/** `PUT /servers/{id}`. */
export function updateServer(call: Call, server: Server): object {
  const before = firewallsOf(call.world, server).map(({ id: one }) => one).join();
  renamed(call, call.world.servers, server, hostname);
  if (firewallsOf(call.world, server).map(({ id: one }) => one).join() !== before) refilter(call, server);
  return { server: serverView(call, server) };
}

/** `DELETE /servers/{id}`: its volumes and the addresses that are not made to go with it stay. */
export function deleteServer(call: Call, server: Server): object {
  if (server.protection.delete) throw new ApiError("protected", "server is protected against deletion");
  requireUnlocked(call, serverRef(server.id));
  server.status = "deleting";
  return { action: actionView(begin(call, "delete_server", { do: "deleteServer", server: server.id }, serverRef(server.id)), call.now) };
}

export function serverView(call: Call, server: Server): object {
  const ips = assignedTo(call.world, server.id);
  const [ipv4, ipv6] = [ips.find(({ type }) => type === "ipv4"), ips.find(({ type }) => type === "ipv6")];
  const group = call.world.placement_groups.find((one) => one.id === server.placementGroup);
  const image = images.find((one) => one.id === server.image);
  return {
    id: server.id, name: server.name, status: server.status, created: server.created, labels: server.labels,
    public_net: {
      ipv4: ipv4 ? { id: ipv4.id, ip: ipv4.ip, blocked: false, dns_ptr: ipv4.dnsPtr[0]?.dns_ptr ?? "" } : null,
      ipv6: ipv6 ? { id: ipv6.id, ip: ipv6.ip, blocked: false, dns_ptr: ipv6.dnsPtr } : null,
      floating_ips: [], firewalls: firewallsOf(call.world, server).map((one) => ({ id: one.id, status: one.appliedTo.some((to) => "server" in to && to.server === server.id && to.status === "pending") ? "pending" : "applied" })),
    },
    private_net: server.privateNets.map(({ network, ip, aliasIps, mac: address }) => ({ network, ip, alias_ips: aliasIps, mac_address: address })),
    server_type: serverTypeView(requireServerType(server.type)), location: requireLocation(server.location), image: image ? imageView(image) : null, iso: null,
    included_traffic: 20 * 1024 ** 4, ingoing_traffic: 0, outgoing_traffic: 0, backup_window: server.backups ? "22-02" : null, rescue_enabled: server.rescue !== null,
    locked: isLocked(call.state, serverRef(server.id)), protection: server.protection, volumes: call.world.volumes.filter((one) => one.server === server.id).map((one) => one.id),
    load_balancers: [], primary_disk_size: server.diskSize, placement_group: group ? placementGroupView(call, group) : null,
  };
}
