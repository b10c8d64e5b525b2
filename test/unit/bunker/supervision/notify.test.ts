import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createNotifier, watchdogInterval } from "../../../../bunker/supervision/notify.js";

/** Stands in for systemd's end: prints each datagram as one line of JSON. */
const receiver = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True: print(json.dumps(s.recv(65536).decode()), flush=True)
`;

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "notify-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

async function systemd(): Promise<{ readonly socket: string; readonly heard: () => string[] }> {
  const socket = join(folder(), "notify");
  const python = spawn("python3", ["-c", receiver, socket], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void python.kill());
  let text = "";
  python.stdout.on("data", (chunk) => { text += String(chunk); });
  await once(python.stdout, "data");
  // The barrier says only that what came before was read.
  return { socket, heard: () => text.trim().split("\n").slice(1).map((line) => JSON.parse(line) as string).filter((datagram) => datagram !== "BARRIER=1") };
}

const PATH = process.env["PATH"];

describe("the notifier", () => {
  it("says to systemd's socket what sd_notify(3) names, in order, and resolves when it is heard", async () => {
    const { socket, heard } = await systemd();
    const lines: string[] = [];
    const notifier = createNotifier({ environment: { NOTIFY_SOCKET: socket, PATH }, log: (_, line) => lines.push(line) });
    void notifier.extend(1_500.2);
    void notifier.ready("2 of 2 keys");
    void notifier.status("a line\nSTOPPING=1");
    void notifier.alive("fine");
    await notifier.stopping();
    expect(lines).toEqual([]);
    expect(heard().map((datagram) => datagram.trim())).toEqual(["EXTEND_TIMEOUT_USEC=1500200", "READY=1\nSTATUS=2 of 2 keys", "STATUS=a line STOPPING=1", "WATCHDOG=1\nSTATUS=fine", "STOPPING=1"]);
  });

  it("does nothing without a socket", async () => {
    const notifier = createNotifier({ environment: { NSECBUNKER_SYSTEMD_NOTIFY: "/nonexistent" }, log: (_, line) => { throw new Error(line); } });
    await notifier.ready("");
  });

  it("names the program and the remedy once when there is none", async () => {
    const lines: string[] = [];
    const notifier = createNotifier({ environment: { NOTIFY_SOCKET: "/nonexistent", NSECBUNKER_SYSTEMD_NOTIFY: "/nonexistent/systemd-notify" }, log: (_, line) => lines.push(line) });
    await notifier.ready("");
    await notifier.alive("");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("/nonexistent/systemd-notify: there is no such program");
  });

  it("runs the program that the environment names, with nothing of the environment but what it needs", async () => {
    const made = folder();
    const program = join(made, "program");
    writeFileSync(program, `#!/bin/sh\nenv | grep -c SECRET > ${made}/count\necho "$@" > ${made}/said\n`);
    chmodSync(program, 0o755);
    const lines: string[] = [];
    await createNotifier({ environment: { NOTIFY_SOCKET: "/run/x", PATH, SECRET: "x", NSECBUNKER_SYSTEMD_NOTIFY: program }, log: (_, line) => lines.push(line) }).ready("up");
    const { readFileSync } = await import("node:fs");
    expect([readFileSync(`${made}/count`, "utf8"), readFileSync(`${made}/said`, "utf8"), lines]).toEqual(["0\n", "READY=1 STATUS=up\n", []]);
  });
});

describe("watchdogInterval", () => {
  it("is systemd's in milliseconds, for the process that is watched alone", () => {
    expect(watchdogInterval({ WATCHDOG_USEC: "120000000", WATCHDOG_PID: "7" }, 7)).toBe(120_000);
    expect(watchdogInterval({ WATCHDOG_USEC: "120000000" }, 7)).toBe(120_000);
    expect(watchdogInterval({ WATCHDOG_USEC: "120000000", WATCHDOG_PID: "8" }, 7)).toBeUndefined();
    expect(watchdogInterval({}, 7)).toBeUndefined();
    expect(() => watchdogInterval({ WATCHDOG_USEC: "soon" }, 7)).toThrow("WATCHDOG_USEC (soon)");
  });
});
