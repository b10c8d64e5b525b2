import { createMachine, deleteMachine } from "../../rehearsal/machines/machine.js";

/** A creator or deleter of a machine that kills itself: when its report has a given word, or after so many milliseconds. */
const [what, cache, state, name, address, authorizedKey, at] = process.argv.slice(2) as [string, string, string, string, string, string, string];
const die = (): void => process.kill(process.pid, "SIGKILL") as unknown as void;

if (/^\d+$/.test(at)) setTimeout(die, Number(at));
if (what === "delete") await deleteMachine(state, name);
else {
  await createMachine({ cache, state, name, address, authorizedKey, report: (line) => void (line.includes(at) && die()) });
}
