#!/usr/bin/env node
// The `holdfast` command: bundles itself, and what keeps an unlocked wallet, from its sources, then runs.
import { bundle } from "../build.mjs";

await bundle("command", "keeper");
await import("../dist/holdfast.js");
