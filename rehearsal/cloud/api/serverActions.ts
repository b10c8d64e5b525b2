import { z } from "zod";
import { actionView, begin, done, networkRef, requireUnlocked, serverRef, type Call } from "./actions.js";
import { assignedTo } from "./addresses.js";
import { requireImage, requireServerType } from "./catalogue.js";
import { ApiError, invalidInput } from "./errors.js";
import { id, idOrName, read } from "./input.js";
import { SPREAD } from "./limits.js";
import { attachment } from "./networks.js";
import { primaryIpActions } from "./primaryIps.js";
import { rootPassword, userData } from "./servers.js";
import type { Action, Network, Server, Work } from "./world.js";

const answer = (call: Call, action: Action): object => ({ action: actionView(action, call.now) });

type Power = Extract<Work, { do: "power" }>["to"];

const power = (command: string, to: Power) => (call: Call, server: Server): object => {
  requireUnlocked(call, serverRef(server.id));
  if (to === "on" && assignedTo(call.world, server.id).length === 0 && server.privateNets.length === 0) throw new ApiError("server_without_network", "a server needs a network to be powered on");
  if (to === "on" && server.status === "off") server.status = "starting";
  if (to === "off" && server.status === "running") server.status = "stopping";
  return answer(call, begin(call, command, { do: "power", server: server.id, to }, serverRef(server.id)));
};

function patch(call: Call, server: Server, command: string, set: Record<string, unknown>, ...others: readonly ReturnType<typeof networkRef>[]): object {
  requireUnlocked(call, serverRef(server.id));
  return answer(call, begin(call, command, { do: "patch", kind: "servers", id: server.id, set }, serverRef(server.id), ...others));
}

function requireStopped(server: Server): void {
  if (server.status !== "off") throw new ApiError("server_not_stopped", "the server must be powered off for this");
}

function networkOf(call: Call, wanted: number): Network {
  const network = call.world.networks.find((one) => one.id === wanted);
  if (network === undefined) throw invalidInput({ name: "network", messages: [`network ${wanted} not found`] });
  return network;
}

