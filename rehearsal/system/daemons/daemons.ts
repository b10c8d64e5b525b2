import { link, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { builtModules, folderOf, type Cached } from "../../engine/built.js";
import { goOnPath } from "../../engine/go.js";
import type { GoModule } from "../../engine/gomodule.js";
import { projectFolder } from "../../engine/place.js";
import { exists, publish } from "../../engine/publish.js";
import { hashOfHashes } from "../../engine/sources.js";

/** Where the daemons' binaries are, with a `versions.json` that gives each one's version by its name. */
export interface Daemons {
  readonly folder: string;
}

const folder = (name: string): string => projectFolder(`rehearsal/system/daemons/${name}`);

/** The daemons of the rehearsal system, from modules whose go.mod says which version. wireguard-go is Debian's. */
export const DAEMON_MODULES: readonly GoModule[] = [
  {
    name: "lnd",
    folder: folder("lnd"),
    packages: ["github.com/lightningnetwork/lnd/cmd/lnd", "github.com/lightningnetwork/lnd/cmd/lncli"],
    // The sub-servers of lnd's own release builds that the gate and the tests call.
    tags: "autopilotrpc chainrpc invoicesrpc peersrpc routerrpc signrpc walletrpc watchtowerrpc wtclientrpc",
  },
  { name: "btcd", folder: folder("btcd"), packages: ["github.com/btcsuite/btcd", "github.com/btcsuite/btcd/cmd/btcctl"] },
  { name: "rest-server", folder: folder("rest-server"), packages: ["github.com/restic/rest-server/cmd/rest-server"] },
];

/**
 * The version of a main package's module as a go.mod requires it.
 *
 * @throws Error when the go.mod requires no module to which the package belongs
 */
export function requiredVersion(goMod: string, mainPackage: string): string {
  const required = [...goMod.matchAll(/^(?:require)?\s+(\S+)\s+(v\S+)/gm)]
    .filter(([, module]) => mainPackage === module || mainPackage.startsWith(`${module}/`))
    .sort((left, right) => right[1]!.length - left[1]!.length);
  const version = required[0]?.[2];
  if (version === undefined) throw new Error(`go.mod requires no module of ${mainPackage}: add it with \`go get -tool ${mainPackage}@VERSION\``);
  return version;
}

/** Static lnd, lncli, btcd, btcctl and rest-server in one folder, built where they are not in the cache yet. */
export async function ensureDaemons(options: Cached): Promise<Daemons> {
  const go = await goOnPath();
  const parts = await Promise.all(DAEMON_MODULES.map((module) => folderOf(module, options.cache, go)));
  const whole = join(options.cache, "daemons", hashOfHashes(parts.map((part) => basename(part))));
  if (await exists(whole)) return { folder: whole };
  const built = await builtModules(DAEMON_MODULES, options);
  await publish(whole, async (draft) => {
    const versions: Record<string, string> = {};
    for (const [i, module] of DAEMON_MODULES.entries()) {
      for (const name of await readdir(built[i]!)) await link(join(built[i]!, name), join(draft, name));
      const goMod = await readFile(join(module.folder, "go.mod"), "utf8");
      for (const one of module.packages) versions[one.split("/").at(-1)!] = requiredVersion(goMod, one);
    }
    await writeFile(join(draft, "versions.json"), `${JSON.stringify(versions, undefined, 2)}\n`);
  });
  return { folder: whole };
}
