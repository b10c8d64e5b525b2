// `npm run bench`: bundles each bench from its TypeScript sources, then runs it. `npm run bench -- bunker` runs that one alone. Never part of `npm test`.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const project = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const sources = { bunker: "bunker.ts", rehearsal: "bench.ts" };

/** A source that looks for files beside itself finds them from inside a bundle too. */
const inPlace = {
  name: "in-place",
  setup: ({ onLoad }) => onLoad({ filter: /\/(rehearsal|test)\/.*\.ts$/ }, ({ path }) => ({
    contents: readFileSync(path, "utf8").replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)), loader: "ts",
  })),
};

const named = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const unknown = named.filter((name) => !Object.hasOwn(sources, name));
if (unknown.length > 0) {
  process.stderr.write(`There is no bench ${unknown.join(", ")}: there are ${Object.keys(sources).join(" and ")}.\n`);
  process.exit(1);
}
// A bench reads its options alone.
process.argv = process.argv.filter((word, index) => index < 2 || !named.includes(word));
for (const name of named.length > 0 ? named : Object.keys(sources)) {
  const outfile = join(project, "dist", `bench-${name}.js`);
  await build({
    entryPoints: [join(project, "test", "bench", sources[name])], outfile, bundle: true, platform: "node", format: "esm", target: "node20", packages: "external", logLevel: "error",
    absWorkingDir: project, plugins: [inPlace],
  });
  await import(pathToFileURL(outfile).href);
}
