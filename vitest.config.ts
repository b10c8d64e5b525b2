import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 20_000 } },
      // Most of their time is waiting for machines: three files at a time fill two cores (test/run.mjs).
      { test: { name: "engine", include: ["test/engine/**/*.test.ts"], testTimeout: 300_000, hookTimeout: 600_000 } },
      { test: { name: "machines", include: ["test/machines/**/*.test.ts"], testTimeout: 300_000, hookTimeout: 900_000 } },
      { test: { name: "long", include: ["test/long/**/*.test.ts"], testTimeout: 900_000, hookTimeout: 900_000 } },
    ],
  },
});
