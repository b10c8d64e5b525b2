import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { describe, expect, it } from "vitest";
import { updateView } from "../../../cli/updateView.js";

const SECRET = "macaroon-root-key-in-clear";
const base = { sequence: 1, timestamp: 0 };
const diagnostic = (severity: string, message: string, more: Partial<EngineEvent["diagnosticEvent"]> = {}): EngineEvent =>
  ({ ...base, diagnosticEvent: { urn: "", prefix: "", color: "never", message, severity, ...more } as NonNullable<EngineEvent["diagnosticEvent"]> });
const metadata = (op: string, name = "alice-gate-open", type = "command:local:Command") =>
  ({ op, urn: `urn:pulumi:dev::holdfast::${type}::${name}`, type, provider: "", new: { inputs: { stdin: SECRET }, outputs: { stdout: SECRET } } });
const before = (op: string): EngineEvent => ({ ...base, resourcePreEvent: { metadata: metadata(op) } }) as unknown as EngineEvent;
const done = (op: string, name?: string, type?: string): EngineEvent => ({ ...base, resOutputsEvent: { metadata: metadata(op, name, type) } }) as unknown as EngineEvent;

function shown(events: readonly EngineEvent[], tense?: "did" | "would"): string[] {
  const lines: string[] = [];
  let clock = 0;
  const view = updateView((line) => lines.push(line), () => (clock += 1500), tense);
  events.forEach((event) => view(event));
  return lines;
}

describe("what an update shows", () => {
  it("never shows a debug event, whose message holds values in clear", () => {
    expect(shown([diagnostic("debug", `registering resource with stdin=${SECRET}`), diagnostic("unheard-of", SECRET)])).toEqual([]);
  });

  it("never shows a step's values, whatever became of the step", () => {
    const failed = { ...base, resOpFailedEvent: { metadata: metadata("update"), status: 1, steps: 0 } } as unknown as EngineEvent;
    const text = shown([before("create"), done("create"), done("update"), done("same"), failed]).join("\n");
    expect(text).not.toContain(SECRET);
    expect(text).toContain("update failed");
  });

  it("shows what a step says and what failed, without Pulumi's colour directives or what is gone in a moment", () => {
    expect(shown([
      diagnostic("info#err", "<{%reset%}>gate: working: restoring<{%reset%}>\n"), diagnostic("error", "first\nsecond"), diagnostic("warning", "careful"),
      diagnostic("info", "gone", { ephemeral: true }), diagnostic("info", "<{%reset%}>  <{%reset%}>"),
    ])).toEqual(["      gate: working: restoring", "    ! first\n    ! second", "    ! careful"]);
  });

  it("shows a line for each step that ran with its seconds, and none for what stayed or is no step", () => {
    const lines = shown([before("create"), done("create"), done("same", "alice-host-reach"), done("create", "alice-tunnels-phone-root", "random:index/randomPassword:RandomPassword")]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^ {2}✓ alice-gate-open +1\.5 s {2}created$/);
    expect(shown([done("create-replacement")])[0]).toMatch(/replaced$/);
  });

  it("says in a preview what would run", () => {
    expect(shown([done("update")], "would")[0]).toMatch(/alice-gate-open +would be updated$/);
  });
});
