import { z } from "zod";
import { actionView, begin, ipRef, requireUnlocked, runningOn, serverRef, type Call } from "./actions.js";
import { assignedTo, firstOf, freeAddress, rangesOf } from "./addresses.js";
import { requireLocation } from "./catalogue.js";
import { ApiError, gone, invalidInput, notFound } from "./errors.js";
import { id, idOrName, labels, name, read, requireFreeName } from "./input.js";
import { requireRoom } from "./limits.js";
import { stamp, type PrimaryIp, type Server } from "./world.js";

const createSchema = z.looseObject({
  name, type: z.enum(["ipv4", "ipv6"]), assignee_type: z.literal("server").default("server"), assignee_id: id.nullish(), auto_delete: z.boolean().optional(), labels: labels.optional(),
  location: idOrName.optional(), datacenter: z.unknown().optional(),
});

/** Puts a new address into the project. */
export function newPrimaryIp(call: Call, { type, location, autoDelete, called }: { type: "ipv4" | "ipv6"; location: string; autoDelete: boolean; called?: string }): PrimaryIp {
  requireRoom(call.world, "primary_ips");
  const own = call.state.nextId++;
  const ip: PrimaryIp = {
    id: own, name: called ?? `primary_ip-${own}`, labels: {}, created: stamp(call.now), type, ip: freeAddress(call.state, type, rangesOf(call.state.block)), location, assignee: null, autoDelete,
    protection: { delete: false }, dnsPtr: [],
  };
  if (type === "ipv4") ip.dnsPtr = [{ ip: ip.ip, dns_ptr: `static.${ip.ip.split(".").reverse().join(".")}.clients.your-server.de` }];
  call.world.primary_ips.push(ip);
  return ip;
}

function serverFor(call: Call, wanted: number, type: "ipv4" | "ipv6"): Server {
  const server = call.world.servers.find((one) => one.id === wanted);
  if (server === undefined) throw invalidInput({ name: "assignee_id", messages: [`server ${wanted} not found`] });
  requireUnlocked(call, serverRef(wanted));
  if (server.status !== "off") throw new ApiError("server_not_stopped", "The Server is running, but needs to be powered off");
  if (assignedTo(call.world, wanted).some((one) => one.type === type)) throw new ApiError(`server_has_${type}`, `The Server already has an ${type} address`);
  return server;
}

/** `POST /primary_ips`. */
export function createPrimaryIp(call: Call): object {
  const wanted = read(createSchema, call.body);
  if (wanted.datacenter !== undefined) throw gone("2025-12-16-phasing-out-datacenters");
  requireFreeName(call.world.primary_ips, wanted.name);
  const server = wanted.assignee_id ? serverFor(call, wanted.assignee_id, wanted.type) : undefined;
  if (server === undefined && wanted.location === undefined) throw invalidInput({ name: "location", messages: ["is required when no assignee is given"] });
  const location = server?.location ?? requireLocation(wanted.location!).name;
  const ip = newPrimaryIp(call, { type: wanted.type, location, autoDelete: wanted.auto_delete ?? false, called: wanted.name });
  ip.labels = wanted.labels ?? {};
  const action = server ? begin(call, "assign_primary_ip", { do: "assignIp", ip: ip.id, server: server.id }, ipRef(ip.id), serverRef(server.id)) : undefined;
  return { primary_ip: primaryIpView(ip), ...(action ? { action: actionView(action, call.now) } : {}) };
}

/** `PUT /primary_ips/{id}`. */
export function updatePrimaryIp(call: Call, ip: PrimaryIp): object {
  const wanted = read(z.looseObject({ name: name.optional(), labels: labels.optional(), auto_delete: z.boolean().optional() }), call.body);
  requireFreeName(call.world.primary_ips, wanted.name, ip.id);
  if (wanted.auto_delete === true && ip.protection.delete) throw invalidInput({ name: "auto_delete", messages: ["must be false while the Primary IP is protected"] });
  if (runningOn(call.state, ipRef(ip.id)).length > 0) throw new ApiError("conflict", `Primary IP ${ip.id} is being changed`);
  Object.assign(ip, { ...(wanted.name === undefined ? {} : { name: wanted.name }), ...(wanted.labels === undefined ? {} : { labels: wanted.labels }), ...(wanted.auto_delete === undefined ? {} : { autoDelete: wanted.auto_delete }) });
  return { primary_ip: primaryIpView(ip) };
}

