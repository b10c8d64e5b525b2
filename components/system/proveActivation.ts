import { setTimeout as pause } from "node:timers/promises";
import type { PolicyRule } from "../../formats/settings.js";
import { activationSchema, probeSchema, type Activation, type Connection, type Probe } from "../../formats/step.js";
import { askAgent } from "../host/agent.js";
import { RemoteFailure } from "../host/ssh.js";
import { tell } from "../stepProgram.js";
import { knock } from "./knock.js";

/** Seconds that a new system has to be proven before the host's watchdog takes it back. */
export const PROOF_SECONDS = 60;

/** In the agent's words, when another activation has not ended. */
const IN_PROGRESS = "is in progress since";

export interface ActivationRequest {
  readonly connection: Connection;
  readonly toplevel: string;
  readonly policy: readonly PolicyRule[];
  /** Public key that the tunnel's end must have. */
  readonly tunnelKey: string;
}

/**
 * Decision 8: `test` first, proof over a fresh connection, and only then the boot default.
 *
 * @throws saying what failed and which system the host runs now; never while the outcome is unknown without saying that
 */
export async function proveActivation(request: ActivationRequest): Promise<Activation> {
  const { connection, toplevel } = request;
  const begun = await begin(connection, toplevel);
  if (begun.state === "committed") return begun;
  if (begun.state === "rolled-back") throw rolledBack(begun);

  const fault = await faultOf(request);
  if (fault === undefined) {
    const end = await ask(connection, "commit", { toplevel }).catch((error: Error) => afterLostConnection(connection, error.message));
    if (end.state === "committed") return end;
    throw rolledBack(end);
  }
  tell(`the new system failed its proof (${fault}); taking it back`);
  const end = await ask(connection, "rollback", { toplevel, reason: fault }).catch((error: Error) => afterLostConnection(connection, `${fault}; ${error.message}`));
  throw rolledBack({ ...end, reason: end.reason ?? fault });
}

/** Starts the activation, after the one of a deployer that died if there is one. When the connection breaks, asks the host over a new one what became of it. */
async function begin(connection: Connection, toplevel: string): Promise<Activation> {
  try {
    return await ask(connection, "activate", { toplevel, deadline: PROOF_SECONDS });
  } catch (error) {
    if (!(error instanceof RemoteFailure)) throw error;
    if (error.connectionLost) {
      tell("the connection broke during activation; asking the host over a new one");
      return whatBecame(connection, error.message);
    }
    if (!error.stderr.includes(IN_PROGRESS)) throw error;
    tell("the host still has an activation that nobody proved; waiting until its watchdog has ended it");
    await afterLostConnection(connection, error.message);
    return ask(connection, "activate", { toplevel, deadline: PROOF_SECONDS });
  }
}

/** What the host says once it answers again, at the latest some time after its watchdog's deadline. */
async function whatBecame(connection: Connection, fault: string): Promise<Activation> {
  const end = Date.now() + (PROOF_SECONDS + 60) * 1000;
  for (;;) {
    const report = await ask(connection, "activation-report", {}, 15_000).catch((error: Error) => error);
    if (!(report instanceof Error)) return report;
    if (Date.now() > end) {
      throw new Error(`The outcome is unknown: ${fault}; and the host did not answer again (${report.message}). Its watchdog takes an unproven system back by itself. `
        + "Reach its console, or run this again when it answers.");
    }
    await pause(2000);
  }
}

/** Waits until the host has decided for itself: its watchdog ends every unproven activation. */
async function afterLostConnection(connection: Connection, fault: string): Promise<Activation> {
  const end = Date.now() + (PROOF_SECONDS + 60) * 1000;
  for (;;) {
    const report = await whatBecame(connection, fault);
    if (report.state !== "pending") return { ...report, reason: report.reason ?? fault };
    if (Date.now() > end) throw new Error(`The activation is still pending after its deadline: ${fault}. Look at the unit holdfast-watchdog on the host.`);
    await pause(2000);
  }
}

/** Why the activated system must not stay, or undefined when it has proven itself. */
async function faultOf({ connection, policy, tunnelKey, toplevel }: ActivationRequest): Promise<string | undefined> {
  let probe: Probe;
  try {
    probe = await askAgent(connection, "probe", {}, probeSchema, { deadline: 20_000, channel: "fresh" });
  } catch (error) {
    return `a fresh connection did not get through: ${(error as Error).message}`;
  }
  if (probe.system !== toplevel) return `the host runs ${probe.system}`;
  if (probe.failedUnits.length > 0) return `failed units: ${probe.failedUnits.join(", ")}`;
  if (!probe.firewallLoaded) return "the firewall's rules are not loaded";
  if (probe.tunnel === null) return "the tunnel's interface is missing";
  if (probe.tunnel.publicKey !== tunnelKey) return "the tunnel has another key than the stack gave it";
  return unfiltered(connection, policy);
}

/** Knocks at ports that the policy closes: an answer of any kind, a refusal too, means that no firewall stands before them. */
async function unfiltered(connection: Connection, policy: readonly PolicyRule[]): Promise<string | undefined> {
  const open = new Set(policy.filter((rule) => rule.protocol === "tcp" && rule.from === "internet").map((rule) => rule.port));
  const closed = [10009, 18334, 8332, ...policy.filter((rule) => rule.from === "tunnel").map((rule) => rule.port)].filter((port) => !open.has(port));
  const answers = await Promise.all(closed.map((port) => knock(connection.address, port, 1000)));
  const answered = closed.filter((_, index) => answers[index] !== "silent");
  return answered.length === 0 ? undefined : `the firewall does not filter: port ${answered.join(", ")} answered from outside`;
}

const rolledBack = (end: Activation): Error =>
  new Error(`The new system was taken back: ${end.reason ?? "its proof did not arrive in time"}. The host runs ${end.previous}, as before. Nothing else was changed; correct the cause and run this again.`);

const ask = (connection: Connection, verb: string, input: unknown, deadline = 300_000): Promise<Activation> =>
  askAgent(connection, verb, input, activationSchema, { deadline, channel: verb === "activate" ? "update" : "fresh" });
