// What Pulumi runs: bundles index.ts, the steps and the agent, so that plain `pulumi up` never runs a stale program, then runs the program.
import { bundle } from "./build.mjs";

await bundle("program", "steps", "agent");
const program = await import("./dist/program.js");

export const nodes = program.nodes;
export const peers = program.peers;
export const lndconnect = program.lndconnect;
