export interface Standing {
  readonly allowed: boolean;
  readonly headers: Readonly<Record<"RateLimit-Limit" | "RateLimit-Remaining" | "RateLimit-Reset", string>>;
}

export interface RateLimit {
  /** Counts a request of a project, or of nobody. */
  count(project: string): Standing;
}

/**
 * So many requests an hour for each project, given back one by one.
 *
 * @see docs.hetzner.cloud, "Rate Limiting"
 */
export function rateLimit(limit: number, now: () => number = Date.now): RateLimit {
  const left = new Map<string, { remaining: number; at: number }>();
  const every = 3_600_000 / limit;
  return {
    count(project) {
      const { remaining, at } = left.get(project) ?? { remaining: limit, at: now() };
      const refilled = Math.min(limit, remaining + (now() - at) / every);
      const allowed = refilled >= 1;
      const after = allowed ? refilled - 1 : refilled;
      left.set(project, { remaining: after, at: now() });
      return {
        allowed,
        headers: { "RateLimit-Limit": String(limit), "RateLimit-Remaining": String(Math.floor(after)), "RateLimit-Reset": String(Math.ceil((now() + (limit - after) * every) / 1000)) },
      };
    },
  };
}
