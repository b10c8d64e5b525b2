import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ConcurrentUpdateError, type Stack } from "@pulumi/pulumi/automation/index.js";
import { afterAll, describe, expect, it } from "vitest";
import { forgetInterrupted, forgetRepeatable, requireState, type Deployment } from "../../../cli/interrupted.js";

const operation = (type: string, resource: string) => ({ type, resource: { type: resource, urn: `urn:${resource}` } });
const step = operation("creating", "command:local:Command");
const root = operation("creating", "random:index/randomPassword:RandomPassword");
const server = operation("creating", "hcloud:index/server:Server");
const deletion = operation("deleting", "command:local:Command");

describe("what a killed update had begun", () => {
  it("is forgotten when making it again leaves nothing behind; a cloud's resource is not", () => {
    const deployment: Deployment = { pending_operations: [step, server, root, deletion] };
    expect(forgetRepeatable(deployment)).toBe(2);
    expect(deployment).toEqual({ pending_operations: [server, deletion] });
    const only: Deployment = { pending_operations: [step] };
    expect(forgetRepeatable(only)).toBe(1);
    expect(only).toEqual({});
    expect(forgetRepeatable({})).toBe(0);
  });
});

describe("a stack in a folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-interrupted-"));
  const backend = pathToFileURL(folder).href;
  afterAll(() => rmSync(folder, { recursive: true }));

  it("without anything in it is refused when the records know its nodes: they would get new keys", () => {
    const { stack } = stackWith("lost", []);
    expect(() => requireState(["alice"], stack, `${backend}?metadata=skip`, "holdfast")).toThrow(/know alice, .* is empty.* new keys.*Nothing was touched.*holdfast state restore -s lost.*pulumi stack rename/);
    expect(() => requireState([], stack, backend, "holdfast")).not.toThrow();
    expect(() => requireState(["alice"], stack, "s3://elsewhere", "holdfast")).not.toThrow();
    expect(() => requireState(["alice"], stackWith("whole", [step]).stack, backend, "holdfast")).not.toThrow();
  });

  /** A stack of this name whose exported state has these operations; what is asked of it is noted. */
  function stackWith(name: string, operations: readonly object[]) {
    const calls: unknown[] = [];
    const deployment = { resources: [], ...(operations.length > 0 && { pending_operations: [...operations] }) };
    mkdirSync(join(folder, ".pulumi/stacks/holdfast"), { recursive: true });
    writeFileSync(join(folder, `.pulumi/stacks/holdfast/${name}.json`), JSON.stringify({ checkpoint: { latest: deployment } }));
    const stack = { name, exportStack: async () => ({ version: 3, deployment }), importStack: async (state: unknown) => void calls.push(structuredClone(state)) };
    return { stack: stack as unknown as Stack, calls };
  }

  it("is written anew without it, and the operator is told", async () => {
    const { stack, calls } = stackWith("dev", [step, server, root]);
    expect(await forgetInterrupted(stack, backend, "holdfast")).toEqual(["a killed update left 2 steps half-way; each is begun again"]);
    expect(calls).toEqual([{ version: 3, deployment: { resources: [], pending_operations: [server] } }]);
  });

  it.each([["nothing is pending", []], ["only a cloud's resource is", [server]]])("is left alone when %s", async (_, operations) => {
    const { stack, calls } = stackWith("other", operations);
    expect(await forgetInterrupted(stack, backend, "holdfast")).toEqual([]);
    expect(calls).toEqual([]);
  });

  it("keeps what a living update is at: its lock is in the way", async () => {
    const { stack } = stackWith("dev", [step]);
    const locked = Object.assign(Object.create(stack) as Stack, {
      importStack: () => Promise.reject(new ConcurrentUpdateError("the stack is currently locked by 1 lock(s)")),
    });
    expect(await forgetInterrupted(locked, backend, "holdfast")).toEqual([]);
  });

  it("is no other backend's", async () => {
    const { stack, calls } = stackWith("dev", [step]);
    expect(await forgetInterrupted(stack, "s3://bucket", "holdfast")).toEqual([]);
    expect(calls).toEqual([]);
  });
});
