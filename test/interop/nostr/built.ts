import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { builtModules } from "../../../rehearsal/engine/built.js";
import type { GoModule } from "../../../rehearsal/engine/gomodule.js";
import { withLock } from "../../../rehearsal/engine/lock.js";
import { exists, publish } from "../../../rehearsal/engine/publish.js";
import { run } from "../../../rehearsal/run.js";

export const here = dirname(fileURLToPath(import.meta.url));
const cache = process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast");
const report = (line: string): void => void process.stderr.write(`${line}\n`);

/** go-nostr's client and the relay khatru. */
const GO: GoModule = { name: "nostr", folder: join(here, "go"), packages: ["holdfast.example/interop/nostr/cmd/nip46-client", "holdfast.example/interop/nostr/cmd/relay"] };

/** The folder of the Go programs, built where it is not in the cache yet. */
export async function ensureGoPrograms(): Promise<string> {
  const [folder] = await builtModules([GO], { cache, report });
  return folder!;
}

/** A folder of Python packages, for PYTHONPATH: those of `python/requirements.txt`, whose hashes pin them. Installed where it is not in the cache yet. */
export async function ensurePythonPackages(): Promise<string> {
  const requirements = join(here, "python", "requirements.txt");
  const python = await run(["python3", "--version"]);
  const hash = createHash("sha256").update(JSON.stringify([python, process.platform, process.arch])).update(readFileSync(requirements)).digest("hex").slice(0, 16);
  const folder = join(cache, "python-nostr", hash);
  if (await exists(folder)) return folder;
  await withLock(join(cache, "python-nostr", "lock"), { report, deadline: 10 * 60_000 }, async () => {
    if (await exists(folder)) return;
    await publish(folder, async (draft) => {
      await run(["python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", draft, "--requirement", requirements], { deadline: 5 * 60_000 });
    });
  });
  return folder;
}
