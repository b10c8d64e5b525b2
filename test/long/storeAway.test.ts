import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stopStore } from "../../rehearsal/machines/store.js";
import { newProject, type Project } from "../project.js";

let project: Project;

beforeAll(async () => {
  project = await newProject();
  const { exitCode, output } = await project.holdfast("up", "--yes");
  expect(exitCode, output).toBe(0);
  expect(output).toContain("open (fresh)");
});

afterAll(async () => {
  expect(await project.remove()).toEqual([]);
});

describe("a node whose machine was deleted, while its store is away", () => {
  it("is not begun anew: the gate stops with reason and remedy, and the update says so", async () => {
    await project.holdfast("machine", "delete", "alice");
    expect(await project.holdfast("machine", "create", "alice")).toMatchObject({ exitCode: 0 });
    await stopStore(project.state);
    const { exitCode, output } = await project.pulumi("up", "--yes", "--non-interactive");
    expect(exitCode).not.toBe(0);
    expect(output).toMatch(/gate of alice refuses to open: The backup store does not answer/);
    expect(output).toMatch(/Bring the store or the way to it back/);
    expect(await project.ssh("alice", "systemctl is-active holdfast-identity.target lnd.service lnd-unopened.service || true")).toMatchObject({ stdout: "inactive\ninactive\ninactive" });
    expect(await project.ssh("alice", "ls /var/lib/lnd/data/chain/bitcoin/regtest/wallet.db 2>&1 || true")).toMatchObject({ stdout: expect.stringContaining("No such file") });
  });

  it("comes back as itself when the store does, with the same command", async () => {
    // Without a name it sees to the store and the chain, too.
    expect(await project.holdfast("machine", "create")).toMatchObject({ exitCode: 0 });
    const again = await project.pulumi("up", "--yes", "--non-interactive");
    expect(again.exitCode, again.output).toBe(0);
    const status = await project.holdfast("status", "--json");
    expect(JSON.parse(status.stdout)).toMatchObject({ nodes: [{ gate: { state: "open", decision: "restore" } }] });
    expect(JSON.parse(readFileSync(join(project.state, "machines", "alice.json"), "utf8"))).toMatchObject({ generation: 2 });
  });
});
