import type { BackupReport } from "../formats/backupReport.js";
import { bunkerLine } from "./bunker/shown.js";
import type { NodeStatus, SeenPort } from "./nodes.js";
import { table } from "./table.js";
import { paint } from "./updateView.js";

/**
 * What a person wants to see of a node at one glance.
 *
 * @param peers of its tunnel; undefined when the stack gives the node none
 */
export function summary(node: NodeStatus, peers: readonly string[] | undefined, now: Date): string {
  const rows: string[][] = [
    ["node id", paint("bold", node.gate?.nodePublicKey ?? node.nodePublicKey)],
    ["address", `${node.address} (host generation ${node.generation})`],
  ];
  if (node.unreachable !== undefined) rows.push(["host", paint("red", node.unreachable)]);
  if (node.gate !== undefined) rows.push(["gate", node.gate.state === "open" ? paint("green", `open (${node.gate.decision ?? "unknown"})`) : paint("red", `${node.gate.state}: ${node.gate.reason ?? node.gate.phase}`)]);
  if (node.known !== undefined) rows.push(["gate", `${node.known.gate} (${node.known.decision}), at the last change`], ["system", node.known.system]);
  if (node.gate?.remedy !== undefined) rows.push(["remedy", node.gate.remedy]);
  if (node.system !== undefined) rows.push(["system", `${node.system.state} ${node.system.toplevel}`]);
  if (node.probe !== undefined) rows.push(["tunnel", peers === undefined ? noTunnelText(node.probe.tunnel) : tunnelText(node.probe.tunnel, now)], ["failed units", node.probe.failedUnits.join(", ") || "none"]);
  if (node.backup !== undefined) rows.push(["backup", backupText(node.backup, now)]);
  if (node.backupUnknown !== undefined) rows.push(["backup", `unknown: ${node.backupUnknown.split("\n")[0]!}`]);
  if (node.bunker !== undefined) rows.push(["bunker", bunkerLine(node.bunker)]);
  if (node.bunkerUnknown !== undefined) rows.push(["bunker", paint("red", node.bunkerUnknown.split("\n")[0]!)]);
  rows.push(["from outside", node.ports.map(portText).join(", ")]);
  if (peers !== undefined && peers.length > 0) rows.push(["peers", peers.map((peer) => `holdfast wg show ${peer}`).join("; ")]);
  return `${paint("bold", node.name)}\n${table(rows.map(([key, value]) => [`  ${key}`, value!]))}`;
}

const noTunnelText = (tunnel: NonNullable<NodeStatus["probe"]>["tunnel"]): string =>
  (tunnel === null ? "none: this node has no tunnel" : paint("red", `up on UDP ${tunnel.port}, and the stack gives this node none`));

function tunnelText(tunnel: NonNullable<NodeStatus["probe"]>["tunnel"], now: Date): string {
  if (tunnel === null) return paint("red", "down");
  const seen = tunnel.lastHandshake === null ? "nobody has connected yet" : `last handshake ${Math.round(now.getTime() / 1000 - tunnel.lastHandshake)} s ago`;
  return `up on UDP ${tunnel.port}, ${tunnel.peers} peers, ${seen}`;
}

/** How old the last backup is, and whether something waits to be sent. */
function backupText({ lastBackup, sequence, pendingSince, trouble }: BackupReport, now: Date): string {
  const last = lastBackup === undefined ? "none yet" : `${agoText(lastBackup, now)} (sequence ${sequence ?? "unknown"})`;
  if (pendingSince === undefined) return last;
  return `${last}; ${paint("red", `a newer one waits since ${agoText(pendingSince, now)}${trouble === undefined ? "" : `: ${trouble}`}`)}`;
}

/** How long ago something was, in the largest unit that fits. */
function agoText(time: string, now: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - Date.parse(time)) / 1000));
  const [size, unit] = ([[86_400, "days"], [3_600, "hours"], [60, "minutes"], [1, "s"]] as const).find(([least]) => seconds >= 2 * least) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

/** A port's answer, and whether that is as it should be. */
function portText({ port, name, wanted, answer }: SeenPort): string {
  const text = `${port} ${name} ${answer === "silent" ? "closed" : answer}`;
  return answer === (wanted === "closed" ? "silent" : "open") ? text : paint("red", `${text} (wanted ${wanted})`);
}
