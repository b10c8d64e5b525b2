import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { builtModules } from "../../rehearsal/engine/built.js";
import type { GoModule } from "../../rehearsal/engine/gomodule.js";

/** Hetzner's own client library, in a program that leads one server through its whole life. */
const WALK: GoModule = { name: "hcloud-walk", folder: join(dirname(fileURLToPath(import.meta.url)), "hcloud"), packages: ["holdfast.example/interop/hcloud/cmd/walk"], ldflags: "" };

/** The program `walk`, built where it is not in the cache yet. Its arguments are an endpoint and a public SSH key; it reads a token on stdin. */
export async function ensureWalk(): Promise<string> {
  const cache = process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast");
  const [folder] = await builtModules([WALK], { cache, report: (line) => process.stderr.write(`${line}\n`) });
  return join(folder!, "walk");
}
