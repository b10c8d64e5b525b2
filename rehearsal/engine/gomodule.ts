import { run } from "../run.js";

/** A Go module of ours, and what is built from it. Its go.sum pins everything that goes in. */
export interface GoModule {
  /** What reports and the cache call it. */
  readonly name: string;
  readonly folder: string;
  /** Main packages; each becomes a binary by the last part of its path. */
  readonly packages: readonly string[];
  /** Build tags with spaces between. */
  readonly tags?: string;
  /** Linker flags besides `-s -w`. */
  readonly ldflags?: string;
}

export interface BuildOptions {
  /** Where the binaries go; the folder must exist. */
  readonly out: string;
  readonly report: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** In milliseconds: six minutes is what the largest took on two cores, downloads and all. */
const LONGEST_BUILD = 45 * 60_000;
/** In milliseconds, between two lines of progress. */
const REPORT_EVERY = 5_000;

/** Settings under which the same sources always give the same static binary, whatever the user's own say. */
const ENVIRONMENT = { CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false", GOWORK: "off" };

/** The arguments of the build. `-v` names each package as it is compiled, which is all the progress that Go tells. */
export function buildArguments(module: GoModule, out: string): readonly [string, ...string[]] {
  return [
    "go", "build", "-v", "-trimpath",
    ...(module.tags === undefined ? [] : ["-tags", module.tags]),
    "-ldflags", ["-s -w", module.ldflags ?? ""].join(" ").trim(),
    "-o", `${out}/`,
    ...module.packages,
  ];
}

/**
 * Builds a module's packages as static binaries into a folder. Says how far it is every few seconds.
 *
 * @throws ProgramFailure with what Go said
 */
export async function buildGoModule(module: GoModule, options: BuildOptions): Promise<void> {
  const start = Date.now();
  const counts = { downloaded: 0, compiled: 0 };
  const seconds = (): number => Math.round((Date.now() - start) / 1000);
  const timer = setInterval(() => {
    options.report(`building ${module.name}: ${counts.downloaded} modules downloaded, ${counts.compiled} packages compiled, ${seconds()} s`);
  }, REPORT_EVERY);
  try {
    await run(buildArguments(module, options.out), {
      folder: module.folder,
      environment: ENVIRONMENT,
      deadline: LONGEST_BUILD,
      signal: options.signal,
      onLine: (line) => { counts[line.startsWith("go: downloading ") ? "downloaded" : "compiled"] += 1; },
    });
  } finally {
    clearInterval(timer);
  }
  options.report(`built ${module.name} in ${seconds()} s`);
}

/** Downloads what a module's build will need, and nothing that it will not: `go mod download` would fetch the whole graph. */
export async function downloadGoModule(module: GoModule, signal: AbortSignal): Promise<void> {
  await run(["go", "list", "-deps", "-f", "", ...(module.tags === undefined ? [] : ["-tags", module.tags]), ...module.packages], {
    folder: module.folder,
    environment: ENVIRONMENT,
    deadline: LONGEST_BUILD,
    signal,
  });
}
