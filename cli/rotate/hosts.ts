import { execa } from "execa";
import { z } from "zod";
import { askAgent } from "../../components/host/agent.js";
import { runOnHost, shellArguments } from "../../components/host/ssh.js";
import { gateReportSchema, type GateReport } from "../../formats/gate.js";
import { probeSchema, type Connection, type Probe } from "../../formats/step.js";

/** How a login with one key ended. */
export type Login = { readonly accepted: true; readonly fingerprint: string } | { readonly accepted: false; readonly reason: string };

/** @see systemd.unit(5) */
export interface UnitState {
  readonly active: string;
  /** Another one for each time that it was started. */
  readonly invocation: string;
}

/** What rotations ask of hosts. */
export interface Hosts {
  readonly probe: (to: Connection) => Promise<Probe>;
  readonly gate: (to: Connection) => Promise<GateReport>;
  /** How those of the units are that the host has, by name. */
  readonly units: (to: Connection, units: readonly string[]) => Promise<Readonly<Record<string, UnitState>>>;
  /** Logs in over a connection of its own with the connection's key alone, and does nothing there. */
  readonly login: (to: Connection) => Promise<Login>;
}

/** Milliseconds in which a host has to answer; a hardware key is touched meanwhile. */
const [ANSWER, TOUCH] = [30_000, 60_000];

export const hosts: Hosts = {
  probe: (to) => askAgent(to, "probe", {}, probeSchema, { deadline: ANSWER, channel: "fresh" }),
  gate: (to) => askAgent(to, "gate-report", {}, gateReportSchema, { deadline: ANSWER, channel: "fresh" }),
  units: async (to, units) => (units.length === 0 ? {} : unitStates(await runOnHost(to, unitsCommand(units), { deadline: ANSWER, channel: "fresh" }))),
  login: async (to) => {
    const { exitCode, stderr, timedOut } = await execa("ssh", loginArguments(to), { reject: false, timeout: TOUCH, stdin: "ignore" });
    return loginResult(exitCode, timedOut ? `no answer in ${TOUCH / 1000} s` : stderr);
  },
};

const unitSchema = z.string().regex(/^[A-Za-z0-9:_.@-]+$/);

export const unitsCommand = (units: readonly string[]): string =>
  `systemctl show --property=Id,LoadState,ActiveState,InvocationID -- ${units.map((unit) => unitSchema.parse(unit)).join(" ")}`;

/** One block for each unit. @see systemctl(1), show */
export function unitStates(shown: string): Record<string, UnitState> {
  const field = (block: string, name: string): string => new RegExp(`^${name}=(.*)$`, "m").exec(block)?.[1] ?? "";
  return Object.fromEntries(shown.split("\n\n").filter((block) => field(block, "LoadState") === "loaded")
    .map((block) => [field(block, "Id"), { active: field(block, "ActiveState"), invocation: field(block, "InvocationID") }]));
}

/** OpenSSH's arguments for a login that tells, in its verbose lines, which key let it in. */
export const loginArguments = (to: Connection): string[] => ["-v", "-o", "BatchMode=yes", "-o", "PreferredAuthentications=publickey", ...shellArguments(to), "--", "true"];

/** @see OpenSSH sshconnect2.c, input_userauth_pk_ok and "Authenticated to" */
export function loginResult(exitCode: number | undefined, verbose: string): Login {
  const lines = verbose.split("\n");
  const fingerprint = lines.flatMap((line) => /^debug1: Server accepts key: .*\b(SHA256:[A-Za-z0-9+/]+)/.exec(line)?.[1] ?? []).at(-1);
  if (exitCode === 0 && fingerprint !== undefined) return { accepted: true, fingerprint };
  const said = lines.filter((line) => line !== "" && !line.startsWith("debug1:") && !line.startsWith("OpenSSH_")).slice(-3).join("; ");
  return { accepted: false, reason: said || `ssh ended with ${exitCode ?? "no exit code"}` };
}
