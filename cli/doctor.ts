import { engineFindings } from "../rehearsal/engine/findings.js";
import { missingPackages } from "../rehearsal/machines/packages.js";
import { listMachines } from "../rehearsal/machines/machine.js";
import { specification } from "./nodes.js";
import type { Places } from "./places.js";
import { rehearsed } from "./prepare.js";

/** One thing that an update needs, whether it is there, and what to do when it is not. */
export interface DoctorFinding {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What this machine has and lacks for the stack. Changes nothing. */
export async function doctor(places: Places): Promise<DoctorFinding[]> {
  const findings: DoctorFinding[] = [];
  const node = process.versions.node;
  findings.push({ name: "Node.js", ok: Number(node.split(".")[0]) >= 20, detail: `${node}; 20 or newer is wanted` });
  const nodes = rehearsed(places);
  if (nodes.length > 0) {
    const missing = missingPackages();
    findings.push({ name: "Debian packages", ok: missing.length === 0, detail: missing.length === 0 ? "all there" : `missing: ${missing.join(", ")}; apt-get install ${missing.join(" ")}, or holdfast up --yes` });
    findings.push({ name: "root", ok: process.getuid?.() === 0, detail: process.getuid?.() === 0 ? "yes" : "machines need root: run this as root" });
    for (const name of nodes) {
      const machine = (await listMachines(places.state)).find((one) => one.name === name);
      findings.push({ name: `machine ${name}`, ok: machine?.running === true, detail: machine === undefined ? "not made yet; holdfast up makes it" : machine.running ? "running" : "down; holdfast up starts it" });
    }
  }
  findings.push(...await engineFindings(places.cache));
  findings.push(configurationFinding(places));
  return findings;
}

function configurationFinding(places: Places): DoctorFinding {
  const name = `Pulumi.${places.environment}.yaml`;
  try {
    specification(places);
    return { name, ok: true, detail: "valid" };
  } catch (error) {
    return { name, ok: false, detail: (error as Error).message };
  }
}
