import { engineFolders, finishedEngine, pluginSources } from "./engine.js";
import { goComplaint, goOnPath } from "./go.js";
import { rememberedReachability } from "./official.js";
import { pulumiOnPath, userHome } from "./onpath.js";
import { chooseOrigin } from "./origin.js";
import { releaseName } from "./platform.js";
import { PLUGINS, PULUMI_VERSION } from "./versions.js";

export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What of the engine is there and what is missing. Changes nothing and asks nothing of the network. */
export async function engineFindings(cache: string): Promise<readonly Finding[]> {
  const onPath = await pulumiOnPath(cache);
  const platform = releaseName(process.platform, process.arch);
  const choice = chooseOrigin({ onPath, releases: "unreachable", platform });
  const plugins = PLUGINS.map((plugin) => `${plugin.name} ${plugin.version}`).join(", ");
  if (choice.origin === "path") return [{ name: "Pulumi", ok: true, detail: `${onPath!.version} on the PATH, with ${plugins} in ${userHome()}` }];

  const engine = await finishedEngine(await engineFolders(cache));
  if (engine !== undefined) {
    const sources = await pluginSources(engine);
    const from = engine.origin === "official" ? "Pulumi's release" : "built from Go modules";
    return [
      { name: "Pulumi", ok: true, detail: `${engine.version}, ${from}, in ${engine.path[0]}` },
      ...PLUGINS.map(({ name, version }) => ({ name: `plugin ${name}`, ok: true, detail: `${version}, ${SOURCES[String(sources[name])] ?? "of unknown source"}` })),
    ];
  }
  const releases = await rememberedReachability(cache);
  const go = await goOnPath();
  const complaint = goComplaint(go, process.env["GOTOOLCHAIN"] ?? "auto");
  return [
    { name: "Pulumi", ok: false, detail: `not ready yet (${onPath === undefined ? "none on the PATH" : choice.because}): \`holdfast engine\` or \`holdfast up\` makes ${PULUMI_VERSION} ready with ${plugins}` },
    {
      name: "Pulumi's download host", ok: releases !== "unreachable",
      detail: releases === undefined ? "not asked in the last day" : `${releases} when it was last asked, within the last day`,
    },
    { name: "Go", ok: complaint === undefined, detail: complaint === undefined ? `${go}, to build what cannot be downloaded` : `${complaint} (needed only where Pulumi cannot be downloaded)` },
  ];
}

const SOURCES: Readonly<Record<string, string>> = {
  official: "as Pulumi publishes it",
  built: "the real provider, built from its Go module",
  "stand-in": "Holdfast's stand-in: the official plugin cannot be downloaded here",
};
