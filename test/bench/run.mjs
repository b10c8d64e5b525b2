// `npm run bench`: bundles the bench from its TypeScript sources, then runs it. Never part of `npm test`.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const project = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const outfile = join(project, "dist", "bench.js");

/** A source that looks for files beside itself finds them from inside a bundle too. */
const inPlace = {
  name: "in-place",
  setup: ({ onLoad }) => onLoad({ filter: /\/(rehearsal|test)\/.*\.ts$/ }, ({ path }) => ({
    contents: readFileSync(path, "utf8").replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)), loader: "ts",
  })),
};

await build({
  entryPoints: [join(project, "test", "bench", "bench.ts")], outfile, bundle: true, platform: "node", format: "esm", target: "node20", packages: "external", logLevel: "error",
  absWorkingDir: project, plugins: [inPlace],
});
await import(pathToFileURL(outfile).href);
