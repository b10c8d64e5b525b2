#!/usr/bin/env node
// The `holdfast` command: bundles itself from its sources, then runs.
import { bundle } from "../build.mjs";

await bundle("command");
await import("../dist/holdfast.js");
