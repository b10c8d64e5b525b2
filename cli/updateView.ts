import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { styleText } from "node:util";
import { inOurWords } from "./walletForget.js";

/** What is for people. Events of other severities, "debug" above all, hold every resource's values in clear. */
const SHOWN: ReadonlySet<string> = new Set(["info", "info#err", "warning", "error"]);

/** Operations in which a step's program ran, or would run. */
const RUN: ReadonlyMap<string, string> = new Map([["create", "created"], ["update", "updated"], ["create-replacement", "replaced"]]);

/** Prints an update as it goes: a line for each step that ran, what it said, and what failed. Pure but for `print` and the clock. */
export function updateView(print: (line: string) => void, now: () => number, tense: "did" | "would" = "did"): (event: EngineEvent) => void {
  const started = new Map<string, number>();
  const begin = now();
  const seconds = (since: number): string => `${((now() - since) / 1000).toFixed(1).padStart(5)} s`;
  return (event) => {
    const before = event.resourcePreEvent?.metadata;
    if (before !== undefined) started.set(before.urn, now());
    const done = event.resOutputsEvent?.metadata;
    const word = done && RUN.get(done.op);
    if (done !== undefined && word !== undefined && isStep(done.type)) {
      print(tense === "would"
        ? `  ${paint("yellow", "~")} ${nameOf(done.urn).padEnd(34)} would be ${word}`
        : `  ${paint("green", "✓")} ${nameOf(done.urn).padEnd(34)} ${seconds(started.get(done.urn) ?? begin)}  ${word}`);
    }
    const failed = event.resOpFailedEvent?.metadata;
    if (failed !== undefined) print(`  ${paint("red", "✗")} ${nameOf(failed.urn).padEnd(34)} ${seconds(started.get(failed.urn) ?? begin)}  ${failed.op} failed`);
    const said = event.diagnosticEvent;
    if (said === undefined || said.ephemeral || !SHOWN.has(said.severity)) return;
    const message = inOurWords(stripped(said.message));
    if (message === "") return;
    const indent = said.severity === "error" ? paint("red", "    ! ") : said.severity === "warning" ? paint("yellow", "    ! ") : "      ";
    print(message.split("\n").map((line) => indent + line).join("\n"));
  };
}

/** Text without Pulumi's colour directives, which look like `<{%reset%}>`. */
const stripped = (text: string): string => text.replace(/<\{%[^%]*%\}>/g, "").trimEnd();

const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf("::") + 2);

const isStep = (type: string): boolean => type.startsWith("command:");

/** Colour on a terminal alone. */
export function paint(colour: "green" | "red" | "yellow" | "cyan" | "bold" | "dim", text: string): string {
  return process.stdout.isTTY ? styleText(colour, text) : text;
}
