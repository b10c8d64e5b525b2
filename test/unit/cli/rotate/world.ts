import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { PeerMeans } from "../../../../cli/rotate/wireguard.js";
import type { AgeMeans } from "../../../../cli/rotate/age.js";
import { fingerprintOf } from "../../../../cli/rotate/ssh.js";
import { specification } from "../../../../cli/nodes.js";
import { placesOf, type Places } from "../../../../cli/places.js";
import { candidateName, peerKeysId } from "../../../../components/network/wireguard.js";
import { wireguardKeys } from "../../../../components/secrets/derive.js";
import { passphraseFingerprint } from "../../../../custody/fingerprint.js";
import { openWith, writeIdentity } from "../../../../custody/identityFile.js";
import { makePassphrase, sealedPassphrase } from "../../../../custody/passphrase.js";
import { readMarks, readVersions } from "../../../../custody/records.js";
import { newIdentity, openText } from "../../../../custody/seal.js";
import type { StackSpecification } from "../../../../config/specification.js";
import { makeFileIdentity, makeSeed } from "../../../../custody/wallet/make.js";

/** Counts what is done to the disk and the hosts, and ends it where a test wants. */
export interface Power {
  /** Deeds until the cut. */
  left: number;
}
export class PowerCut extends Error {}
/** One deed. After the cut nothing is done any more. */
export function spend(power: Power): void {
  if (power.left <= 0) throw new PowerCut("the power was cut");
  power.left -= 1;
}

/** An environment in a folder, with hosts and a state that are made up: what rotations see of the world. */
export interface World {
  readonly places: Places;
  readonly means: PeerMeans & AgeMeans;
  readonly said: string[];
  /** What the last update brought to the hosts. */
  readonly deployed: () => StackSpecification;
  readonly updates: () => number;
  /** Has a peer's new keys make their handshake. */
  phoneComes: boolean;
  /** An update fails with this. */
  fault: string | undefined;
  readonly file: (name: string) => string;
  readonly remove: () => void;
}

