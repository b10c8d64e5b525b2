// What Pulumi runs: bundles index.ts, the steps, the agent and the bunker, so that plain `pulumi up` never runs a stale program, then runs the program.
import { bundle } from "./build.mjs";

await bundle("program", "steps", "agent", "bunker");
const program = await import("./dist/program.js");

export const nodes = program.nodes;
export const peers = program.peers;
export const lndconnect = program.lndconnect;
