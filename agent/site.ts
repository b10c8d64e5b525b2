import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { hostLayout } from "../formats/hostLayout.js";
import { run } from "./run.js";
import { diskOf, type Disk } from "./secrets/disk.js";
import { readOwners, type Owners } from "./secrets/owners.js";

/** The same places as `hostLayout`, wherever their root is. */
export type Layout = Readonly<Record<keyof typeof hostLayout, string>>;

/** What the agent touches: everything that has an effect goes through here, so that a test can stand in for a host. */
export interface Site {
  readonly root: string;
  readonly layout: Layout;
  readonly run: typeof run;
  readonly disk: Disk;
  readonly owners: () => Promise<Owners>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets, the same for all processes of one boot. */
  readonly monotonic: () => number;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
}

/** The site whose files lie below a directory: `/` is the host itself. */
export function siteBelow(root: string): Site {
  return {
    root,
    layout: Object.fromEntries(Object.entries(hostLayout).map(([key, value]) => [key, value.startsWith("/") ? join(root, value) : value])) as Layout,
    run,
    disk: diskOf(),
    owners: () => readOwners(root),
    now: Date.now,
    monotonic: () => Number(process.hrtime.bigint() / 1_000_000n),
    sleep,
  };
}

export const thisHost = siteBelow("/");
