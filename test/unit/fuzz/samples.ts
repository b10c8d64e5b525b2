import { createHash, randomBytes } from "node:crypto";
import { splitIdentity } from "../../../custody/escrow/split.js";
import { newIdentity, sealText } from "../../../custody/seal.js";
import { makeFileIdentity, makeSeed } from "../../../custody/wallet/make.js";
import { emptyHead } from "../../../custody/audit/chain.js";
import { SENTINEL } from "../../../formats/roots.js";

/** One valid thing of each kind, and the identities that open them. */
export async function makeSamples() {
  const [environment, recovery, wallet, host, trustee] = await Promise.all([1, 2, 3, 4, 5].map(() => newIdentity()));
  const now = new Date("2026-11-21T00:00:00.000Z");
  const made = now.toISOString();
  const place = { environment: "dev", network: "regtest" as const, node: "alice", generation: 1 };
  const owner = { environment: "dev", network: "regtest" as const, node: "alice", recipient: wallet!.recipient };
  const seed = await makeSeed(owner, now);
  const nsec = await makeFileIdentity(owner, { kind: "nsec", name: "main" }, now);
  const secret = (length: number): string => randomBytes(length).toString("base64");
  const { nodePublicKey } = seed;
  const shares = await splitIdentity(recovery!.identity, { environment: "dev", recipient: recovery!.recipient, threshold: 2, trustees: ["ada", "ben", "cyd"] });
  const digest = createHash("sha256").update("share").digest("hex");
  const versions = { format: "holdfast-versions/1", nodes: { alice: { "lnd-key": { version: 2, rotated: made }, "wireguard-peer-phone": { version: 1, candidate: 2, rotated: made } } } };
  const marks = { format: "holdfast-marks/1", passphrase: "ab".repeat(32), tunnels: { alice: randomBytes(32).toString("base64") }, made: { environment: made, ssh: made } };
  const hash = "cd".repeat(32);
  return {
    environment: environment!, recovery: recovery!, wallet: wallet!, host: host!, trustee: trustee!, seed, nsec, place,
    bundle: { format: "holdfast-bundle/1", place, version: 1_790_000_000_000, files: ["lnd-wallet-password", "backup-password"].map((name) => ({ name, owner: "lnd", group: "lnd", mode: "0440", consumers: ["lnd.service"], content: secret(24) })) },
    admission: {
      format: "holdfast-admission/1", place, nodePublicKey, sealedAt: made, mnemonic: Array.from({ length: 24 }, (_, index) => `zyzzyvaquuxsyzygy${String.fromCharCode(97 + index)}`),
      files: [{ kind: "nsec", name: "main", publicIdentity: "ab".repeat(32), secret: secret(64) }],
    },
    shares,
    kit: {
      format: "holdfast-kit/1", environment: "dev", network: "regtest", made, split: "ab".repeat(16), threshold: 2, recipient: recovery!.recipient,
      trustees: await Promise.all(["ada", "ben", "cyd"].map(async (name) => ({ name, recipient: trustee!.recipient, sealed: await sealText("share", trustee!.recipient), digest }))),
      rebuild: { commit: "abc", changed: false, versions: { pulumi: "3.0.0" }, deposit: "deposit/dev", nodes: { alice: { id: "alice", nodePublicKey, repository: "rest:https://10.231.0.1/alice/", generation: 1 } } },
    },
    roots: {
      format: "holdfast-roots/1", sentinel: SENTINEL, place, name: "alice", sealed: made, roots: { "lnd-key": { version: 2, value: secret(48) }, "wireguard-peer-phone": { version: 1, value: secret(48) } },
      certificates: { "lnd-cert": "-----BEGIN CERTIFICATE-----\n" }, storePassword: secret(24), identities: [seed, nsec], walletIdentity: "AGE-PLUGIN-YUBIKEY-1ABC",
      recipients: { environment: environment!.recipient, recovery: recovery!.recipient, wallet: wallet!.recipient }, versions, marks, audit: { sequence: 4, hash },
    },
    versions, marks,
    manifest: {
      format: "holdfast-manifest/1", environment: "dev", network: "regtest", node: "alice", generation: 1, sequence: 3, written: made, secretsVersion: 1_790_000_000_000,
      lightning: { nodePublicKey, confirmedBalance: 5000, addresses: { external: 3, internal: 1 }, channels: 1, blockHeight: 100 },
    },
    gate: { format: "holdfast-gate/1", state: "open", decision: "fresh", phase: "open", nodePublicKey, changed: made },
    probe: { system: "/nix/store/x", failedUnits: ["a.service"], firewallLoaded: true, tunnel: { publicKey: "x", port: 51820, peers: 1, lastHandshake: null, handshakes: { x: 0 } }, secretsVersion: null },
    reseal: { format: "holdfast-wallet/1", ask: "reseal", place, recipient: host!.recipient },
    reply: { format: "holdfast-wallet/1", environment: "dev", network: "regtest", nodes: ["alice"], until: made, sealed: seed.sealed },
    kept: {
      format: "holdfast-kept-wallet/1", environment: "dev", network: "regtest", until: made, socket: "/run/x", audit: { file: "/x", environment: "dev" }, leader: { pid: 2, started: "5" },
      nodes: [{ seed: { format: "holdfast-seed/1", environment: "dev", network: "regtest", node: "alice", nodePublicKey, mnemonic: Array.from({ length: 24 }, (_, index) => `zyzzyvaquuxsyzygy${String.fromCharCode(97 + index)}`) },
        files: [{ format: "holdfast-file-identity/1", environment: "dev", network: "regtest", node: "alice", kind: "nsec", name: "main", publicIdentity: nsec.publicIdentity, secret: secret(64) }] }],
    },
    head: { sequence: 4, hash }, noHead: emptyHead,
    stack: {
      "holdfast:network": "regtest", "holdfast:access": { authorizedKeys: { file: "keys.json" }, identityFile: "id" },
      "holdfast:system": { flake: "./nix", proofSeconds: 60 }, "holdfast:records": "records",
      "holdfast:recipients": { environment: environment!.recipient, recovery: recovery!.recipient, wallet: wallet!.recipient },
      "holdfast:deposit": { folder: "/mnt/deposit" }, "holdfast:wallet": { identityFile: "wallet.age-key" },
      "holdfast:nodes": {
        alice: {
          id: "alice", host: { commodity: { address: "10.231.9.10", port: 22, hostKey: `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"h".repeat(43)}` } }, identity: "seed.json", identities: ["nsec.json"],
          lightning: { alias: "al", p2pPort: 9735 }, bitcoin: { peers: ["10.0.0.1:8333"] }, tunnel: { network: "10.10.0.0/24", endpoint: "a.example:51820", peers: { phone: { address: "10.10.0.2" } } },
          ssh: { from: "internet" }, backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: "store-password" },
        },
      },
    },
  };
}
/** What is secret in an identity: its first letters are the same for all. */
export const secretIn = (identity: string): string => identity.slice("AGE-SECRET-KEY-1".length);

export type Samples = Awaited<ReturnType<typeof makeSamples>>;
