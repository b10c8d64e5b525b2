import { ConcurrentUpdateError, type Stack, type UpResult } from "@pulumi/pulumi/automation/index.js";
import { forgetRepeatable, type Deployment } from "./interrupted.js";
import { knownStatusOf, specification, statusOf } from "./nodes.js";
import { noteMarks } from "./marks.js";
import { prepare, type Agreement } from "./prepare.js";
import type { Places } from "./places.js";
import { openStack, openStackForUpdate } from "./session.js";
import { summary } from "./summary.js";
import { updateView } from "./updateView.js";

/** Steps at the same time. Most wait for their hosts; Pulumi's own default lets eight gates hold up every other node. */
const PARALLEL = 64;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Makes the machines first when they are made here, then runs the update, then shows each node. */
export async function up(places: Places, agreement: Agreement, form: "text" | "json"): Promise<void> {
  const begin = Date.now();
  const say = form === "json" ? (line: string) => void process.stderr.write(`${line}\n`) : print;
  await prepare(places, agreement);
  const result = await update(places, say);
  const changes = result.summary.resourceChanges ?? {};
  const specified = specification(places);
  const changed = Object.entries(changes).some(([operation, count]) => operation !== "same" && count > 0);
  // An update without changes opens no connection: what it shows is what the stack knows, and what answers from outside.
  const statuses = await Promise.all(specified.nodes.map((node) => (changed ? statusOf(specified, node) : knownStatusOf(node, result.outputs))));
  if (form === "json") return print(JSON.stringify({ environment: places.environment, changes, nodes: statuses }));
  print("");
  specified.nodes.forEach((node, index) => print(`${summary(statuses[index]!, node.tunnel?.peers.map((peer) => peer.name), new Date())}\n`));
  if (!changed) print("Nothing changed, and no host was asked; `holdfast status` asks.");
  print(`${changeText(changes)}, ${((Date.now() - begin) / 1000).toFixed(0)} s in all.`);
}

/** Runs an update of hosts that are there, and notes in the records what they must go on having. */
export async function update(places: Places, say: (line: string) => void): Promise<UpResult> {
  specification(places);
  const stack = await openStackForUpdate(places, say);
  say(`pulumi up, stack ${places.environment}`);
  const result = await explained(() => stack.up({ parallel: PARALLEL, onEvent: updateView(say, Date.now), suppressProgress: true, suppressOutputs: true }));
  noteMarks(places, specification(places), result.outputs);
  return result;
}

/** Shows what an update would do, and touches nothing. */
export async function preview(places: Places, form: "text" | "json"): Promise<void> {
  specification(places);
  const stack = await openStack(places, (line) => void process.stderr.write(`${line}\n`));
  const view = updateView(print, Date.now, "would");
  const result = await explained(() => stack.preview({ ...(form === "text" && { onEvent: view }), suppressProgress: true }));
  print(form === "json" ? JSON.stringify(result.changeSummary) : changeText(result.changeSummary));
}

/** Runs an update, and turns Pulumi's long error into the words that matter. */
export async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ConcurrentUpdateError) {
      throw new Error("Another update of this stack runs, or died on another machine. Wait for it; if it is dead, `pulumi cancel` clears its lock.");
    }
    const text = (error as Error).message;
    const program = /^ *(?:error: )?Running program .*? failed with an unhandled exception:\n([\s\S]*?)(?:\n *at |\n\n)/m.exec(text)?.[1];
    throw new Error(program ?? "The update failed; what went wrong stands above. Correct it and run the same command again: it goes on from where it stopped.");
  }
}

/** Destroys a stack's resources, protected ones too: the caller has the operator's word. */
export async function destroyStack(stack: Stack): Promise<void> {
  const state = await stack.exportStack();
  const deployment = state.deployment as Deployment & { readonly resources?: readonly { protect?: boolean }[] };
  forgetRepeatable(deployment);
  for (const resource of deployment.resources ?? []) delete resource.protect;
  await stack.importStack(state);
  const { summary: done } = await explained(() => stack.destroy({ onEvent: updateView(print, Date.now), suppressProgress: true }));
  print(changeText(done.resourceChanges ?? {}));
}

const VERBS: readonly (readonly [string, string])[] = [["create", "created"], ["update", "updated"], ["replace", "replaced"], ["delete", "deleted"], ["same", "unchanged"]];

function changeText(changes: Readonly<Record<string, number>>): string {
  const parts = VERBS.flatMap(([operation, word]) => (changes[operation] ? [`${changes[operation]} ${word}`] : []));
  return `Resources: ${parts.join(", ") || "none"}`;
}
