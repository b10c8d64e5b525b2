import { z } from "zod";
import { actionView, begin, beginHidden, firewallRef, serverRef, type Call } from "./actions.js";
import { isCidr } from "./addresses.js";
import { ApiError } from "./errors.js";
import { id, labels, name, read, requireFreeName } from "./input.js";
import { selects } from "./labels.js";
import { FIREWALLS_EACH, requireRoom, RULES_EACH } from "./limits.js";
import { renamed } from "./renamed.js";
import { stamp, type Action, type Firewall, type Rule, type Server, type World } from "./world.js";

const blocks = z.array(z.string().refine(isCidr, "is not in CIDR block notation")).max(100).nullish();
const port = z.string().regex(/^(any|\d{1,5}(-\d{1,5})?)$/, "is not a port or a range of ports")
  .refine((text) => text === "any" || text.split("-").every((one) => Number(one) >= 1 && Number(one) <= 65_535), "must be between 1 and 65535");

const ruleSchema = z.looseObject({
  direction: z.enum(["in", "out"]), protocol: z.enum(["tcp", "udp", "icmp", "esp", "gre"]), port: port.nullish(), source_ips: blocks, destination_ips: blocks, description: z.string().max(255).nullish(),
}).superRefine((rule, context) => {
  const ported = rule.protocol === "tcp" || rule.protocol === "udp";
  const fault = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
  if (ported && !rule.port) fault("port", `is required for ${rule.protocol}`);
  if (!ported && rule.port) fault("port", `is not possible for ${rule.protocol}`);
  if (rule.direction === "in" && !rule.source_ips?.length) fault("source_ips", "is required for direction in");
  if (rule.direction === "out" && !rule.destination_ips?.length) fault("destination_ips", "is required for direction out");
});
const rulesSchema = z.array(ruleSchema).max(RULES_EACH);

const resourceSchema = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("server"), server: z.looseObject({ id }) }),
  z.looseObject({ type: z.literal("label_selector"), label_selector: z.looseObject({ selector: z.string().min(1) }) }),
]);
type WantedResource = z.infer<typeof resourceSchema>;

const ruleOf = (rule: z.infer<typeof ruleSchema>): Rule => ({
  direction: rule.direction, protocol: rule.protocol, port: rule.port === "any" ? "1-65535" : rule.port ?? null, source_ips: rule.source_ips ?? [], destination_ips: rule.destination_ips ?? [], description: rule.description ?? null,
});

/** Directly, or because its labels match. */
const appliesTo = (firewall: Firewall, server: Server): boolean => firewall.appliedTo.some((to) => ("server" in to ? to.server === server.id : selects(to.selector)(server.labels)));

/** The firewalls of a server. */
export const firewallsOf = (world: World, server: Server): Firewall[] => world.firewalls.filter((firewall) => appliesTo(firewall, server));

const serversOf = (world: World, firewall: Firewall): Server[] => world.servers.filter((server) => appliesTo(firewall, server));

/** `POST /firewalls`. */
export function createFirewall(call: Call): object {
  const wanted = read(z.looseObject({ name, labels: labels.optional(), rules: rulesSchema.nullish(), apply_to: z.array(resourceSchema).nullish() }), call.body);
  requireFreeName(call.world.firewalls, wanted.name);
  requireRoom(call.world, "firewalls");
  const firewall: Firewall = { id: call.state.nextId++, name: wanted.name, labels: wanted.labels ?? {}, created: stamp(call.now), rules: (wanted.rules ?? []).map(ruleOf), appliedTo: [] };
  call.world.firewalls.push(firewall);
  const rules = begin(call, "set_firewall_rules", { do: "patch", kind: "firewalls", id: firewall.id, set: {} }, firewallRef(firewall.id));
  const actions = [rules, ...apply(call, firewall, wanted.apply_to ?? [])];
  return { firewall: firewallView(call, firewall), actions: views(call, actions) };
}

/** `PUT /firewalls/{id}`. */
export function updateFirewall(call: Call, firewall: Firewall): object {
  renamed(call, call.world.firewalls, firewall);
  return { firewall: firewallView(call, firewall) };
}

/** `DELETE /firewalls/{id}`. */
export function deleteFirewall(call: Call, firewall: Firewall): void {
  if (firewall.appliedTo.length > 0) throw new ApiError("resource_in_use", `firewall with ID '${firewall.id}' is still in use`);
  call.world.firewalls = call.world.firewalls.filter((one) => one !== firewall);
}

