import { isAtLeast } from "./version.js";
import { OLDEST_PULUMI } from "./versions.js";

/** Where the engine comes from: as the user has it, as Pulumi publishes it, or built here. */
export type Origin = "path" | "official" | "modules";

/** All that decides where the engine comes from. */
export interface Circumstances {
  /** The `pulumi` on the PATH. */
  readonly onPath: { readonly version: string; readonly languageHost: "there" | "missing"; readonly missingPlugins: readonly string[] } | undefined;
  /** Whether Pulumi's download host answers. */
  readonly releases: "reachable" | "unreachable";
  /** The platform's name in Pulumi's releases, where it has one. */
  readonly platform: string | undefined;
}

export interface Choice {
  readonly origin: Origin;
  /** For people: why this one and none of those before it. */
  readonly because: string;
}

/** The first that will do of: Pulumi on the PATH, the official release, Go modules. */
export function chooseOrigin({ onPath, releases, platform }: Circumstances): Choice {
  const complaint = complaintAbout(onPath, releases);
  if (complaint === undefined) return { origin: "path", because: "the Pulumi on the PATH will do" };
  if (releases === "reachable" && platform !== undefined) return { origin: "official", because: complaint };
  const why = releases === "unreachable" ? "Pulumi's download host does not answer" : "Pulumi publishes nothing for this platform";
  return { origin: "modules", because: `${complaint}, and ${why}` };
}

function complaintAbout(onPath: Circumstances["onPath"], releases: Circumstances["releases"]): string | undefined {
  if (onPath === undefined) return "there is no Pulumi on the PATH";
  if (!isAtLeast(onPath.version, OLDEST_PULUMI)) return `the Pulumi on the PATH is ${onPath.version}, older than ${OLDEST_PULUMI}`;
  if (onPath.languageHost === "missing") return "the Pulumi on the PATH has no pulumi-language-nodejs beside it";
  if (onPath.missingPlugins.length > 0 && releases === "unreachable") return `the Pulumi on the PATH lacks the plugins ${onPath.missingPlugins.join(", ")}`;
  return undefined;
}
