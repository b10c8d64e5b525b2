import { createHash } from "node:crypto";
import { z } from "zod";
import { actionView, begin, networkRef, runningOn, type Call } from "./actions.js";
import { gatewayOf, hostsOf, isCidr, within } from "./addresses.js";
import { ApiError, invalidInput } from "./errors.js";
import { labels, name, read, requireFreeName } from "./input.js";
import { requireRoom } from "./limits.js";
import { stamp, type Network, type PrivateNet } from "./world.js";

const block = z.string().refine((text) => isCidr(text) && !text.includes(":"), "is not an IPv4 network in CIDR block notation");
const subnetSchema = z.looseObject({ type: z.enum(["cloud", "server", "vswitch"]), network_zone: z.string().min(1), ip_range: block.nullish() });
const routeSchema = z.looseObject({ destination: block, gateway: z.string() });

type Subnet = Network["subnets"][number];

function subnetOf(ipRange: string, others: readonly Subnet[], wanted: z.infer<typeof subnetSchema>): Subnet {
  const range = wanted.ip_range ?? freeRange(ipRange, others);
  if (!within(ipRange, range.split("/")[0]!)) throw invalidInput({ name: "ip_range", messages: [`is not in ${ipRange}`] });
  if (others.some((one) => within(one.ip_range, range.split("/")[0]!) || within(range, one.ip_range.split("/")[0]!))) throw invalidInput({ name: "ip_range", messages: ["overlaps with another subnet"] });
  return { type: wanted.type, ip_range: range, network_zone: wanted.network_zone, gateway: gatewayOf(ipRange) };
}

/** The first /24 that no other subnet has. */
function freeRange(ipRange: string, others: readonly Subnet[]): string {
  const [a, b, c] = ipRange.split("/")[0]!.split(".").map(Number);
  for (let third = c!; third < 256; third++) {
    const range = `${a}.${b}.${third}.0/24`;
    if (within(ipRange, `${a}.${b}.${third}.0`) && !others.some((one) => within(one.ip_range, `${a}.${b}.${third}.0`))) return range;
  }
  throw new ApiError("no_subnet_available", "no subnet is available in the network");
}

/** `POST /networks`. Networks are kept and shown, and the machines are not wired to them. */
export function createNetwork(call: Call): object {
  const wanted = read(z.looseObject({
    name, ip_range: block, labels: labels.optional(), subnets: z.array(subnetSchema).optional(), routes: z.array(routeSchema).optional(), expose_routes_to_vswitch: z.boolean().optional(),
  }), call.body);
  requireFreeName(call.world.networks, wanted.name);
  requireRoom(call.world, "networks");
  const subnets = (wanted.subnets ?? []).reduce<Subnet[]>((all, one) => [...all, subnetOf(wanted.ip_range, all, one)], []);
  const network: Network = {
    id: call.state.nextId++, name: wanted.name, labels: wanted.labels ?? {}, created: stamp(call.now), ipRange: wanted.ip_range, subnets, routes: (wanted.routes ?? []).map(({ destination, gateway }) => ({ destination, gateway })),
    protection: { delete: false }, exposeRoutes: wanted.expose_routes_to_vswitch ?? false,
  };
  call.world.networks.push(network);
  return { network: networkView(call, network) };
}

const requireQuiet = (call: Call, network: Network): void => {
  if (runningOn(call.state, networkRef(network.id)).length > 0) throw new ApiError("conflict", `network ${network.id} is being changed`);
};

/** `PUT /networks/{id}`. */
export function updateNetwork(call: Call, network: Network): object {
  const wanted = read(z.looseObject({ name: name.optional(), labels: labels.optional(), expose_routes_to_vswitch: z.boolean().optional() }), call.body);
  requireFreeName(call.world.networks, wanted.name, network.id);
  requireQuiet(call, network);
  Object.assign(network, {
    ...(wanted.name === undefined ? {} : { name: wanted.name }), ...(wanted.labels === undefined ? {} : { labels: wanted.labels }),
    ...(wanted.expose_routes_to_vswitch === undefined ? {} : { exposeRoutes: wanted.expose_routes_to_vswitch }),
  });
  return { network: networkView(call, network) };
}