/** `POST /servers/{id}/actions/…`. */
export const serverActions: Readonly<Record<string, (call: Call, server: Server) => object>> = {
  poweron: power("start_server", "on"),
  poweroff: power("stop_server", "off"),
  shutdown: power("shutdown_server", "shutdown"),
  reboot: power("reboot_server", "reboot"),
  reset: power("reset_server", "reset"),
  rebuild(call, server) {
    const wanted = read(z.looseObject({ image: idOrName, user_data: userData.nullish() }), call.body);
    if (server.protection.rebuild) throw new ApiError("protected", "server is protected against being rebuilt");
    requireUnlocked(call, serverRef(server.id));
    const image = requireImage(wanted.image, requireServerType(server.type));
    server.status = "rebuilding";
    const action = begin(call, "rebuild_server", { do: "rebuild", server: server.id, image: image.id, userData: wanted.user_data ?? server.userData }, serverRef(server.id));
    return { ...answer(call, action), root_password: server.sshKeys.length === 0 ? rootPassword() : null };
  },
  enable_rescue(call, server) {
    const wanted = read(z.looseObject({ type: z.literal("linux64").optional(), ssh_keys: z.array(id).optional() }), call.body);
    requireUnlocked(call, serverRef(server.id));
    const sshKeys = (wanted.ssh_keys ?? []).map((one) => {
      const key = call.world.ssh_keys.find((item) => item.id === one);
      if (key === undefined) throw invalidInput({ name: "ssh_keys", messages: [`SSH key ${one} not found`] });
      return key.publicKey;
    });
    const action = begin(call, "enable_rescue", { do: "rescue", server: server.id, to: { sshKeys } }, serverRef(server.id));
    return { ...answer(call, action), root_password: rootPassword() };
  },
  disable_rescue(call, server) {
    requireUnlocked(call, serverRef(server.id));
    return answer(call, begin(call, "disable_rescue", { do: "rescue", server: server.id, to: null }, serverRef(server.id)));
  },
  change_type(call, server) {
    const wanted = read(z.looseObject({ server_type: idOrName, upgrade_disk: z.boolean() }), call.body);
    requireStopped(server);
    const [type, before] = [requireServerType(wanted.server_type), requireServerType(server.type)];
    if (type.name === before.name || type.architecture !== before.architecture || type.disk < server.diskSize) {
      throw new ApiError("invalid_server_type", `server type ${type.name} does not fit a ${before.name} whose disk has ${server.diskSize} GB`);
    }
    return patch(call, server, "change_server_type", { type: type.name, ...(wanted.upgrade_disk ? { diskSize: type.disk } : {}) });
  },
  change_protection(call, server) {
    const wanted = read(z.looseObject({ delete: z.boolean().optional(), rebuild: z.boolean().optional() }), call.body);
    const protection = { delete: wanted.delete ?? server.protection.delete, rebuild: wanted.rebuild ?? server.protection.rebuild };
    if (protection.delete !== protection.rebuild) throw invalidInput({ name: "rebuild", messages: ["delete and rebuild protection must have the same value"] });
    return patch(call, server, "change_protection", { protection });
  },
  attach_to_network(call, server) {
    const wanted = read(z.looseObject({ network: id, ip: z.string().nullish(), alias_ips: z.array(z.string()).nullish() }), call.body);
    const network = networkOf(call, wanted.network);
    if (server.privateNets.some((one) => one.network === network.id)) throw new ApiError("server_already_attached", "server is already attached to the network");
    const place = attachment(call, server.id, network, { ip: wanted.ip ?? null, aliasIps: wanted.alias_ips ?? [] });
    return patch(call, server, "attach_to_network", { privateNets: [...server.privateNets, place] }, networkRef(network.id));
  },
  detach_from_network(call, server) {
    const { network } = read(z.looseObject({ network: id }), call.body);
    if (!server.privateNets.some((one) => one.network === network)) throw invalidInput({ name: "network", messages: ["server is not attached to this network"] });
    return patch(call, server, "detach_from_network", { privateNets: server.privateNets.filter((one) => one.network !== network) }, networkRef(network));
  },
  change_alias_ips(call, server) {
    const wanted = read(z.looseObject({ network: id, alias_ips: z.array(z.string()) }), call.body);
    if (!server.privateNets.some((one) => one.network === wanted.network)) throw invalidInput({ name: "network", messages: ["server is not attached to this network"] });
    return patch(call, server, "change_alias_ips", { privateNets: server.privateNets.map((one) => (one.network === wanted.network ? { ...one, aliasIps: wanted.alias_ips } : one)) }, networkRef(wanted.network));
  },
  add_to_placement_group(call, server) {
    const { placement_group: group } = read(z.looseObject({ placement_group: id }), call.body);
    if (!call.world.placement_groups.some((one) => one.id === group)) throw invalidInput({ name: "placement_group", messages: [`placement group ${group} not found`] });
    requireStopped(server);
    if (call.world.servers.filter((one) => one.placementGroup === group).length >= SPREAD) throw new ApiError("placement_error", `placement group ${group} is full`);
    return patch(call, server, "add_to_placement_group", { placementGroup: group });
  },
  remove_from_placement_group: (call, server) => patch(call, server, "remove_from_placement_group", { placementGroup: null }),
  enable_backup: (call, server) => patch(call, server, "enable_backup", { backups: true }),
  disable_backup: (call, server) => patch(call, server, "disable_backup", { backups: false }),
  detach_iso: (call, server) => answer(call, done(call, "detach_iso", serverRef(server.id))),
  change_dns_ptr(call, server) {
    const { ip } = read(z.looseObject({ ip: z.string() }), call.body);
    const own = assignedTo(call.world, server.id).find((one) => one.ip === ip || (one.type === "ipv6" && ip.includes(":")));
    if (own === undefined) throw invalidInput({ name: "ip", messages: ["is no address of the server"] });
    return primaryIpActions["change_dns_ptr"]!(call, own);
  },
};
