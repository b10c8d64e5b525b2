import { hostLayout } from "../../formats/hostLayout.js";

/** Unpacks a tar from stdin into a folder of its own, complete or not at all. */
export function unpackCommand(id: string): string {
  const folder = `${hostLayout.sources}/${id}`;
  return [
    "set -e", "umask 077", `mkdir -p ${hostLayout.sources}`, `rm -rf ${folder}.part`, `mkdir ${folder}.part`,
    `tar --extract --no-same-owner --directory ${folder}.part`, `rm -rf ${folder}`, `mv ${folder}.part ${folder}`,
    `find ${hostLayout.sources} -mindepth 1 -maxdepth 1 ! -name ${id} -exec rm -rf {} +`,
  ].join("; ");
}

/** What the host's present system was made from, JSON; nothing where it is none of ours. */
export const settingsCommand = `if [ -e ${hostLayout.settings} ]; then cat ${hostLayout.settings}; fi`;

/**
 * Builds a node's system from unpacked sources and keeps it from garbage collection. Prints its store path.
 *
 * @see nix3-build(1), nix-store(1) --add-root
 */
export function buildCommand(id: string, node: string): string {
  const folder = `${hostLayout.sources}/${id}`;
  return [
    "set -e",
    `built=$(nix --extra-experimental-features 'nix-command flakes' build --no-link --print-out-paths --no-write-lock-file 'path:${folder}/flake#holdfastSystems.${node}' --override-input handover 'path:${folder}/handover')`,
    `nix-store --realise "$built" --add-root ${hostLayout.candidate} >/dev/null`,
    'echo "$built"',
  ].join("; ");
}
