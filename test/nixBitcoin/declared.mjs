// Prints what nix-bitcoin declares as secrets, as JSON: `node declared.mjs NIXPKGS_LIB NIX_BITCOIN COMMIT > declared.json`.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";

const [lib, nixBitcoin, commit] = process.argv.slice(2);
if (!lib || !nixBitcoin || !commit) {
  process.stderr.write("usage: node declared.mjs NIXPKGS_LIB NIX_BITCOIN COMMIT: two folders, and the commit that the second one holds\n");
  process.exit(2);
}
for (const file of [join(lib, "lib/default.nix"), join(nixBitcoin, "modules/modules.nix")]) {
  if (!existsSync(file)) throw new Error(`${file} does not exist. Give the folder of nixpkgs.lib first, then that of nix-bitcoin.`);
}
const expression = ["--eval", "--strict", "--json", "--arg", "lib", resolve(lib), "--arg", "nixBitcoin", resolve(nixBitcoin), join(import.meta.dirname, "declared.nix")];
const { secrets, services } = JSON.parse(execFileSync("nix-instantiate", expression, { encoding: "utf8", timeout: 60_000, stdio: ["ignore", "pipe", "inherit"] }));

const lines = (entries) => entries.join(",\n    ");
process.stdout.write(`{
  "commit": ${JSON.stringify(commit)},
  "secrets": [
    ${lines(secrets.map((secret) => JSON.stringify(secret)))}
  ],
  "services": {
    ${lines(Object.entries(services).map(([name, service]) => `${JSON.stringify(name)}: ${JSON.stringify(service)}`))}
  }
}
`);
