import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { readRecord } from "./onpath.js";
import { run } from "../run.js";
import { PULUMI_RELEASES, PULUMI_SHA256, PULUMI_VERSION } from "./versions.js";

/** In milliseconds: how long a machine without a way there may wait to learn so. */
const PROBE_DEADLINE = 3_000;
/** In milliseconds: how long the answer is believed. */
const PROBE_HOLDS = 24 * 3_600_000;
const DOWNLOAD_DEADLINE = 20 * 60_000;
const REPORT_EVERY = 5_000;

/** Which release from where. Tests put a server of their own here. */
export interface Release {
  /** URL of the folder of archives, without a slash at its end. */
  readonly releases: string;
  readonly version: string;
  /** As in the archives' names. */
  readonly platform: string;
  /** The archive's SHA-256 in hex, where it is pinned. */
  readonly sha256: string | undefined;
}

/** Pulumi's own release for a platform. */
export function officialRelease(platform: string): Release {
  return { releases: PULUMI_RELEASES, version: PULUMI_VERSION, platform, sha256: PULUMI_SHA256[platform] };
}

const checksumsOf = ({ releases, version }: Pick<Release, "releases" | "version">): string => `${releases}/pulumi-${version}-checksums.txt`;
const archiveOf = ({ version, platform }: Release): string => `pulumi-v${version}-${platform}.tar.gz`;

/** Whether Pulumi's download host answers. The answer is remembered for a day. */
export async function releasesReachable(cache: string, releases = PULUMI_RELEASES): Promise<Reachability> {
  const record = join(cache, "engine", "releases.json");
  const known = await rememberedReachability(cache, releases);
  if (known !== undefined) return known;
  const answer = await fetch(checksumsOf({ releases, version: PULUMI_VERSION }), { method: "HEAD", signal: AbortSignal.timeout(PROBE_DEADLINE) })
    .then((response): Reachability => (response.ok ? "reachable" : "unreachable"), (): Reachability => "unreachable");
  await mkdir(dirname(record), { recursive: true });
  await writeFile(record, JSON.stringify({ releases, answer, at: Date.now() }));
  return answer;
}

export type Reachability = "reachable" | "unreachable";

/** What was learnt in the last day, if anything. */
export async function rememberedReachability(cache: string, releases = PULUMI_RELEASES): Promise<Reachability | undefined> {
  const known = await readRecord(join(cache, "engine", "releases.json"));
  if (known?.["releases"] !== releases || !(Date.now() - Number(known["at"]) < PROBE_HOLDS)) return undefined;
  return known["answer"] === "reachable" ? "reachable" : "unreachable";
}

/** A file's SHA-256 in a checksums file as `sha256sum` writes it. */
export function checksumIn(text: string, file: string): string | undefined {
  const line = text.split("\n").find((one) => one.trim().split(/\s+\*?/)[1] === file);
  return /^[0-9a-f]{64}\b/i.exec(line?.trim() ?? "")?.[0].toLowerCase();
}

/**
 * Downloads a release's archive, verifies it, and unpacks its programs into `folder/bin`.
 *
 * @throws Error when it cannot be downloaded or is not what its checksum says
 */
export async function installRelease(release: Release, folder: string, report: (line: string) => void, signal?: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([AbortSignal.timeout(DOWNLOAD_DEADLINE), ...(signal === undefined ? [] : [signal])]);
  const wanted = release.sha256 ?? await publishedChecksum(release, limit);
  const archive = join(folder, archiveOf(release));
  const response = await get(`${release.releases}/${archiveOf(release)}`, limit);
  const hash = createHash("sha256");
  let bytes = 0;
  const timer = setInterval(() => report(`downloading Pulumi ${release.version}: ${Math.round(bytes / 1e6)} MB`), REPORT_EVERY);
  try {
    await pipeline(Readable.fromWeb(response), async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
    }, createWriteStream(archive));
  } finally {
    clearInterval(timer);
  }
  const found = hash.digest("hex");
  if (found !== wanted) throw new Error(`${archiveOf(release)} has SHA-256 ${found} where ${wanted} is wanted: it was not unpacked`);
  await run(["tar", "-xzf", archive, "-C", folder, "--no-same-owner"], { deadline: 120_000, signal });
  await rename(join(folder, "pulumi"), join(folder, "bin"));
  await rm(archive);
}

async function publishedChecksum(release: Release, signal: AbortSignal): Promise<string> {
  const text = await new Response(await get(checksumsOf(release), signal)).text();
  const found = checksumIn(text, archiveOf(release));
  if (found === undefined) throw new Error(`${checksumsOf(release)} has no SHA-256 of ${archiveOf(release)}`);
  return found;
}

async function get(url: string, signal: AbortSignal): Promise<NonNullable<Response["body"]>> {
  const response = await fetch(url, { signal });
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status} ${response.statusText}`);
  return response.body;
}