/** `DELETE /primary_ips/{id}`: since May 2026 an assigned one must be unassigned first. */
export function deletePrimaryIp(call: Call, ip: PrimaryIp): void {
  if (ip.protection.delete) throw new ApiError("protected", "Primary IP is protected against deletion");
  requireUnlocked(call, ipRef(ip.id));
  if (ip.assignee !== null) throw new ApiError("must_be_unassigned", `Primary IP is assigned to server ${ip.assignee}: unassign it first`);
  call.world.primary_ips = call.world.primary_ips.filter((one) => one !== ip);
}

/** `POST /primary_ips/{id}/actions/…`. */
export const primaryIpActions: Readonly<Record<string, (call: Call, ip: PrimaryIp) => object>> = {
  assign(call, ip) {
    const wanted = read(z.looseObject({ assignee_id: id, assignee_type: z.literal("server") }), call.body);
    requireUnlocked(call, ipRef(ip.id));
    if (ip.assignee !== null) throw new ApiError("primary_ip_already_assigned", `Primary IP is already assigned to server ${ip.assignee}`);
    const server = serverFor(call, wanted.assignee_id, ip.type);
    if (server.location !== ip.location) throw new ApiError("primary_ip_datacenter_mismatch", `Primary IP ${ip.id} is in ${ip.location}, the server in ${server.location}`);
    return answer(call, begin(call, "assign_primary_ip", { do: "assignIp", ip: ip.id, server: server.id }, ipRef(ip.id), serverRef(server.id)));
  },
  unassign(call, ip) {
    requireUnlocked(call, ipRef(ip.id));
    const server = call.world.servers.find((one) => one.id === ip.assignee);
    if (server === undefined) throw invalidInput({ name: "id", messages: ["Primary IP is not assigned"] });
    requireUnlocked(call, serverRef(server.id));
    if (server.status !== "off") throw new ApiError("server_not_stopped", "The Server is running, but needs to be powered off");
    return answer(call, begin(call, "unassign_primary_ip", { do: "unassignIp", ip: ip.id, server: server.id }, ipRef(ip.id), serverRef(server.id)));
  },
  change_protection(call, ip) {
    const wanted = read(z.looseObject({ delete: z.boolean() }), call.body);
    requireUnlocked(call, ipRef(ip.id));
    if (wanted.delete && ip.autoDelete) throw invalidInput({ name: "delete", messages: ["auto_delete must be false before the Primary IP can be protected"] });
    return answer(call, begin(call, "change_protection", { do: "patch", kind: "primary_ips", id: ip.id, set: { protection: { delete: wanted.delete } } }, ipRef(ip.id)));
  },
  change_dns_ptr(call, ip) {
    const wanted = read(z.looseObject({ ip: z.string(), dns_ptr: z.string().nullable() }), call.body);
    const own = ip.type === "ipv4" ? wanted.ip === ip.ip : wanted.ip.startsWith(firstOf(ip.ip).slice(0, -1));
    if (!own) throw notFound("IP", wanted.ip);
    const others = ip.dnsPtr.filter((one) => one.ip !== wanted.ip);
    const usual = ip.type === "ipv4" ? [{ ip: ip.ip, dns_ptr: `static.${ip.ip.split(".").reverse().join(".")}.clients.your-server.de` }] : [];
    const dnsPtr = [...others, ...(wanted.dns_ptr === null ? usual : [{ ip: wanted.ip, dns_ptr: wanted.dns_ptr }])];
    return answer(call, begin(call, "change_dns_ptr", { do: "patch", kind: "primary_ips", id: ip.id, set: { dnsPtr } }, ipRef(ip.id)));
  },
};

const answer = (call: Call, action: ReturnType<typeof begin>): object => ({ action: actionView(action, call.now) });

export function primaryIpView(ip: PrimaryIp): object {
  return {
    id: ip.id, name: ip.name, labels: ip.labels, created: ip.created, type: ip.type, ip: ip.ip, location: requireLocation(ip.location), assignee_id: ip.assignee, assignee_type: "server",
    auto_delete: ip.autoDelete, blocked: false, protection: ip.protection, dns_ptr: ip.dnsPtr,
  };
}
