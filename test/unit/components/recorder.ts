import { rmSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { nixosSchema } from "../../../formats/settings.js";
import { noMarks, noVersions } from "../../../formats/records.js";
import type { NodeSpecification, StackSpecification, TunnelSpecification } from "../../../config/specification.js";

/** A resource as a component asked for it. */
export interface Recorded {
  readonly type: string;
  readonly name: string;
  /** As they reach the engine. A secret is `{ secret: value }`. */
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly options: pulumi.CustomResourceOptions;
}

export const age = (text: string): string => `-----BEGIN AGE ENCRYPTED FILE-----\n${text}\n-----END AGE ENCRYPTED FILE-----\n`;
export const nodePublicKey = `02${"ab".repeat(32)}`;
export const walletSeed = "the ciphertext of the wallet's seed";

/** What each step's program would answer. */
const answers: Readonly<Record<string, (input: Record<string, unknown>) => unknown>> = {
  provision: (input) => ({ state: "installed", generation: input["generation"] }),
  reach: () => ({ machineId: "m".repeat(32), architecture: "x86_64" }),
  install: () => ({ toplevel: `/nix/store/${"a".repeat(32)}-rehearsal-alice` }),
  contact: () => ({ recipient: `age1${"h".repeat(58)}`, machineId: "m".repeat(32) }),
  certify: () => ({ certificate: "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n" }),
  seal: () => ({ version: 7, sealed: age("bundle") }),
  deliver: () => ({ version: 7, changed: [] }),
  activate: (input) => ({ state: "committed", toplevel: input["toplevel"], previous: "none" }),
  hold: (input) => input,
  deposit: () => ({ file: "dev/alice-1/20261121T000000.000Z.roots.age", digest: "d".repeat(64) }),
  open: () => ({ format: "holdfast-gate/1", state: "open", decision: "fresh", phase: "open", nodePublicKey, changed: "2026-11-21T00:00:00.000Z" }),
};

const programOf = (create: unknown): string => /^node dist\/steps\/(\w+)\.js$/.exec(String(create))?.[1] ?? String(create);

/** A root that no other resource has. */
export const rootOf = (name: string): string => name.replaceAll(/[^a-z]/g, "").padEnd(64, "R").slice(0, 64);

/** Stands for the engine: keeps every resource and answers as the providers would; anything else throws. */
export async function record(): Promise<{ readonly resources: Recorded[]; readonly watch: pulumi.ComponentResourceOptions }> {
  const resources: Recorded[] = [];
  const options = new Map<string, pulumi.CustomResourceOptions>();
  await pulumi.runtime.setMocks({
    newResource: ({ type, name, inputs }) => {
      resources.push({ type, name, inputs: opened(inputs) as Record<string, unknown>, options: options.get(name) ?? {} });
      if (type.startsWith("holdfast:")) return { id: "", state: {} };
      if (type === "random:index/randomPassword:RandomPassword") return { id: "none", state: { ...inputs, result: secret(rootOf(name)) } };
      const answer = answers[programOf(inputs["create"])];
      if (type !== "command:local:Command" || answer === undefined) throw new Error(`nothing here makes ${type} ${name}`);
      const input = JSON.parse(plain(inputs["stdin"]) as string) as Record<string, unknown>;
      return { id: name, state: { ...inputs, stdout: secret(JSON.stringify(answer(input))) } };
    },
    call: ({ token }) => {
      throw new Error(`nothing here answers ${token}`);
    },
  }, "holdfast", "dev");
  return { resources, watch: { transformations: [({ name, opts }) => { options.set(name, opts); return undefined; }] } };
}

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const secret = (value: unknown): unknown => ({ [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270", value });
const plain = (value: unknown): unknown => (Object(value)[SIGNATURE] === undefined ? value : Object(value).value);

/** With secrets as `{ secret: value }`. */
function opened(value: unknown): unknown {
  if (Object(value)[SIGNATURE] !== undefined) return { secret: opened(plain(value)) };
  if (Array.isArray(value)) return value.map(opened);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, opened(inner)]));
}

export const steps = (resources: readonly Recorded[]): Recorded[] => resources.filter(({ type }) => type === "command:local:Command");
export const program = (step: Recorded): string => programOf(step.inputs["create"]);

/** What a step is given, and that it is given as a secret. */
export function inputOf(resources: readonly Recorded[], name: string): Record<string, unknown> {
  const found = steps(resources).find((step) => program(step) === name);
  const given = Object(found?.inputs["stdin"]).secret as unknown;
  if (typeof given !== "string") throw new Error(`${name} has no secret stdin: ${JSON.stringify(found)}`);
  return JSON.parse(given) as Record<string, unknown>;
}

/** An output's value, once it is known. */
export const valueOf = <T>(output: pulumi.Output<T>): Promise<T> => new Promise((known) => { output.apply((value) => known(value as T)); });

export const isSecret = (output: pulumi.Output<unknown>): Promise<boolean> => pulumi.isSecret(output);

/** A node with two peers, complete. Its store's password is in a file; `remove` deletes that. */
export function exampleNode(): { readonly specification: NodeSpecification & { readonly tunnel: TunnelSpecification }; readonly stack: StackSpecification; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-component-"));
  const passwordFile = join(folder, "store-password");
  writeFileSync(passwordFile, `${STORE_PASSWORD}\n`, { mode: 0o600 });
  const recipient = `age1${"w".repeat(58)}`;
  const specification: NodeSpecification & { readonly tunnel: TunnelSpecification } = {
    name: "alice", id: "alice-1", environment: "dev", network: "regtest",
    host: { address: "10.231.9.10", port: 22, user: "root", hostKey: `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"h".repeat(43)}`, generation: 3 },
    identity: {
      format: "holdfast-identity/1", kind: "lnd-seed", environment: "dev", network: "regtest", node: "alice-1", nodePublicKey, recipient, made: "2026-11-21T00:00:00.000Z", sealed: age(walletSeed),
    },
    identities: [],
    services: ["bitcoind", "lnd", "wireguard", "offsite-backup"],
    nixos: nixosSchema.parse({}),
    versions: {},
    lightning: { alias: "alice", p2pPort: 9735, restPort: 8080, clightningPort: 9736 },
    bitcoinPeers: ["10.231.0.1:18444"],
    tunnel: {
      network: "10.10.0.0/24", address: "10.10.0.1", prefixLength: 24, port: 51820, endpoint: "10.231.9.10:51820",
      peers: [{ name: "phone", address: "10.10.0.2" }, { name: "laptop", address: "10.10.0.3" }],
    },
    sshFrom: "internet",
    backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile, certificate: "-----BEGIN CERTIFICATE-----\nAQ==\n-----END CERTIFICATE-----\n" },
  };
  const stack: StackSpecification = {
    environment: "dev", network: "regtest", provenOn: "none", flake: "./flake", proofSeconds: 60, authorizedKeys: [`ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"k".repeat(43)}`], identityFile: "ssh_key",
    recipients: { environment: `age1${"e".repeat(58)}`, recovery: `age1${"r".repeat(58)}`, wallet: recipient }, records: ".holdfast/dev", deposit: { folder: "deposit/dev" }, versions: noVersions, marks: noMarks,
    walletIdentityFile: "wallet.age-key", nodes: [specification],
  };
  return { specification, stack, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export const STORE_PASSWORD = "password-of-the-store";
