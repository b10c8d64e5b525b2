import { access, constants, stat } from "node:fs/promises";
import { delimiter, join, resolve, sep } from "node:path";

/**
 * The first executable file of a name on the PATH, or `undefined`.
 *
 * @param except a folder of ours whose programs do not count
 */
export async function findOnPath(name: string, except?: string): Promise<string | undefined> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    if (folder === "" || (except !== undefined && `${resolve(folder)}${sep}`.startsWith(`${resolve(except)}${sep}`))) continue;
    const file = join(folder, name);
    if (await isExecutable(file)) return file;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch (error) {
    if (["ENOENT", "EACCES", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
