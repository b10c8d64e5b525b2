import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, expect, it } from "vitest";
import { settingsCommand } from "../../../../components/system/nixCommands.js";
import { hostLayout } from "../../../../formats/hostLayout.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-settings-"));
afterAll(() => rmSync(folder, { recursive: true }));
const asked = (path: string) => execa("sh", ["-c", settingsCommand.replaceAll(hostLayout.settings, path)], { reject: false });

it("takes settings that are not there for none, and those that cannot be read for a failure: they say which disks are the host's", async () => {
  expect(await asked(join(folder, "absent"))).toMatchObject({ exitCode: 0, stdout: "" });
  expect((await asked(folder)).exitCode).not.toBe(0);
});
