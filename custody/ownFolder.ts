import { lstatSync } from "node:fs";
import { userInfo } from "node:os";

/**
 * Before something that opens keys is left in a folder of a place where everybody may make one.
 *
 * @throws when others may enter the folder, or could have made it
 */
export function requireOwnFolder(folder: string): void {
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== userInfo().uid || (found.mode & 0o077) !== 0) {
    throw new Error(`${folder} is not a folder of yours alone (0700), and what opens keys would lie in it. Remove it, and run this again.`);
  }
}
