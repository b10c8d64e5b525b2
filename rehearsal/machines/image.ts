import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { arch } from "node:process";
import { dirname, join } from "node:path";
import { alone } from "./lock.js";
import { checkPath } from "./names.js";
import { buildArguments, mirrorOf, RECIPE, recipeHash, type Recipe } from "./recipe.js";
import { attempt, run } from "../run.js";

/** A root file system that machines share and none of them writes to. */
export interface Image {
  readonly root: string;
  /** Of the recipe. */
  readonly hash: string;
}

export interface ImageArgs {
  /** Where everything heavy goes; the image is made once in it. */
  readonly cache: string;
  /** The machines' own unless given. */
  readonly recipe?: Recipe;
  readonly report: (line: string) => void;
  readonly signal?: AbortSignal;
}

const BUILD_DEADLINE = 20 * 60_000;

/**
 * The image of a recipe: from the cache, or built now (about half a minute, 270 MB).
 *
 * A killed build leaves nothing that is taken for an image; two at once build one.
 *
 * @throws when mmdebstrap is missing or fails, for instance because Debian's mirror cannot be reached
 */
export async function ensureImage({ cache, recipe = RECIPE, report, signal }: ImageArgs): Promise<Image> {
  const hash = recipeHash(recipe, arch);
  const folder = join(cache, "image", hash);
  const image = { root: join(folder, "root"), hash };
  checkPath(image.root);
  if (existsSync(image.root)) return image;
  await alone(`build of the image ${folder}`, BUILD_DEADLINE, async () => {
    if (existsSync(image.root)) return;
    await mkdir(folder, { recursive: true });
    for (const stale of await readdir(folder)) await rm(join(folder, stale), { recursive: true, force: true });
    const building = join(folder, "building");
    report(`building the machines' Debian ${recipe.suite} (once)`);
    await run(buildArguments(recipe, building, await debianMirror(report)), {
      deadline: BUILD_DEADLINE,
      onLine: (line) => line.startsWith("I: ") && report(line.slice(3)),
      ...(signal ? { signal } : {}),
    });
    await prepare(building, recipe);
    await rename(building, image.root);
  });
  return image;
}

async function debianMirror(report: (line: string) => void): Promise<string | undefined> {
  const targets = (): Promise<string> => run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"]);
  const known = mirrorOf(await targets());
  if (known) return known;
  report("fetching apt's package lists, to see which mirror of Debian this machine uses");
  await attempt(["apt-get", "-o", "DPkg::Lock::Timeout=120", "-q", "update"], { deadline: 300_000 });
  return mirrorOf(await targets());
}

async function prepare(root: string, recipe: Recipe): Promise<void> {
  for (const file of await readdir(join(root, "etc/ssh"))) {
    if (file.startsWith("ssh_host_")) await rm(join(root, "etc/ssh", file));
  }
  for (const [path, text] of Object.entries(recipe.files)) {
    await mkdir(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    await rm(join(root, path), { force: true });
    await writeFile(join(root, path), text, { mode: 0o644 });
  }
  for (const unit of recipe.masked) {
    await rm(join(root, "etc/systemd/system", unit), { force: true });
    await symlink("/dev/null", join(root, "etc/systemd/system", unit));
  }
  await mkdir(join(root, "root/.ssh"), { recursive: true, mode: 0o700 });
  await mkdir(join(root, "opt/rehearsal"), { recursive: true });
  await chmod(root, 0o755);
  await run(["chroot", root, "systemctl", "--quiet", "enable", ...recipe.enabled]);
  for (const emptied of ["var/lib/apt/lists", "var/cache/apt", "var/log/apt", "dev"]) {
    await rm(join(root, emptied), { recursive: true, force: true });
    await mkdir(join(root, emptied));
  }
}
