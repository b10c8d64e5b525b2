import type { Manifest } from "../../formats/manifest.js";
import type { Place } from "../../formats/place.js";
import type { IdentityFact } from "./identityFiles.js";
import type { Journal, Phase } from "./journal.js";

/** What the store outside the host says when it is asked for the newest manifest. */
export type StoreFacts =
  | { readonly state: "unreachable"; readonly why: string }
  | { readonly state: "wrong-password"; readonly why: string }
  /** A backup is there, and its manifest cannot be read. */
  | { readonly state: "unreadable"; readonly why: string }
  /** It answered, and holds nothing of this node. */
  | { readonly state: "empty" }
  | { readonly state: "manifest"; readonly manifest: Manifest };

/** Everything that a decision stands on. Read before anything is changed. */
export interface Facts {
  /** From the settings of the running system. */
  readonly place: Place;
  readonly nodePublicKey: string;
  readonly disk: {
    readonly wallet: "there" | "absent";
    readonly journal: Journal | undefined;
    /** Of the last manifest that this disk wrote: its heartbeat. */
    readonly sequence: number | undefined;
  };
  readonly store: StoreFacts;
  /** The one-use bundle in memory: whose seed it holds, or why it was refused. */
  readonly admission: { readonly state: "absent" } | { readonly state: "there"; readonly nodePublicKey: string } | { readonly state: "refused"; readonly why: string };
  /** Every identity that lies in a file: what is in its place. */
  readonly files: readonly IdentityFact[];
  /** Versions of the secrets that are installed, and of older ones that the operator has accepted. */
  readonly secrets: { readonly installed: number | undefined; readonly accepted: number | undefined };
  /** The node id with which an lnd of the identity target answers now, if one does. */
  readonly running: string | undefined;
}

/**
 * `fresh` and `restore` make a wallet, from the beginning or, with `resume`, from where a killed gate left it. `adopt` opens the wallet that the disk has.
 * `waiting-for-identity` lacks nothing but the one-use bundle: `then: adopt` when that is for an identity in a file alone.
 */
export type Decision =
  | { readonly kind: "fresh"; readonly resume?: Phase }
  | { readonly kind: "restore"; readonly manifest: Manifest; readonly resume?: Phase }
  | { readonly kind: "adopt" }
  | { readonly kind: "waiting-for-identity"; readonly then: "fresh" | "restore" | "adopt" }
  | Stop;
export interface Stop {
  readonly kind: "stop";
  readonly reason: string;
  readonly remedy: string;
  /** A version of secrets that is refused: the operator can accept it. */
  readonly refused?: number;
  /** What is refused is none of lnd's business: one that runs is not stopped. */
  readonly running?: "goes on";
}

const stop = (reason: string, remedy: string): Stop => ({ kind: "stop", reason, remedy });
const again = "then: systemctl restart holdfast-gate.service";

/** Whether identity daemons may run here, and how. Pure: the same facts, the same decision. */
export function decide(facts: Facts): Decision {
  const { disk, store } = facts;
  if (facts.running !== undefined && facts.running !== facts.nodePublicKey)
    return stop(`lnd on this host answers as node ${facts.running}, and the settings name ${facts.nodePublicKey}.`,
      "Either this disk belongs to another node, or the stack's identity was changed. Nothing was deleted. Put the right identity into the stack, or raise the node's generation to build it on a new host.");

  const foreignDisk = disk.journal && journalRefusal(facts, disk.journal);
  if (foreignDisk) return foreignDisk;
  const foreignStore = store.state === "manifest" ? manifestRefusal(facts, store.manifest) : undefined;
  if (foreignStore) return foreignStore;
  const older = store.state === "manifest" ? olderSecrets(facts, store.manifest) : undefined;
  if (older) return older;
  const misplaced = identityRefusal(facts);
  if (misplaced) return misplaced;

  // Of a wallet in phase creating nothing was handed out: it counts as not there.
  if (disk.journal === undefined || disk.journal.phase === "creating") {
    if (disk.wallet === "there" && disk.journal === undefined)
      return stop("There is an lnd wallet on this disk that no gate has made or opened.",
        "Holdfast never opens or deletes a wallet it does not know. Move /var/lib/lnd to a safe place, if it holds funds restore it by hand with its own seed elsewhere, " + again);
    return beginning(facts);
  }
  if (disk.wallet === "absent")
    return stop(`This disk's journal says that node ${disk.journal.nodePublicKey} was ${disk.journal.phase === "opened" ? "opened" : `being made (${disk.journal.phase})`} here, and its wallet is gone.`,
      "Do not restore over what is left of it: channel.db may still be there. Raise the node's generation: the node is restored on a new host from seed and backup.");
  const decision = disk.journal.phase === "opened" ? opened(facts) : resuming(facts, disk.journal);
  return facts.files.some(({ state }) => state.is === "absent") ? withFiles(facts, decision) : decision;
}

