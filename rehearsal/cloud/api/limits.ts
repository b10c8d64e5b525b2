import { ApiError } from "./errors.js";
import type { Kind, World } from "./world.js";

/** How many ended actions can still be asked for. */
export const KEPT_ACTIONS = 1_000;

/** What one project may have, as a new account's does. */
export const LIMITS = { servers: 50, volumes: 100, primary_ips: 100, firewalls: 50, networks: 50, ssh_keys: 200, placement_groups: 50 } as const;

/** @see docs.hetzner.cloud, "Firewalls" */
export const RULES_EACH = 50;
export const FIREWALLS_EACH = 5;
export const SPREAD = 10;
/** In bytes. */
export const USER_DATA = 32 * 1024;

/** @throws ApiError `resource_limit_exceeded` when a project has as many as it may */
export function requireRoom(world: World, kind: Kind): void {
  if (world[kind].length >= LIMITS[kind]) throw new ApiError("resource_limit_exceeded", `${kind.replace(/s$/, "")} limit exceeded`, { limits: [{ name: `${kind.replace(/s$/, "")}_limit` }] });
}
