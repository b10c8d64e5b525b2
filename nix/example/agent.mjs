// Stands where the stack's agent goes, so that the flake can be looked at; no node is ever given this one.
process.stderr.write("This is the example's agent. Build with --override-input handover.\n");
process.exitCode = 1;
