import { text } from "node:stream/consumers";
import { z } from "zod";
import type { Backend } from "./backend.js";
import { cloudBackend } from "./backend/backend.js";
import { startCloud, type Cloud } from "./cloud.js";
import { faultSchema } from "./api/faults.js";
import { cloudFolder, files, writeWhole } from "./api/keep.js";

/** What the cloud's own process reads on stdin. */
export const settingsSchema = z.strictObject({
  state: z.string(), cache: z.string(), programs: z.string().optional(), faults: z.array(faultSchema), pace: z.int().nonnegative(), port: z.int().positive(),
});
export type Settings = z.infer<typeof settingsSchema>;

const report = (line: string): void => void process.stderr.write(`${new Date().toISOString()} ${line}\n`);

const realBackend = ({ state, cache, programs }: Settings): Backend => cloudBackend({ state, cache, report, ...(programs === undefined ? {} : { programs }) });

/** The port that was asked for; another one where a stranger listens there. */
async function onAPort(settings: Settings, backend: Backend): Promise<Cloud> {
  const options = { state: settings.state, backend, faults: settings.faults, pace: settings.pace, report };
  return startCloud({ ...options, port: settings.port }).catch((error: Error) => {
    if (!error.message.includes("is taken")) throw error;
    report(`${error.message}; taking a free one`);
    return startCloud(options);
  });
}

/**
 * The cloud as a process of its own: settings on stdin, its endpoint in a file, its log on stderr. Ends by SIGTERM, when the actions that run have ended.
 *
 * @param backendFor tests give another one
 */
export async function serveCloud(backendFor: (settings: Settings) => Backend = realBackend): Promise<void> {
  process.umask(0o077);
  const settings = settingsSchema.parse(JSON.parse(await text(process.stdin)));
  const cloud = await onAPort(settings, backendFor(settings));
  writeWhole(files(cloudFolder(settings.state)).endpoint, JSON.stringify({ endpoint: cloud.endpoint, port: cloud.port }));
  report(`the cloud answers at ${cloud.endpoint}`);
  await new Promise<void>((done) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => done());
    process.on("SIGHUP", () => undefined);
  });
  report("ending");
  await cloud.close();
  process.exit(0);
}
