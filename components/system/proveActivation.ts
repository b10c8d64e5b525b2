import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { PolicyRule } from "../../formats/settings.js";
import { activationSchema, probeSchema, type Activation, type Connection, type Probe } from "../../formats/step.js";
import { askAgent } from "../host/agent.js";
import { RemoteFailure, type Channel } from "../host/ssh.js";
import { tell } from "../stepProgram.js";
import { knock } from "./knock.js";

/** Milliseconds after the watchdog's deadline in which a host may still be rolling back, or its connection be away. */
const PATIENCE = 60_000;

/** In the agent's words, when another activation has not ended. */
const IN_PROGRESS = "is in progress since";

export interface ActivationRequest {
  readonly connection: Connection;
  readonly toplevel: string;
  /** Of the bundle that goes with it. */
  readonly secretsVersion: number;
  readonly policy: readonly PolicyRule[];
  /** Public key that the tunnel's end must have; null for a node without a tunnel. */
  readonly tunnelKey: string | null;
  /** How long the new system has to be proven before the host's watchdog takes it back. */
  readonly proofSeconds: number;
}

/**
 * Decision 8: `test` first, proof over a fresh connection, and only then the boot default.
 *
 * @throws saying what failed and which system the host runs now; never while the outcome is unknown without saying that
 */
export async function proveActivation(request: ActivationRequest): Promise<Activation> {
  const { connection, toplevel, secretsVersion } = request;
  const begun = await begin(request);
  if (begun.state === "committed") return begun;
  if (begun.state === "rolled-back") throw rolledBack(begun);
  const { restarted } = begun;
  if (restarted !== undefined) tell(`secrets changed; restarted ${restarted.join(", ")}`);

  const fault = await faultOf(request);
  if (fault === undefined) {
    const end = await ask(connection, "commit", { toplevel, secretsVersion }).catch((error: Error) => afterLostConnection(request, error.message));
    if (end.state === "committed") return { ...end, ...(restarted !== undefined && { restarted }) };
    throw rolledBack(end);
  }
  tell(`the new system failed its proof (${fault}); taking it back`);
  const end = await ask(connection, "rollback", { toplevel, reason: fault }).catch(() => afterLostConnection(request, fault));
  throw rolledBack(end);
}

/**
 * Starts the activation. Asked for again under the same id, it is not begun again: so a broken connection is no more than a delay,
 * and so is the activation of a deployer that died.
 */
async function begin({ connection, toplevel, secretsVersion, proofSeconds }: ActivationRequest): Promise<Activation> {
  const activation = { toplevel, secretsVersion, deadline: proofSeconds, id: randomUUID() };
  const end = Date.now() + proofSeconds * 1000 + PATIENCE;
  let channel: Channel = "update";
  for (let told = ""; ; await pause(1000)) {
    try {
      return await ask(connection, "activate", activation, { deadline: 300_000, channel });
    } catch (error) {
      const delay = error instanceof RemoteFailure ? delayOf(error) : undefined;
      if (delay === undefined) throw error;
      if (Date.now() > end) throw unknownOutcome((error as Error).message);
      if (told !== delay) tell(told = delay);
      channel = "fresh";
    }
  }
}

/** Why an activation is to be asked for again, or undefined when that would not help. */
function delayOf(failure: RemoteFailure): string | undefined {
  if (failure.connectionLost) return "the connection broke during activation; asking the host over a new one";
  return failure.stderr.includes(IN_PROGRESS) ? "the host is still at an activation that another deployer began; waiting for its end" : undefined;
}

