import { mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { call } from "../../../../bunker/control/client.js";
import { serveControl, type Control } from "../../../../bunker/control/server.js";

let folder: string;
let controls: Control[];

async function serve(answer: (method: string, params: readonly unknown[]) => Promise<{ result: unknown } | { error: string }>, idleMs?: number): Promise<Control> {
  const control = await serveControl({ runFolder: folder, call: answer, ...(idleMs !== undefined ? { idleMs } : {}) });
  controls.push(control);
  return control;
}

/** What comes back for raw bytes until the other end closes. */
function raw(...chunks: (string | Buffer)[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(join(folder, "control.sock"));
    let text = "";
    socket.on("data", (chunk) => { text += String(chunk); });
    socket.once("close", () => resolve(text));
    socket.on("error", (error: NodeJS.ErrnoException) => { text += error.code; });
    for (const chunk of chunks) socket.write(chunk);
  });
}

describe("the control socket", () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "bunker-control-"));
    controls = [];
  });
  afterEach(async () => {
    for (const control of controls) await control.close();
    rmSync(folder, { recursive: true });
  });

  it("brings a call's result or error", async () => {
    await serve(async (method, params) => (method === "echo" ? { result: { params } } : { error: `no ${method}` }));
    expect(await call(folder, "echo", ["a", { b: 1 }], 5000)).toEqual({ params: ["a", { b: 1 }] });
    await expect(call(folder, "sing", [], 5000)).rejects.toThrow("no sing");
  });

  it("carries long answers, as a backup is", async () => {
    await serve(async () => ({ result: "é".repeat(3_000_000) }));
    expect(await call(folder, "backup", [], 20_000)).toHaveLength(3_000_000);
  });

  it("is for its owner alone", async () => {
    await serve(async () => ({ result: null }));
    expect(statSync(join(folder, "control.sock")).mode & 0o777).toBe(0o600);
  });

  it("takes over the socket that a killed bunker left, and no living one's", async () => {
    const dead = createServer().listen(join(folder, "control.sock"));
    await new Promise((resolve) => dead.once("listening", resolve));
    await expect(serve(async () => ({ result: null }))).rejects.toThrow(/Another bunker listens .* --run/);
    // What kill -9 leaves: the file, and nobody behind it.
    const handle = (dead as unknown as { _handle: { close(): void; unref(): void } })._handle;
    renameSync(join(folder, "control.sock"), join(folder, "left"));
    handle.close();
    renameSync(join(folder, "left"), join(folder, "control.sock"));
    await serve(async () => ({ result: "new" }));
    expect(await call(folder, "x", [], 5000)).toBe("new");
  });

  it("says how to start one where none is", async () => {
    await expect(call(folder, "ping", [], 1000)).rejects.toThrow(/No bunker listens at .*--run/);
  });

  it("gives up at the deadline", async () => {
    await serve(() => new Promise(() => {}));
    await expect(call(folder, "ping", [], 100)).rejects.toThrow("no answer from the bunker");
  });

  it("refuses what is no request, and what is too long, and goes on", async () => {
    await serve(async () => ({ result: "ok" }));
    expect(await raw("what?\n")).toContain("A request is a line of JSON");
    expect(await raw('{"id":1,"method":"x","params":[],"more":1}\n')).toContain("A request is a line of JSON");
    expect(await raw(Buffer.alloc(1_100_000, "x"))).toMatch(/at most 1048576 bytes|EPIPE|ECONNRESET/);
    await expect(call(folder, "x", ["x".repeat(1_100_000)], 5000)).rejects.toThrow("at most 1048576 bytes");
    expect(await call(folder, "ping", [], 5000)).toBe("ok");
  });

  it("reads requests that come in pieces, and several in one piece", async () => {
    await serve(async (method) => ({ result: method }), 300);
    const text = await raw('{"id":1,"meth', 'od":"a"}\n{"id":2,"method":"b"}\n');
    expect(text.trim().split("\n").map((line) => JSON.parse(line) as unknown)).toEqual([{ id: 1, result: "a" }, { id: 2, result: "b" }]);
  });

  it("ends a connection that is silent", async () => {
    await serve(async () => ({ result: null }), 50);
    expect(await raw()).toBe("");
  });
});