function apply(call: Call, firewall: Firewall, wanted: readonly WantedResource[]): Action[] {
  return wanted.flatMap((one) => {
    if (one.type === "label_selector") {
      const { selector } = one.label_selector;
      const matches = selects(selector);
      if (firewall.appliedTo.some((to) => "selector" in to && to.selector === selector)) throw new ApiError("firewall_already_applied", "firewall is already applied to this label selector");
      firewall.appliedTo.push({ selector });
      return call.world.servers.filter((server) => matches(server.labels)).map((server) => begin(call, "apply_firewall", { do: "filter", server: server.id }, firewallRef(firewall.id), serverRef(server.id)));
    }
    const server = call.world.servers.find((item) => item.id === one.server.id);
    if (server === undefined) throw new ApiError("firewall_resource_not_found", `server with ID '${one.server.id}' not found`);
    if (!call.world.primary_ips.some(({ assignee }) => assignee === server.id)) throw new ApiError("private_net_only_server", `server ${server.id} has no public interface`);
    if (firewall.appliedTo.some((to) => "server" in to && to.server === server.id)) throw new ApiError("firewall_already_applied", `firewall is already applied to server ${server.id}`);
    if (firewallsOf(call.world, server).length >= FIREWALLS_EACH) throw new ApiError("resource_limit_exceeded", `server ${server.id} has ${FIREWALLS_EACH} firewalls already`, { limits: [{ name: "firewall_per_server_limit" }] });
    firewall.appliedTo.push({ server: server.id, status: "pending" });
    return [begin(call, "apply_firewall", { do: "filter", server: server.id, firewall: firewall.id }, firewallRef(firewall.id), serverRef(server.id))];
  });
}

/** `POST /firewalls/{id}/actions/…`. */
export const firewallActions: Readonly<Record<string, (call: Call, firewall: Firewall) => object>> = {
  set_rules(call, firewall) {
    firewall.rules = read(z.looseObject({ rules: rulesSchema }), call.body).rules.map(ruleOf);
    const set = begin(call, "set_firewall_rules", { do: "patch", kind: "firewalls", id: firewall.id, set: {} }, firewallRef(firewall.id));
    const applied = serversOf(call.world, firewall).map((server) => begin(call, "apply_firewall", { do: "filter", server: server.id }, firewallRef(firewall.id), serverRef(server.id)));
    return { actions: views(call, [set, ...applied]) };
  },
  apply_to_resources(call, firewall) {
    return { actions: views(call, apply(call, firewall, read(z.looseObject({ apply_to: z.array(resourceSchema) }), call.body).apply_to)) };
  },
  remove_from_resources(call, firewall) {
    const wanted = read(z.looseObject({ remove_from: z.array(resourceSchema) }), call.body).remove_from;
    const actions = wanted.flatMap((one) => {
      if (one.type === "label_selector") {
        const { selector } = one.label_selector;
        const before = serversOf(call.world, firewall);
        firewall.appliedTo = firewall.appliedTo.filter((to) => !("selector" in to) || to.selector !== selector);
        return before.map((server) => begin(call, "remove_firewall", { do: "filter", server: server.id }, firewallRef(firewall.id), serverRef(server.id)));
      }
      const server = call.world.servers.find((item) => item.id === one.server.id);
      if (server === undefined) throw new ApiError("firewall_resource_not_found", `server with ID '${one.server.id}' not found`);
      const direct = firewall.appliedTo.some((to) => "server" in to && to.server === server.id);
      if (!direct && appliesTo(firewall, server)) throw new ApiError("firewall_managed_by_label_selector", "firewall is applied via a label selector and cannot be removed manually");
      return direct ? [begin(call, "remove_firewall", { do: "filter", server: server.id, firewall: firewall.id, remove: true }, firewallRef(firewall.id), serverRef(server.id))] : [];
    });
    return { actions: views(call, actions) };
  },
};

const views = (call: Call, actions: readonly Action[]): object[] => actions.map((one) => actionView(one, call.now));

/** Sets the filters of servers anew whose labels changed. */
export function refilter(call: Call, server: Server): void {
  beginHidden(call, "apply_firewall", { do: "filter", server: server.id }, serverRef(server.id));
}

/** What is let through to a server: the rules of all its firewalls together. Undefined: it has none. */
export function filterFor(world: World, server: Server, without?: number): Rule[] | undefined {
  const firewalls = firewallsOf(world, server).filter((one) => one.id !== without);
  return firewalls.length === 0 ? undefined : firewalls.flatMap(({ rules }) => rules).filter(({ direction }) => direction === "in");
}

export function firewallView(call: Call, firewall: Firewall): object {
  return {
    id: firewall.id, name: firewall.name, labels: firewall.labels, created: firewall.created, rules: firewall.rules,
    applied_to: firewall.appliedTo.map((to) => ("server" in to
      ? { type: "server", server: { id: to.server } }
      : { type: "label_selector", label_selector: { selector: to.selector }, applied_to_resources: call.world.servers.filter((one) => selects(to.selector)(one.labels)).map((one) => ({ type: "server", server: { id: one.id } })) })),
  };
}
