import { z } from "zod";
import type { Bundle } from "../../formats/bundle.js";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import type { Site } from "../site.js";

const installedSchema = z.strictObject({
  format: z.literal("holdfast-installed/1"),
  version: z.int(),
  /** The units that read each file: whoever read a file that goes away is restarted too. */
  consumers: z.record(z.string(), z.array(z.string())),
});
export type Installed = z.infer<typeof installedSchema>;

/** The bundle that stands in the secrets directory, or undefined before the first one. */
export async function readInstalled(site: Pick<Site, "disk" | "layout">): Promise<Installed | undefined> {
  const text = await site.disk.readText(site.layout.installed);
  return text === undefined ? undefined : parseFormat(installedSchema, site.layout.installed, text);
}

export async function writeInstalled(site: Site, bundle: Bundle): Promise<void> {
  const text = printFormat(installedSchema, {
    format: "holdfast-installed/1",
    version: bundle.version,
    consumers: Object.fromEntries(bundle.files.map((file) => [file.name, file.consumers])),
  });
  if (text !== (await site.disk.readText(site.layout.installed))) await site.disk.writeWhole(site.layout.installed, text, 0o600);
}
