import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { execaSync } from "execa";
import { recordsOf } from "../../config/marks.js";
import { stackFileKeys } from "../../config/project.js";
import { ConfigurationRefused } from "../../config/refusal.js";
import { releaseFindings, type ProvenOn, type Proven } from "../../config/release.js";
import type { StackSpecification } from "../../config/specification.js";
import { RELEASE_NAMESPACE, releaseProofSchema, releaseStatementSchema, type ReleaseStatement } from "../../formats/release.js";
import { parseFormat } from "../../formats/versioned.js";
import { writeRecord } from "../../custody/records.js";
import { sourcesDigest } from "./sources.js";

/** In an environment's records. */
const PROOFS = "proofs";
/** Whoever may log in as root may vouch: one name for all of them in ssh-keygen's list. */
const SIGNER = "operator";
/** Milliseconds for a touch of a hardware key. */
const TOUCH = 120_000;

/**
 * Refuses a stack that wants a proof and has none, before anything is touched.
 *
 * @param project the folder of Pulumi.yaml
 * @throws ConfigurationRefused
 */
export function requireProven(stack: StackSpecification, provenOn: ProvenOn, project: string): void {
  if (provenOn === "none") return;
  const findings = releaseFindings(stack, provenOn, provenBy(project, provenOn, stack.authorizedKeys), sourcesDigest(stack.flake, stack.nodes.flatMap(({ services }) => services)));
  if (findings.length > 0) throw new ConfigurationRefused(findings);
}

/**
 * Reads a stack's proofs and verifies their signatures.
 *
 * @param authorizedKeys of the stack that asks: those of the other may be anybody's
 */
export function provenBy(project: string, environment: string, authorizedKeys: readonly string[]): Proven {
  const file = join(project, `Pulumi.${environment}.yaml`);
  if (!existsSync(file)) return { network: undefined, statements: [], faults: [] };
  const keys = stackFileKeys(readFileSync(file, "utf8"), `Pulumi.${environment}.yaml`);
  const folder = resolve(project, recordsOf(environment, keys), PROOFS);
  const statements: ReleaseStatement[] = [];
  const faults: string[] = [];
  for (const name of existsSync(folder) ? readdirSync(folder).filter((one) => one.endsWith(".json")).sort() : []) {
    try {
      statements.push(verified(readFileSync(join(folder, name), "utf8"), name, authorizedKeys));
    } catch (error) {
      faults.push((error as Error).message.replace(/\.$/, ""));
    }
  }
  return { network: typeof keys["network"] === "string" ? keys["network"] : undefined, statements, faults };
}

/** @throws when it is no proof, or none of these keys has signed it */
function verified(text: string, name: string, authorizedKeys: readonly string[]): ReleaseStatement {
  const { statement, signature } = parseFormat(releaseProofSchema, name, text);
  inFolder((folder) => {
    const [signers, signatureFile] = [join(folder, "signers"), join(folder, "signature")];
    writeFileSync(signers, authorizedKeys.map((key) => `${SIGNER} namespaces="${RELEASE_NAMESPACE}" ${key.split(" ").slice(0, 2).join(" ")}\n`).join(""));
    writeFileSync(signatureFile, signature);
    const result = execaSync("ssh-keygen", ["-Y", "verify", "-f", signers, "-I", SIGNER, "-n", RELEASE_NAMESPACE, "-s", signatureFile], { input: statement, timeout: 20_000, reject: false });
    if (result.failed) throw new Error(`${name} is signed by none of holdfast:access.authorizedKeys, or was changed (${result.stderr.trim().split("\n")[0] ?? result.shortMessage})`);
  });
  return parseFormat(releaseStatementSchema, `${name}'s statement`, statement);
}

/**
 * Signs a statement with an access key, and puts it among the environment's records.
 *
 * @param identityFile the private key; without one, whichever of `authorizedKeys` OpenSSH's agent holds
 * @returns the record's path
 * @throws when no such key is at hand
 */
export function writeProof(statement: ReleaseStatement, records: string, { authorizedKeys, identityFile }: Pick<StackSpecification, "authorizedKeys" | "identityFile">): string {
  const text = JSON.stringify(statement);
  const path = join(records, PROOFS, `${statement.proven.replaceAll(/[-:]/g, "")}.json`);
  const signature = inFolder((folder) => {
    const candidates = identityFile !== undefined ? [identityFile] : authorizedKeys.map((key, index) => {
      const file = join(folder, `${index}.pub`);
      writeFileSync(file, `${key}\n`);
      return file;
    });
    const said: string[] = [];
    for (const key of candidates) {
      const result = execaSync("ssh-keygen", ["-Y", "sign", "-q", "-f", key, "-n", RELEASE_NAMESPACE], { input: text, timeout: TOUCH, reject: false });
      if (!result.failed) return `${result.stdout.trim()}\n`;
      said.push(result.stderr.trim().split("\n").at(-1) || String(result.shortMessage));
    }
    throw new Error(`No access key could sign the proof: ${said.join("; ")}. Load one of holdfast:access.authorizedKeys into ssh-agent, or name its file as holdfast:access.identityFile.`);
  });
  const proof = { format: "holdfast-release-proof/1", statement: text, signature } as const;
  verified(JSON.stringify(proof), path, authorizedKeys);
  writeRecord(path, proof);
  return path;
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-release-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