const HOST_KEY = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"h".repeat(43)}`;
const roles = ["environment", "recovery", "wallet"] as const;
const never = (): Promise<string> => Promise.reject(new Error("nothing is behind a passphrase here"));

/** A folder with everything that an environment has, made once and copied for each test. */
export async function template(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-rotate-"));
  const places = placesOf(folder, "dev");
  const file = (name: string): string => join(places.state, name);
  const recipients: Record<string, string> = {};
  for (const role of roles) {
    const pair = await newIdentity();
    await writeIdentity(file(`${role}.age-key`), pair, { form: "clear" });
    recipients[role] = pair.recipient;
  }
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file("ssh_ed25519")]);
  mkdirSync(join(folder, "environments/dev"), { recursive: true });
  writeFileSync(join(folder, "Pulumi.yaml"), "name: holdfast\n");
  writeFileSync(file("store-password"), "secret", { mode: 0o600 });
  const owner = { environment: "dev", network: "regtest", node: "alice-1", recipient: recipients["wallet"]! } as const;
  writeFileSync(join(folder, "seed.json"), JSON.stringify(await makeSeed(owner, new Date())));
  writeFileSync(join(folder, "nsec.json"), JSON.stringify(await makeFileIdentity(owner, { kind: "nsec", name: "main" }, new Date())));
  writeFileSync(join(folder, "Pulumi.dev.yaml"), `# people read this\n${stringify({
    config: {
      "holdfast:network": "regtest",
      "holdfast:access": { authorizedKeys: [`ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"o".repeat(43)} somebody else`, readFileSync(file("ssh_ed25519.pub"), "utf8").trim()], identityFile: ".holdfast/dev/ssh_ed25519" },
      "holdfast:recipients": recipients,
      "holdfast:deposit": { folder: "/mnt/deposit" },
      "holdfast:nodes": {
        alice: {
          id: "alice-1", host: { commodity: { address: "10.231.9.10", hostKey: HOST_KEY } }, identity: "seed.json", identities: ["nsec.json"], services: ["lnd", "bunker"], bunker: { relays: ["wss://relay.example.org"] },
          tunnel: { peers: { phone: { address: "10.10.0.2" }, laptop: { address: "10.10.0.3" } } },
          backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: ".holdfast/dev/store-password" },
        },
      },
    },
  })}`);
  const passphrase = await makePassphrase(join(folder, "environments/dev"), { environment: recipients["environment"]!, recovery: recipients["recovery"]! }, new Date());
  writeFileSync(join(folder, "state.salt"), `salt:${passphrase}`);
  writeFileSync(join(folder, "Pulumi.dev.yaml"), `encryptionsalt: salt:${passphrase}\n${readFileSync(join(folder, "Pulumi.dev.yaml"), "utf8")}`);
  return folder;
}

export function worldFrom(source: string, power: Power): World {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-rotate-"));
  cpSync(source, folder, { recursive: true });
  const places = placesOf(folder, "dev");
  const file = (name: string): string => join(places.state, name);
  const records = join(folder, "environments/dev");
  const stateSalt = join(folder, "state.salt");
  const saltInFile = (): string | undefined => /^encryptionsalt: (.*)$/m.exec(readFileSync(join(folder, "Pulumi.dev.yaml"), "utf8"))?.[1];
  const said: string[] = [];
  let deployed = specification(places);
  let updates = 0;

  const keysOf = (peer: string, version: number) => wireguardKeys("r".repeat(64), `${peer}/${version}`);
  /** Each peer of the deployed node by its keys' name, with its version. */
  const known = (): readonly (readonly [string, string, number])[] => deployed.nodes[0]!.tunnel!.peers.flatMap(({ name }) => {
    const { version = 1, candidate } = deployed.nodes[0]!.versions[peerKeysId(name)] ?? {};
    return [[name, name, version] as const, ...(candidate === undefined ? [] : [[candidateName(name), name, candidate] as const])];
  });

  const world: World = {
    places, said, file, phoneComes: true, fault: undefined, deployed: () => deployed, updates: () => updates,
    remove: () => rmSync(folder, { recursive: true, force: true }),
    means: {
      places, now: () => new Date(), say: (line) => void said.push(line), agree: async (preview) => { said.push(preview); return true; },
      ask: never, askOld: never, askNew: never, askFresh: never, usePassphrase: () => undefined, show: async (configuration) => void said.push(configuration),
      update: async () => {
        if (world.fault !== undefined) throw new Error(world.fault);
        const stack = specification(places);
        const passphrase = await openWith(file("environment.age-key"), readFileSync(sealedPassphrase(records), "utf8"), never);
        const faults = [
          readMarks(records).passphrase === passphraseFingerprint(passphrase.trim()), readFileSync(stateSalt, "utf8") === `salt:${passphrase.trim()}`, saltInFile() === `salt:${passphrase.trim()}`,
          await openText(readFileSync(sealedPassphrase(records), "utf8"), identityOf(file("recovery.age-key"))) === passphrase,
        ].map((holds, index) => (holds ? "" : ["mark", "state", "stack file", "recovery"][index]!)).filter((one) => one !== "");
        if (faults.length > 0) throw new Error(`the passphrase does not fit: ${faults.join(", ")}`);
        spend(power);
        deployed = stack;
        updates += 1;
        spend(power);
      },
      configurations: async () => ({ alice: Object.fromEntries(known().map(([name, peer, version]) => [name, `[Interface]\nPrivateKey = ${keysOf(peer, version).privateKey}\n`])) }),
      hosts: {
        gate: async () => ({ format: "holdfast-gate/1", state: "open", phase: "open", changed: new Date().toISOString() }),
        units: async (_, units) => Object.fromEntries(units.filter((unit) => ["bitcoind.service", "lnd.service", "wireguard-wg-node.service"].includes(unit)).map((unit) => [unit, { active: "active", invocation: `${unit} ${updates}` }])),
        probe: async () => ({
          system: "", failedUnits: [], firewallLoaded: true, secretsVersion: 1,
          tunnel: { publicKey: "", port: 51820, peers: 0, lastHandshake: null, handshakes: Object.fromEntries(known().map(([name, peer, version]) => [keysOf(peer, version).publicKey, name.endsWith("-next") && !world.phoneComes ? 0 : 1])) },
        }),
        login: async ({ identityFile }) => {
          const key = readFileSync(`${identityFile!}.pub`, "utf8").trim();
          if (!existsSync(identityFile!)) return { accepted: false, reason: "no such identity" };
          return deployed.authorizedKeys.includes(key) ? { accepted: true, fingerprint: fingerprintOf(key) } : { accepted: false, reason: "Permission denied (publickey)." };
        },
      },
      vault: {
        salt: async () => readFileSync(stateSalt, "utf8"),
        opens: (salt, passphrase) => salt === `salt:${passphrase}`,
        change: async (from, to) => {
          if (readFileSync(stateSalt, "utf8") !== `salt:${from}` || saltInFile() !== `salt:${from}`) throw new Error("incorrect passphrase");
          spend(power);
          const stack = join(folder, "Pulumi.dev.yaml");
          writeFileSync(stack, readFileSync(stack, "utf8").replace(/^encryptionsalt: .*$/m, `encryptionsalt: salt:${to}`));
          writeFileSync(stateSalt, `salt:${to}`);
        },
        requireOpen: async (passphrase) => { if (readFileSync(stateSalt, "utf8") !== `salt:${passphrase}` || saltInFile() !== `salt:${passphrase}`) throw new Error("incorrect passphrase"); },
      },
    },
  };
  return world;
}

const identityOf = (path: string): string => readFileSync(path, "utf8").split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-"))!;

export const versionsOf = (world: World) => readVersions(join(world.places.project, "environments/dev")).nodes["alice-1"] ?? {};
export const marksOf = (world: World) => readMarks(join(world.places.project, "environments/dev"));
