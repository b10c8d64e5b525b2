import { accessSync, constants, existsSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";

/**
 * Why a folder cannot hold the deposit, in words that follow "found …;", or undefined when it can.
 *
 * A folder outside of the project must be there already: made by itself, it would hide that the share was not mounted.
 *
 * @param project the folder of Pulumi.yaml
 * @param folder absolute, or relative to the project
 */
export function depositFolderFault(project: string, folder: string): string | undefined {
  const whole = resolve(project, folder);
  const there = existing(whole);
  const real = join(realpathSync(there), relative(there, whole));
  if (isWithin(join(realpathSync(project), ".holdfast"), real)) {
    return "lies inside .holdfast, which is lost with this machine; wants a folder that outlives it (a mounted share, a disk that is taken away, a synchronised folder)";
  }
  if (!statSync(there).isDirectory()) return `lies below ${there}, which is a file; wants a folder`;
  if (there !== whole && isAbsolute(folder) && !isWithin(resolve(project), whole)) {
    return "names a folder that is not there; mount what holds it, or make it: it is not made by itself, so that a share that is away does not go unnoticed";
  }
  try {
    accessSync(there, constants.W_OK | constants.X_OK);
  } catch (error) {
    return `cannot be written (${(error as NodeJS.ErrnoException).code ?? "no access"} at ${there}); wants a folder that this user may write`;
  }
  return undefined;
}

/** The path itself, or what of it is there. */
const existing = (path: string): string => (existsSync(path) || dirname(path) === path ? path : existing(dirname(path)));

const isWithin = (folder: string, path: string): boolean => {
  const way = relative(folder, path);
  return way === "" || (!way.startsWith("..") && !isAbsolute(way));
};
