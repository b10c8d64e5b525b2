// `node holdfast-wallet.mjs`: makes a node identity on a machine without a network, and prints it, sealed for the wallet recipient.
import { parseArgs } from "node:util";
import { identityKinds } from "../../formats/identity.js";
import { nameSchema, networks } from "../../formats/place.js";
import { makeFileIdentity, makeSeed } from "./make.js";

const USAGE = `Makes a node identity, offline. Prints it sealed for the wallet recipient: it can be copied, and kept in Git. Writes nothing to disk.

  node holdfast-wallet.mjs --environment mainnet --network mainnet --node alice --recipient age1… > alice.lnd-seed.json

  --environment NAME  the stack
  --network NAME      ${networks.join(", ")}
  --node ID           the node's id
  --recipient AGE1…   the stack's holdfast:recipients.wallet
  --kind KIND         ${identityKinds.join(", ")}; lnd-seed when not given
  --name NAME         tells several of a kind apart; main when not given`;

const options = { type: "string" } as const;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { environment: options, network: options, node: options, recipient: options, kind: { ...options, default: "lnd-seed" }, name: options, help: { type: "boolean" } } });
  if (values.help || Object.keys(values).length === 1) return void process.stdout.write(`${USAGE}\n`);
  const named = (option: "environment" | "node" | "name", otherwise?: string): string => {
    const result = nameSchema.safeParse(values[option] ?? otherwise);
    if (!result.success) throw new Error(`--${option} ${values[option] === undefined ? "is missing; " : ""}${result.error.issues[0]!.message}.`);
    return result.data;
  };
  const oneOf = <T extends string>(option: "network" | "kind", all: readonly T[]): T => {
    const found = all.find((one) => one === values[option]);
    if (found === undefined) throw new Error(`--${option} ${values[option] === undefined ? "is missing; " : ""}wants one of ${all.join(", ")}.`);
    return found;
  };
  if (values.recipient === undefined) throw new Error("--recipient is missing; wants the stack's wallet recipient (age1…).");
  const owner = { environment: named("environment"), network: oneOf("network", networks), node: named("node"), recipient: values.recipient };
  const kind = oneOf("kind", identityKinds);
  if (kind === "lnd-seed" && values.name !== undefined) throw new Error("--name tells identities in files apart; a node has one LND seed.");
  const now = new Date();
  const identity = kind === "lnd-seed" ? await makeSeed(owner, now) : await makeFileIdentity(owner, { kind, name: named("name", "main") }, now);
  process.stdout.write(`${JSON.stringify(identity, undefined, 2)}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
