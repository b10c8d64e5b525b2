import { readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { GateReport } from "../../formats/gate.js";
import { settingsSchema, type Settings } from "../../formats/settings.js";
import { parseFormat } from "../../formats/versioned.js";
import { openStore } from "../backup/store.js";
import { withLock } from "../lock.js";
import { secretsLock } from "../secrets/leftovers.js";
import { noteRefused } from "../secrets/versions.js";
import { waitingAdmission } from "./admission.js";
import { decide, type Facts } from "./decide.js";
import { gatherFacts } from "./facts.js";
import { placeIdentity, removeHalf } from "./identityFiles.js";
import { bunkerUnit, lndFiles, openedUnit, systemHost, unopenedUnit, type GateHost } from "./host.js";
import { connectLnd } from "./lnd.js";
import { makeNode } from "./make.js";
import { gateReport, say } from "./report.js";
import { GateStop, requireNodeId, type GateWork } from "./wallet.js";

/**
 * Decides whether identity daemons may run on this host, makes or restores the wallet where that is needed, and opens the identity target. Can be
 * killed at any point and run again.
 *
 * @returns the report, `open` or `waiting-for-identity`
 * @throws GateStop when it refuses; the report says so too
 */
export async function runGate(_input = "", host: GateHost = systemHost): Promise<GateReport> {
  const release = await takeLock(host);
  try {
    await openGate(host, parseFormat(settingsSchema, host.paths.settings, await readFile(host.paths.settings, "utf8")));
  } catch (error) {
    const stopped = error instanceof GateStop ? error : new GateStop(
      `The gate failed: ${error instanceof Error ? error.message : String(error)}`,
      "Nothing was deleted. See journalctl -u holdfast-gate.service; then: systemctl restart holdfast-gate.service. It goes on where it was.");
    await say(host, { state: "stop", phase: "stopped", reason: stopped.reason, remedy: stopped.remedy });
    throw stopped;
  } finally {
    release();
  }
  return gateReport("", host);
}

async function openGate(host: GateHost, settings: Settings): Promise<void> {
  const { network } = settings.place;
  const { nodePublicKey } = settings.lightning;
  const files = lndFiles(host.paths, network);
  const lnd = connectLnd({ port: settings.lightning.restPort, certificateFile: files.certificate, macaroonFile: files.adminMacaroon });
  const store = openStore(host, settings);

  await say(host, { state: "working", phase: "looking at disk, store and one-use bundle" });
  const facts = await gatherFacts(host, settings, store, lnd);
  const decision = decide(facts);
  // What runs goes on while it waits for an identity that is not lnd's.
  const goesOn = decision.kind === "adopt" || (decision.kind === "waiting-for-identity" && decision.then === "adopt") || (decision.kind === "stop" && decision.running === "goes on");
  if (!goesOn && (await host.unitRuns(host.paths.identityTarget))) await host.stopUnit(host.paths.identityTarget);
  if (decision.kind === "stop") {
    if (decision.refused !== undefined) await rememberRefused(host, decision.refused);
    throw new GateStop(decision.reason, decision.remedy);
  }
  if (decision.kind === "waiting-for-identity") {
    await say(host, { state: "waiting-for-identity", phase: `waiting for the one-use bundle, then: ${decision.then}` });
    return;
  }

  let last = "";
  const work: GateWork = {
    host, settings, lnd,
    say: async ({ state, phase }) => {
      if (last === `${state} ${phase}`) return;
      last = `${state} ${phase}`;
      process.stderr.write(`${phase}\n`);
      await say(host, { state, phase, decision: decision.kind });
    },
  };
  await placeIdentities(work, facts);
  if (decision.kind !== "adopt") {
    try {
      if ((await makeNode(work, store, facts, decision)) === "waiting-for-identity") return;
    } finally {
      await host.stopUnit(unopenedUnit);
    }
  }
  await rm(host.paths.admission, { force: true });
  await work.say({ state: "working", phase: "opening the identity target" });
  await host.startUnit(host.paths.identityTarget);
  try {
    await requireNodeId(work, { unit: openedUnit });
  } catch (error) {
    if (error instanceof GateStop && error.reason.includes("answers as node")) await host.stopUnit(host.paths.identityTarget);
    throw error;
  }
  await say(host, { state: "open", phase: "identity daemons run", decision: decision.kind, nodePublicKey });
}

/** Each identity that lies in a file goes to its place before its daemon starts. One that is there is left as it is. */
async function placeIdentities({ host, settings, say: tell }: GateWork, { files }: Facts): Promise<void> {
  for (const { place } of files) await removeHalf(host, place);
  const absent = files.filter(({ state }) => state.is === "absent");
  if (absent.length === 0) return;
  const admission = await waitingAdmission(host, settings);
  if (admission === undefined) throw new GateStop("The one-use bundle went away while the gate was at work.", "Run the deployment again: it seals the node's identities for this host once more.");
  // One that runs without it comes up again with the target.
  if (absent.some(({ identity: { kind } }) => kind === "nsec") && (await host.unitRuns(bunkerUnit))) await host.stopUnit(bunkerUnit);
  for (const { identity: { kind, name }, place } of absent) {
    await tell({ state: "working", phase: `placing ${kind} ${name}` });
    await placeIdentity(host, place, Buffer.from(admission.files.find((file) => file.kind === kind && file.name === name)!.secret, "base64"));
  }
}

/** So that the operator can accept that version, and no other. */
async function rememberRefused({ disk, paths: layout }: GateHost, version: number): Promise<void> {
  await withLock(secretsLock({ layout }), { purpose: "a note of the gate", wait: 30_000 }, () => noteRefused({ disk, layout }, version));
}

/** One gate at a time: an abstract socket, which the kernel gives back however this process ends. */
async function takeLock(host: GateHost): Promise<() => void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", () => reject(new Error("Another run of the gate is at work on this host. See holdfast-agent gate-report.")));
    server.listen({ path: `\0holdfast-gate:${host.paths.gateJournal}` }, resolve);
  });
  return () => void server.close();
}