/** `DELETE /networks/{id}`: its servers are detached. */
export function deleteNetwork(call: Call, network: Network): void {
  if (network.protection.delete) throw new ApiError("protected", "network is protected against deletion");
  requireQuiet(call, network);
  for (const server of call.world.servers) server.privateNets = server.privateNets.filter((one) => one.network !== network.id);
  call.world.networks = call.world.networks.filter((one) => one !== network);
}

function changed(call: Call, network: Network, command: string, set: Record<string, unknown>): object {
  requireQuiet(call, network);
  return { action: actionView(begin(call, command, { do: "patch", kind: "networks", id: network.id, set }, networkRef(network.id)), call.now) };
}

/** `POST /networks/{id}/actions/…`. */
export const networkActions: Readonly<Record<string, (call: Call, network: Network) => object>> = {
  add_subnet: (call, network) => changed(call, network, "add_subnet", { subnets: [...network.subnets, subnetOf(network.ipRange, network.subnets, read(subnetSchema, call.body))] }),
  delete_subnet(call, network) {
    const { ip_range: range } = read(z.looseObject({ ip_range: block }), call.body);
    if (!network.subnets.some((one) => one.ip_range === range)) throw invalidInput({ name: "ip_range", messages: ["subnet not found"] });
    const inside = call.world.servers.some(({ privateNets }) => privateNets.some((one) => one.network === network.id && within(range, one.ip)));
    if (inside) throw invalidInput({ name: "ip_range", messages: ["subnet still has servers"] });
    return changed(call, network, "delete_subnet", { subnets: network.subnets.filter((one) => one.ip_range !== range) });
  },
  add_route(call, network) {
    const { destination, gateway } = read(routeSchema, call.body);
    return changed(call, network, "add_route", { routes: [...network.routes, { destination, gateway }] });
  },
  delete_route(call, network) {
    const { destination, gateway } = read(routeSchema, call.body);
    return changed(call, network, "delete_route", { routes: network.routes.filter((one) => one.destination !== destination || one.gateway !== gateway) });
  },
  change_ip_range: (call, network) => changed(call, network, "change_ip_range", { ipRange: read(z.looseObject({ ip_range: block }), call.body).ip_range }),
  change_protection(call, network) {
    const wanted = read(z.looseObject({ delete: z.boolean().optional() }), call.body);
    return changed(call, network, "change_protection", { protection: { delete: wanted.delete ?? network.protection.delete } });
  },
};

function firstFree(subnets: readonly Subnet[], taken: ReadonlySet<string>): string | undefined {
  for (const { ip_range: range } of subnets) for (const host of hostsOf(range)) if (!taken.has(host)) return host;
  return undefined;
}

/** A server's place in a network: the address asked for, or the first that is free. */
export function attachment(call: Call, server: number, network: Network, wanted: { readonly ip?: string | null; readonly aliasIps?: readonly string[] }): PrivateNet {
  const taken = new Set(call.world.servers.flatMap(({ privateNets }) => privateNets.filter((one) => one.network === network.id).flatMap((one) => [one.ip, ...one.aliasIps])));
  const subnets = network.subnets.filter(({ type }) => type !== "vswitch");
  if (subnets.length === 0) throw new ApiError("no_subnet_available", "no subnet is available in the network");
  if (wanted.ip && (taken.has(wanted.ip) || !subnets.some((one) => within(one.ip_range, wanted.ip!)))) throw new ApiError("ip_not_available", `IP ${wanted.ip} is not available in the network`);
  const ip = wanted.ip ?? firstFree(subnets, taken);
  if (ip === undefined) throw new ApiError("no_subnet_available", "no IP is available in the network");
  const mac = createHash("sha256").update(`${server} ${network.id}`).digest("hex").slice(0, 8).replace(/(..)/g, ":$1");
  return { network: network.id, ip, aliasIps: [...(wanted.aliasIps ?? [])], mac: `86:00${mac}` };
}

export const networkView = (call: Call, network: Network): object => ({
  id: network.id, name: network.name, labels: network.labels, created: network.created, ip_range: network.ipRange, subnets: network.subnets, routes: network.routes,
  servers: call.world.servers.filter(({ privateNets }) => privateNets.some((one) => one.network === network.id)).map((one) => one.id), load_balancers: [], protection: network.protection,
  expose_routes_to_vswitch: network.exposeRoutes,
});
