import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { builtModules } from "../../rehearsal/engine/built.js";
import type { GoModule } from "../../rehearsal/engine/gomodule.js";

/** age 1.3 with its plugins, and a plugin of the tests' own that stands for a hardware token. Debian's age is older and knows no hybrid recipients. */
const AGE: GoModule = {
  name: "age",
  folder: join(dirname(fileURLToPath(import.meta.url)), "age"),
  packages: [
    "filippo.io/age/cmd/age", "filippo.io/age/cmd/age-keygen", "filippo.io/age/cmd/age-plugin-batchpass", "filippo.io/age/extra/age-plugin-pq",
    "holdfast.example/interop/age/cmd/age-plugin-token",
  ],
  ldflags: "-X main.Version=v1.3.2",
};

/** The folder of age 1.3's programs, built where it is not in the cache yet. */
export async function ensureAge(): Promise<string> {
  const cache = process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast");
  const [folder] = await builtModules([AGE], { cache, report: (line) => process.stderr.write(`${line}\n`) });
  return folder!;
}
