// The README's test command: does its own set-up, runs every test, and ends with the line `N passed, N failed, N skipped`.
// With --long it runs those too that take too long for CI.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const project = join(dirname(fileURLToPath(import.meta.url)), "..");
const bin = join(project, "node_modules", ".bin");
const environment = { ...process.env, PATH: `${bin}:${process.env.PATH}`, PULUMI_SKIP_UPDATE_CHECK: "true" };
const counts = { passed: 0, failed: 0, skipped: 0 };

/** Runs a program with its output shown; true when it ended well. */
function run(argv, options = {}) {
  const { status } = spawnSync(argv[0], argv.slice(1), { cwd: project, stdio: "inherit", env: environment, ...options });
  return status === 0;
}

function count(name, well) {
  counts[well ? "passed" : "failed"] += 1;
  if (!well) console.log(`FAILED: ${name}`);
  return well;
}

function vitest(projects, ...options) {
  const report = join(mkdtempSync(join(tmpdir(), "holdfast-test-")), "report.json");
  const well = run([join(bin, "vitest"), "run", ...projects.flatMap((name) => ["--project", name]), ...options, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`]);
  if (!existsSync(report)) return count(`vitest ${projects.join(" ")}`, false);
  const result = JSON.parse(readFileSync(report, "utf8"));
  rmSync(dirname(report), { recursive: true });
  counts.passed += result.numPassedTests;
  counts.failed += result.numFailedTests;
  counts.skipped += result.numPendingTests + result.numTodoTests;
  // A file that could not even be loaded has no failed test, and fails all the same.
  const broken = result.testResults.filter((file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"));
  for (const file of broken) count(file.name, false);
  if (!well && result.numFailedTests === 0 && broken.length === 0) count("vitest (an error outside the tests)", false);
  return well;
}

const fresh = !existsSync(join(project, "node_modules", ".package-lock.json"));
if (!fresh || count("npm ci", run(["npm", "ci"]))) {
  count("types (tsc)", run([join(bin, "tsc"), "--noEmit"]));
  // Two cores of a small machine: vitest itself would leave one for others.
  vitest(["unit"], "--maxWorkers=2");
  if (count("what the tests need on this machine (holdfast prepare)", run(["node", "cli/holdfast.mjs", "prepare", "--yes"]))) {
    vitest(["engine", "machines", ...(process.argv.includes("--long") ? ["long"] : [])], "--maxWorkers=3");
  }
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;