/** A wallet that needs no seed, and identities that are not in their places yet. */
function withFiles({ admission }: Facts, decision: Decision): Decision {
  if (decision.kind === "stop" || decision.kind === "waiting-for-identity") return decision;
  switch (admission.state) {
    case "absent": return { kind: "waiting-for-identity", then: decision.kind };
    case "refused": return { ...stop(admission.why, `Run the deployment again: it seals the right identities for this host, ${again}`), running: "goes on" };
    case "there": return decision;
  }
}

/** The highest version of the node's secrets is the store's to know, whichever host it had then. */
function olderSecrets({ secrets: { installed, accepted } }: Facts, { secretsVersion, sequence }: Manifest): Stop | undefined {
  if (secretsVersion === undefined || installed === undefined || installed >= secretsVersion || installed === accepted) return undefined;
  const date = (version: number): string => new Date(version).toISOString();
  return {
    ...stop(`The secrets on this host were sealed ${date(installed)}, and the node has had newer ones, of ${date(secretsVersion)} (manifest ${sequence} in the store).`,
      "Is the stack's state an old copy, or was a deployer's clock wrong? Bring back the newest state and deploy again. If these secrets are right all the same, say so: holdfast accept-older, with the node's name; then deploy again."),
    refused: installed,
  };
}

function identityRefusal({ files }: Facts): Stop | undefined {
  for (const { identity: { kind, name, publicIdentity }, place, state } of files) {
    if (state.is === "foreign")
      return { running: "goes on", ...stop(`${place.path} holds ${state.holds}, and the settings name ${publicIdentity} as ${kind} ${name}.`,
        `Nothing was overwritten. If the identity in the stack is wrong, correct it and deploy again. If what is in its place is not needed any more, move it to a safe place, ${again}`) };
    if (state.is === "ownerless")
      return { running: "goes on", ...stop(`The ${kind} ${name} belongs to user ${place.owner}, which this system does not have.`,
        `Enable the service ${place.service} on this node, or take the identity out of it; then deploy again.`) };
  }
  return undefined;
}

function beginning({ store, admission, nodePublicKey }: Facts): Decision {
  const silent = storeRefusal(store, "without it the gate cannot know whether this node already has a backup, and a new wallet could hide it");
  if (silent) return silent;
  const then = store.state === "manifest" ? "restore" : "fresh";
  switch (admission.state) {
    case "absent": return { kind: "waiting-for-identity", then };
    case "refused": return stop(admission.why, `Run the deployment again: it seals the right seed for this host, ${again}`);
    case "there":
      if (admission.nodePublicKey !== nodePublicKey)
        return stop(`The one-use bundle holds the seed of node ${admission.nodePublicKey}, and the settings name ${nodePublicKey}.`, "Correct the identity in the stack and run the deployment again.");
      return store.state === "manifest" ? { kind: "restore", manifest: store.manifest } : { kind: "fresh" };
  }
}

function resuming({ store, disk }: Facts, journal: Journal): Decision {
  const silent = storeRefusal(store, "the wallet that is being made here must be held against it, and sent to it, before it opens");
  if (silent) return silent;
  if (journal.decision === "restore")
    return store.state === "manifest"
      ? { kind: "restore", manifest: store.manifest, resume: journal.phase }
      : stop("A restore was under way, and the store now says that it holds no backup of this node.", `Nothing has been opened. See that the store and its folder are the same as before, ${again}`);
  if (store.state === "manifest" && (disk.sequence === undefined || store.manifest.sequence > disk.sequence))
    return stop(`A first wallet was being made here, and meanwhile another host has written manifest ${store.manifest.sequence} of this node.`,
      "Find out which host runs this node. If none does any more, raise the node's generation: it is restored on a new host.");
  return { kind: "fresh", resume: journal.phase };
}

