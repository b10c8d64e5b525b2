const SYSTEMS: Readonly<Record<string, string>> = { linux: "linux", darwin: "darwin" };
const PROCESSORS: Readonly<Record<string, string>> = { x64: "x64", arm64: "arm64" };

/**
 * The platform's name in Pulumi's releases, or `undefined` where there is none.
 *
 * @param system as `process.platform`
 * @param processor as `process.arch`
 */
export function releaseName(system: string, processor: string): string | undefined {
  const [os, cpu] = [SYSTEMS[system], PROCESSORS[processor]];
  return os === undefined || cpu === undefined ? undefined : `${os}-${cpu}`;
}
