import { cloudBackend } from "../../rehearsal/cloud/backend/backend.js";
import type { ServerPlan } from "../../rehearsal/cloud/backend.js";

/** A local cloud that kills itself so many milliseconds into what it was asked for. */
const [what, cache, state, after, authorizedKey] = process.argv.slice(2) as [string, string, string, string, string];
const cloud = cloudBackend({ cache, state, report: () => undefined });
const plan: ServerPlan = { id: 1, name: "carol", image: "debian-13", sshKeys: [authorizedKey], addresses: { ipv4: "10.231.207.11", ipv6: "fd23:1:207:11::1" }, volumes: [5], power: "on" };
setTimeout(() => process.kill(process.pid, "SIGKILL"), Number(after));
if (what === "raze") await cloud.raze();
else if (what === "rebuild") await cloud.rebuild(plan);
else {
  await cloud.createVolume(5, 1);
  await cloud.createServer(plan);
}