/** Waits until the host has decided for itself: its watchdog ends every unproven activation. */
async function afterLostConnection({ connection, toplevel, secretsVersion, proofSeconds }: ActivationRequest, fault: string): Promise<Activation> {
  for (const end = Date.now() + proofSeconds * 1000 + PATIENCE; ; await pause(1000)) {
    const report = await ask(connection, "activation-report", {}, { deadline: 15_000 }).catch((error: Error) => error);
    if (!(report instanceof Error) && report.state !== "pending") {
      const meant = report.toplevel === toplevel && report.secretsVersion === secretsVersion;
      if (meant && report.state === "committed") return report;
      const reason = meant ? report.reason : "the host restarted before the commit";
      const previous = meant ? report.previous : report.toplevel;
      return { state: "rolled-back", toplevel, previous, reason: `${oneLine(fault)}; so ${reason}` };
    }
    if (!(report instanceof Error) && report.reason !== undefined) throw new Error(`${report.reason}. The host's own rollback did not succeed.`);
    if (Date.now() < end) continue;
    if (report instanceof Error) throw unknownOutcome(`${fault}; and the host did not answer again (${report.message})`);
    throw new Error(`The activation is still pending after its deadline: ${fault}. Look at the unit holdfast-watchdog on the host.`);
  }
}

const unknownOutcome = (fault: string): Error =>
  new Error(`The outcome is unknown: ${fault}. The host's watchdog takes an unproven system back by itself. Reach its console, or run this again when it answers.`);

/** Why the activated system must not stay, or undefined when it has proven itself. */
async function faultOf({ connection, policy, tunnelKey, toplevel, secretsVersion }: ActivationRequest): Promise<string | undefined> {
  // Silence takes its second while the host is asked.
  const knocks = unfiltered(connection, policy);
  let probe: Probe;
  try {
    probe = await askAgent(connection, "probe", {}, probeSchema, { deadline: 20_000, channel: "fresh" });
  } catch (error) {
    return `a fresh connection did not get through: ${oneLine((error as Error).message)}`;
  }
  if (probe.system !== toplevel) return `the host runs ${probe.system}`;
  if (probe.secretsVersion !== secretsVersion) return `the host has ${probe.secretsVersion === null ? "no secrets" : `the secrets of ${new Date(probe.secretsVersion).toISOString()}`}`;
  if (probe.failedUnits.length > 0) return `failed units: ${probe.failedUnits.join(", ")}`;
  if (!probe.firewallLoaded) return "the firewall's rules are not loaded";
  if (tunnelKey === null) return probe.tunnel === null ? knocks : "a tunnel is up, and the stack gives this node none";
  if (probe.tunnel === null) return "the tunnel's interface is missing";
  if (probe.tunnel.publicKey !== tunnelKey) return "the tunnel has another key than the stack gave it";
  return knocks;
}

/** Knocks at ports that the policy closes: an answer of any kind, a refusal too, means that no firewall stands before them. */
async function unfiltered(connection: Connection, policy: readonly PolicyRule[]): Promise<string | undefined> {
  const open = new Set(policy.filter((rule) => rule.protocol === "tcp" && rule.from === "internet").map((rule) => rule.port));
  const closed = [10009, 18334, 8332, ...policy.filter((rule) => rule.from === "tunnel").map((rule) => rule.port)].filter((port) => !open.has(port));
  const answers = await Promise.all(closed.map((port) => knock(connection.address, port, 1000)));
  const answered = closed.filter((_, index) => answers[index] !== "silent");
  return answered.length === 0 ? undefined : `the firewall does not filter: port ${answered.join(", ")} answered from outside`;
}

const oneLine = (text: string): string => text.trim().replaceAll("\n", " | ");

const rolledBack = (end: Activation): Error =>
  new Error(`The new system was taken back: ${end.reason ?? "its proof did not arrive in time"}. The host runs ${end.previous}, as before. Nothing else was changed; correct the cause and run this again.`);

/** Over a connection of its own unless told: what is asked here may have to tell of the end of another. */
const ask = (connection: Connection, verb: string, input: unknown, { deadline = 300_000, channel = "fresh" }: { readonly deadline?: number; readonly channel?: Channel } = {}): Promise<Activation> =>
  askAgent(connection, verb, input, activationSchema, { deadline, channel });
