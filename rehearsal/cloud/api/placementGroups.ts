import { z } from "zod";
import type { Call } from "./actions.js";
import { labels, name, read, requireFreeName } from "./input.js";
import { requireRoom } from "./limits.js";
import { stamp, type PlacementGroup } from "./world.js";

/** `POST /placement_groups`. All machines are on one computer here: the group is kept, and spreads nothing. */
export function createPlacementGroup(call: Call): object {
  const wanted = read(z.looseObject({ name, type: z.literal("spread"), labels: labels.optional() }), call.body);
  requireFreeName(call.world.placement_groups, wanted.name);
  requireRoom(call.world, "placement_groups");
  const group: PlacementGroup = { id: call.state.nextId++, name: wanted.name, labels: wanted.labels ?? {}, created: stamp(call.now), type: "spread" };
  call.world.placement_groups.push(group);
  return { placement_group: placementGroupView(call, group), action: null };
}

/** Whoever was in it is in none now. */
export function deletePlacementGroup(call: Call, group: PlacementGroup): void {
  call.world.servers.filter(({ placementGroup }) => placementGroup === group.id).forEach((server) => (server.placementGroup = null));
  call.world.placement_groups = call.world.placement_groups.filter((one) => one !== group);
}

export const placementGroupView = (call: Call, { id, name: called, labels: own, created, type }: PlacementGroup): object =>
  ({ id, name: called, labels: own, created, type, servers: call.world.servers.filter(({ placementGroup }) => placementGroup === id).map((one) => one.id) });
