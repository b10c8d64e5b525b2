import { describe, expect, it } from "vitest";
import { plan, type Plan } from "../../../../rehearsal/system/switch-to-configuration.mjs";

const nothing: Plan = { stop: [], restart: [], reload: [], start: [] };
type Units = Readonly<Record<string, string>>;

function planned(previous: Units, next: Units, more: { wanted?: string[]; active?: string[]; underneath?: string[]; unfinished?: Plan } = {}): Plan {
  return plan({
    previous: new Map(Object.entries(previous)),
    next: new Map(Object.entries(next)),
    wanted: new Set(more.wanted ?? Object.keys(next)),
    active: new Set(more.active ?? Object.keys(previous)),
    underneath: new Set(more.underneath ?? []),
    unfinished: more.unfinished ?? nothing,
  });
}

describe("a switch", () => {
  it("starts what is new and wanted, and nothing that no target wants", () => {
    expect(planned({}, { "a.service": "1", "b.service": "1" }, { wanted: ["a.service"] })).toEqual({ ...nothing, start: ["a.service"] });
  });
  it("restarts what has changed and leaves the rest alone", () => {
    expect(planned({ "a.service": "1", "b.service": "1" }, { "a.service": "2", "b.service": "1" })).toEqual({ ...nothing, restart: ["a.service"] });
  });
  it("stops what is gone, and only if it runs", () => {
    expect(planned({ "a.service": "1", "b.service": "1" }, {}, { active: ["a.service"] })).toEqual({ ...nothing, stop: ["a.service"] });
  });
  it("hands a unit of Debian's over and back by restarting it", () => {
    expect(planned({}, { "ssh.service": "ours" }, { active: ["ssh.service"] })).toEqual({ ...nothing, restart: ["ssh.service"] });
    expect(planned({ "ssh.service": "ours" }, {}, { underneath: ["ssh.service"] })).toEqual({ ...nothing, restart: ["ssh.service"] });
  });
  it("neither starts nor restarts a unit that is the gate's to start, and stops it when it is gone", () => {
    const manual = (version: string): string => `[Unit]\nDescription=${version}\nX-OnlyManualStart=true\n`;
    expect(planned({ "lnd.service": manual("1") }, { "lnd.service": manual("2") })).toEqual(nothing);
    expect(planned({}, { "lnd.service": manual("1") })).toEqual(nothing);
    expect(planned({ "lnd.service": manual("1") }, {})).toEqual({ ...nothing, stop: ["lnd.service"] });
  });
  it("lets a unit run on that says so, and starts it when it does not run", () => {
    const kept = (version: string): string => `[Unit]\nDescription=${version}\nX-RestartIfChanged=false\n`;
    expect(planned({ "a.service": kept("1") }, { "a.service": kept("2") })).toEqual(nothing);
    expect(planned({ "a.service": kept("1") }, { "a.service": kept("2") }, { active: [] })).toEqual({ ...nothing, start: ["a.service"] });
  });
  it("reloads a changed unit that says so, unless what runs is Debian's", () => {
    const reloading = (version: string): string => `[Unit]\nDescription=${version}\nX-ReloadIfChanged=true\n`;
    expect(planned({ "a.service": reloading("1") }, { "a.service": reloading("2") })).toEqual({ ...nothing, reload: ["a.service"] });
    expect(planned({}, { "a.service": reloading("1") }, { active: ["a.service"] })).toEqual({ ...nothing, restart: ["a.service"] });
  });
  it("never restarts a target", () => {
    expect(planned({ "a.target": "1" }, { "a.target": "2" })).toEqual(nothing);
  });
  it("finishes what a killed one had begun", () => {
    const same = { "a.service": "2", "b.service": "2" };
    expect(planned(same, same, { unfinished: { ...nothing, restart: ["a.service"] } })).toEqual({ ...nothing, restart: ["a.service"] });
  });
});
