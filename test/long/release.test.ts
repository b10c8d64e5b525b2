import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { createEnvironment } from "../../cli/envCreate.js";
import { placesOf } from "../../cli/places.js";
import { newIdentity } from "../../custody/seal.js";
import { makeSeed } from "../../custody/wallet/make.js";
import { RELEASE_NAMESPACE, releaseProofSchema, releaseStatementSchema, type ReleaseProof, type ReleaseStatement } from "../../formats/release.js";
import { newProject, type Project } from "../project.js";

let project: Project;
/** What `release prove` wrote, and its text. */
let proof: string;
let proven: string;
let production: string;

const nobody = () => Promise.reject(new Error("asked though nothing was to be asked"));
const operatorKey = (): string => join(project.state, "ssh_ed25519");

/** A mainnet stack as `env create` leaves it, filled in: what dev runs, at an address, on a network and with peers of its own. */
async function fillProduction(): Promise<void> {
  const places = placesOf(project.folder, "prod");
  const wallet = (await newIdentity()).recipient;
  writeFileSync(join(project.folder, "store-password"), "password-of-the-store", { mode: 0o600 });
  mkdirSync(join(project.folder, "deposit-prod"));
  writeFileSync(join(project.folder, "Pulumi.prod.yaml"), stringify({ config: {
    "holdfast:network": "mainnet",
    "holdfast:system": { flake: "./rehearsal/system" },
    "holdfast:access": { authorizedKeys: [readFileSync(`${operatorKey()}.pub`, "utf8").trim()] },
    "holdfast:recipients": { environment: "age1-REPLACE-ME", recovery: "age1-REPLACE-ME", wallet },
    "holdfast:release": { provenOn: "dev" },
    "holdfast:deposit": { folder: "deposit-prod" },
    "holdfast:nodes": { bob: {
      host: { commodity: { address: "10.231.9.10", hostKey: `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"h".repeat(43)}`, generation: 1 } },
      identity: "environments/prod/bob.lnd-seed.json",
      lightning: { alias: "bob", p2pPort: 9735, restPort: 8080 },
      tunnel: { network: "10.12.0.0/24", peers: { tablet: { address: "10.12.0.9" } } },
      ssh: { from: "internet" },
      backup: { repository: "rest:https://10.231.9.20:8000/bob/", user: "bob", passwordFile: "store-password" },
    } },
  } }));
  await createEnvironment(places, { network: undefined, kind: "classical", identity: "file", walletRecipient: undefined, node: "bob", passphrases: { infrastructure: nobody, wallet: nobody } });
  writeFileSync(join(project.folder, "environments/prod/bob.lnd-seed.json"), JSON.stringify(await makeSeed({ environment: "prod", network: "mainnet", node: "bob", recipient: wallet }, new Date())));
}

beforeAll(async () => {
  project = await newProject();
  const raised = await project.holdfast("up", "--yes");
  expect(raised.exitCode, raised.output).toBe(0);
  await fillProduction();
  production = readFileSync(join(project.folder, "Pulumi.prod.yaml"), "utf8");
});
afterAll(async () => expect(await project.remove()).toEqual([]));

/** What a preview of the production stack refuses with, on one line; `accepted` when it is one. */
async function preview(): Promise<string> {
  const connections = project.connections();
  const { exitCode, output } = await project.holdfast("preview", "-s", "prod");
  expect(project.connections(), "a preview asks no host").toBe(connections);
  if (exitCode !== 0) return output.replaceAll(/\s+/g, " ");
  expect(output).toMatch(/Resources: \d+ created/);
  return "accepted";
}
const setting = (change: (text: string) => string): void => project.edit("Pulumi.prod.yaml", (text) => {
  const changed = change(text);
  expect(changed, "the stack file was to change").not.toBe(text);
  return changed;
});
const REFUSED = /holdfast:nodes\.bob: found a configuration that no test stack has proven; wants the same services, nixos, ports and flake on a node of stack dev first: holdfast up -s dev, then holdfast release prove -s dev/;

describe("a production stack", () => {
  it("is refused in preview while nothing was proven, by the name of the stack to run first", async () => {
    expect(await preview()).toMatch(REFUSED);
    expect(await preview()).toContain("or say holdfast:release: { provenOn: none }");
    expect(existsSync(join(project.folder, "environments/prod/proofs"))).toBe(false);
  });

  it("cannot prove itself", async () => {
    const { exitCode, output } = await project.holdfast("release", "prove", "-s", "prod");
    expect(exitCode).toBe(1);
    expect(output).toContain("Stack prod is on mainnet: a proof comes from a test stack.");
  });
});