function opened({ store, disk, running }: Facts): Decision {
  if (store.state === "manifest") {
    if (disk.sequence === undefined || store.manifest.sequence > disk.sequence)
      return stop(`The store holds manifest ${store.manifest.sequence} of this node, and this disk last wrote ${disk.sequence ?? "none"}: the disk is older than the backup, as one from a snapshot is.`,
        "Opening an old channel.db can lose the funds of its channels to a penalty. Never start lnd on this disk. Raise the node's generation: the node is restored on a new host from seed and backup.");
    return { kind: "adopt" };
  }
  // It proved itself when it was opened, and has run since: only a contradiction stops it.
  if (running !== undefined) return { kind: "adopt" };
  if (store.state === "empty")
    return stop(`This disk has opened the node before (manifest ${disk.sequence ?? "unknown"}), and the store holds no backup of it.`,
      "See that the settings name the right repository. If the store lost its data, or was replaced, put a backup there by hand (restic init, then restic backup /var/lib/holdfast/backup " +
      `with --tag holdfast, --tag sequence-${disk.sequence ?? "N"} and the node's --host), when you are sure that this disk is the newest of the node, ${again}`);
  return storeRefusal(store, "without it the gate cannot know whether this disk is the newest of the node")!;
}

function storeRefusal(store: StoreFacts, because: string): Stop | undefined {
  switch (store.state) {
    case "unreachable": return stop(`The backup store does not answer (${store.why}); ${because}.`, `Bring the store or the way to it back (it is never treated as empty), ${again}`);
    case "wrong-password": return stop(`The backup store's repository does not open with this node's backup password (${store.why}); ${because}.`,
      `The repository was made with another password, or belongs to another environment. Name the right repository, or bring back the root of the old password, deliver it, ${again}`);
    case "unreadable": return stop(`The newest backup in the store has no manifest that can be read (${store.why}); ${because}.`,
      `Look at the repository with restic (snapshots, check) and mend it; a newer agent may have written it: deploy that version here, ${again}`);
    default: return undefined;
  }
}

function manifestRefusal({ place, nodePublicKey }: Facts, manifest: Manifest): Stop | undefined {
  const differing = (["environment", "network", "node"] as const).find((key) => manifest[key] !== place[key]);
  if (differing !== undefined)
    return stop(`The store's manifest is of ${differing} ${manifest[differing]}, and this host is ${differing} ${place[differing]}.`, "Each node has a repository or a name of its own: correct the repository in the settings, and deploy again.");
  if (manifest.lightning.nodePublicKey !== nodePublicKey)
    return stop(`The store's manifest says that this node is ${manifest.lightning.nodePublicKey}, and the settings name ${nodePublicKey}.`,
      "If the identity in the stack is wrong, correct it and deploy again. If the node shall get a new identity, give it a new name or another repository: the old backup is what remains of the old node's funds.");
  if (manifest.generation > place.generation)
    return stop(`The store's manifest was written by generation ${manifest.generation} of this node, and this host is generation ${place.generation}: a newer host has taken over.`,
      "Leave this host off. If the newer one is gone for good, raise the generation above both and deploy: the node is restored on a new host.");
  return undefined;
}

function journalRefusal({ place, nodePublicKey }: Facts, journal: Journal): Stop | undefined {
  const differing = (["environment", "network", "node"] as const).find((key) => journal.place[key] !== place[key]);
  if (differing !== undefined)
    return stop(`This disk belongs to ${differing} ${journal.place[differing]}, and this host is ${differing} ${place[differing]}.`, "Give the host the disk of its own node, or an empty one.");
  if (journal.place.generation > place.generation)
    return stop(`This disk was last used by generation ${journal.place.generation} of the node, and this host is generation ${place.generation}.`, "Deploy the newer generation to this host, or give it an empty disk.");
  if (journal.phase !== "creating" && journal.nodePublicKey !== nodePublicKey)
    return stop(`The wallet on this disk is of node ${journal.nodePublicKey}, and the settings name ${nodePublicKey}.`,
      "Nothing was opened or deleted. Put the right identity into the stack, or raise the node's generation to build it on a new host.");
  return undefined;
}
