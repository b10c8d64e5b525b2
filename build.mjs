// Bundles the program, its steps, the agent and the command into dist/: 0.2 s, so that each runs from its sources as they are now.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const project = dirname(fileURLToPath(import.meta.url));

const stepsOf = (folder) => {
  const steps = join(project, "components", folder, "steps");
  return existsSync(steps) ? readdirSync(steps).map((file) => join(steps, file)) : [];
};

/** A source that looks for files beside itself finds them from inside a bundle too. */
const inPlace = {
  name: "in-place",
  setup: ({ onLoad }) => onLoad({ filter: /\/rehearsal\/.*\.ts$/ }, ({ path }) => ({
    contents: readFileSync(path, "utf8").replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)), loader: "ts",
  })),
};

/** One file with all packages in it. CommonJS packages want `require`. */
const alone = {
  outExtension: { ".js": ".mjs" },
  banner: { js: 'import { createRequire as holdfastRequire } from "node:module"; const require = holdfastRequire(import.meta.url);' },
};

/** node:sqlite is asked for when it is used, so that an older Node gets as far as the line that says which one is wanted. */
const lateSqlite = {
  name: "late-sqlite",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^node:sqlite$/ }, () => ({ path: "sqlite", namespace: "late" }));
    onLoad({ filter: /.*/, namespace: "late" }, () => ({ contents: 'export const { DatabaseSync } = process.getBuiltinModule?.("node:sqlite") ?? {};', loader: "js" }));
  },
};

/** Each bundle by name: what it is made from, and whether the packages are in it. */
const bundles = {
  program: { entryPoints: [join(project, "index.ts")], entryNames: "program", packages: "external" },
  steps: { entryPoints: ["host", "secrets", "system", "recovery"].flatMap(stepsOf), entryNames: "steps/[name]", packages: "external" },
  // Runs on a host that has no packages of ours.
  agent: { entryPoints: [join(project, "agent", "main.ts")], entryNames: "agent", ...alone },
  bunker: { entryPoints: [join(project, "bunker", "main.ts")], entryNames: "bunker", ...alone, target: "node22", plugins: [lateSqlite] },
  // Makes identities on a machine that has nothing but Node.
  wallet: { entryPoints: [join(project, "custody", "wallet", "offline.ts")], entryNames: "holdfast-wallet", ...alone },
  keeper: { entryPoints: [join(project, "custody", "wallet", "keep.ts")], entryNames: "wallet-keeper", packages: "external" },
  command: { entryPoints: [join(project, "cli", "main.ts")], entryNames: "holdfast", packages: "external", plugins: [inPlace] },
};

/** Builds the named bundles. A file that would not change is left alone; another appears whole. */
export async function bundle(...names) {
  for (const { outputFiles } of await Promise.all(names.map((name) => build({
    bundle: true, write: false, platform: "node", format: "esm", target: "node20", logLevel: "error", outdir: join(project, "dist"), absWorkingDir: project, ...bundles[name],
  })))) {
    for (const { path, contents } of outputFiles) {
      if (existsSync(path) && readFileSync(path).equals(contents)) continue;
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.${process.pid}`, contents);
      renameSync(`${path}.${process.pid}`, path);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle(...Object.keys(bundles));