describe("a test stack", () => {
  it("that does not run what its configuration says proves nothing", async () => {
    const before = readFileSync(join(project.folder, "Pulumi.dev.yaml"), "utf8");
    project.edit("Pulumi.dev.yaml", (text) => text.replace("    alice:\n", "    alice:\n      lightning: { p2pPort: 9999 }\n"));
    const { exitCode, output } = await project.holdfast("release", "prove", "-s", "dev");
    project.edit("Pulumi.dev.yaml", () => before);
    expect(exitCode).toBe(1);
    expect(output).toMatch(/Stack dev does not run what its configuration says \(.*to update.*\)\. Raise it first: holdfast up -s dev\./);
    expect(existsSync(join(project.state, "proofs"))).toBe(false);
  });

  it("with a failed unit proves nothing", async () => {
    expect((await project.ssh("alice", "systemd-run --quiet --unit=doomed --service-type=oneshot false; systemctl is-failed doomed.service")).stdout).toBe("failed");
    const { exitCode, output } = await project.holdfast("release", "prove", "-s", "dev");
    await project.ssh("alice", "systemctl reset-failed doomed.service");
    expect(exitCode).toBe(1);
    expect(output).toContain("Node alice proves nothing: failed units: doomed.service");
  });

  it("that runs it, committed, with an open gate, signs what runs with its operator's key", async () => {
    const { exitCode, output, stdout } = await project.holdfast("release", "prove", "-s", "dev");
    expect(exitCode, output).toBe(0);
    const [name, ...more] = readdirSync(join(project.state, "proofs"));
    expect(more).toEqual([]);
    proof = join(project.state, "proofs", name!);
    proven = readFileSync(proof, "utf8");
    expect(stdout).toMatch(new RegExp(`^Signed: .*${name!.replaceAll(".", "\\.")}\\. Commit it`));
    const { environment, network, nodes } = statementOf(proven);
    expect({ environment, network, nodes: Object.keys(nodes) }).toEqual({ environment: "dev", network: "regtest", nodes: ["alice"] });
    expect((await project.ssh("alice", "readlink --canonicalize /run/current-system")).stdout).toBe(nodes["alice"]!.system);
  });
});

const proofOf = (text: string): ReleaseProof => releaseProofSchema.parse(JSON.parse(text));
const statementOf = (text: string): ReleaseStatement => releaseStatementSchema.parse(JSON.parse(proofOf(text).statement));
/** As the one who holds this key would sign it. */
function signed(statement: ReleaseStatement, key: string, namespace = RELEASE_NAMESPACE): string {
  const text = JSON.stringify(statement);
  const signature = execFileSync("ssh-keygen", ["-Y", "sign", "-q", "-f", key, "-n", namespace], { input: text, stdio: ["pipe", "pipe", "ignore"], timeout: 20_000 }).toString();
  return JSON.stringify({ format: "holdfast-release-proof/1", statement: text, signature } satisfies ReleaseProof);
}

describe("a production stack, after that proof,", () => {
  beforeEach(() => {
    writeFileSync(proof, proven);
    writeFileSync(join(project.folder, "Pulumi.prod.yaml"), production);
  });
  afterEach(() => writeFileSync(proof, proven));

  it("is accepted with the same configuration at other addresses, on another network, with other peers", async () => {
    expect(await preview()).toBe("accepted");
  });

  it.each<[string, (text: string) => string]>([
    ["another port", (text) => text.replace("p2pPort: 9735", "p2pPort: 9736")],
    ["another door for SSH", (text) => text.replace("from: internet", "from: tunnel")],
    ["another service", (text) => text.replace("      lightning:\n", "      services: [lnd, nodeinfo]\n      lightning:\n")],
    ["another preset", (text) => text.replace("      lightning:\n", "      nixos: { preset: hardened }\n      lightning:\n")],
    ["another flake", (text) => text.replace("./rehearsal/system", "./nix")],
  ])("is refused with %s", async (_, change) => {
    setting(change);
    expect(await preview()).toMatch(REFUSED);
  });

  it("is refused when a file of the flake has changed since", async () => {
    const file = "rehearsal/system/systems.nix";
    const before = readFileSync(join(project.folder, file), "utf8");
    project.edit(file, (text) => `${text}# changed\n`);
    const refusal = await preview();
    project.edit(file, () => before);
    expect(refusal).toMatch(REFUSED);
  });

  it("is refused by a proof that was altered, forged, signed for another purpose, of another stack, or taken away, and says which does not count", async () => {
    const stranger = join(project.folder, "stranger");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", stranger], { timeout: 20_000 });
    const statement = statementOf(proven);
    const none = /proofs that do not count: \S+\.json is signed by none of holdfast:access\.authorizedKeys, or was changed/;
    const attempts: readonly (readonly [string, string | undefined, RegExp])[] = [
      ["altered", JSON.stringify({ ...proofOf(proven), statement: proofOf(proven).statement.replace("alice", "carol") }), none],
      ["forged by a stranger's key", signed(statement, stranger), none],
      ["signed for another purpose", signed(statement, operatorKey(), "git"), none],
      ["of another stack", signed({ ...statement, environment: "testnet" }, operatorKey()), REFUSED],
      ["of another configuration", signed({ ...statement, nodes: { alice: { ...statement.nodes["alice"]!, configuration: "0".repeat(64) } } }, operatorKey()), REFUSED],
      ["taken away", undefined, REFUSED],
    ];
    for (const [how, text, words] of attempts) {
      if (text === undefined) rmSync(proof);
      else writeFileSync(proof, text);
      const refusal = await preview();
      expect(refusal, how).toMatch(words);
      expect(refusal, how).toMatch(REFUSED);
    }
    writeFileSync(proof, signed(statement, operatorKey()));
    expect(await preview(), "that these attempts can succeed: the same statement, signed again by the operator").toBe("accepted");
  });

  it("does not take what a key proved that may not log in to it", async () => {
    const [, blob] = readFileSync(`${operatorKey()}.pub`, "utf8").split(" ");
    setting((text) => text.replace(blob!, `AAAAC3NzaC1lZDI1NTE5AAAAI${"k".repeat(43)}`));
    expect(await preview()).toMatch(/is signed by none of holdfast:access\.authorizedKeys/);
  });
});
