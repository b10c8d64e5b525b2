import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import type { NodeSpecification } from "../../config/specification.js";
import type { SecretFile } from "../../formats/bundle.js";
import type { Roots } from "../../formats/roots.js";
import { step } from "../step.js";
import { certificateSchema, type CertificateRequest } from "./certificate.js";
import { knownCertificates } from "./knownCertificates.js";
import { derive } from "./derive.js";
import { secretId, secretsOf, type Versioned } from "./registry.js";
import { makeRoot } from "./root.js";
import type { CertificateSecret, DerivedSecret, SecretEntry } from "./secret.js";

const TEN_YEARS = 3650;

/** The secret whose root never changes, on any node. */
const LASTING = "backup-password";

/** A node's service secrets: a root for each in state, the values derived from them, and the files that they make on the host. */
export class Secrets extends pulumi.ComponentResource {
  /** The whole bundle's files. Secret. */
  readonly files: pulumi.Output<SecretFile[]>;
  /** What the values derive from, by secret id. Secret. */
  readonly roots: pulumi.Output<Roots["roots"]>;
  /** What clients must trust, in PEM, by file name. Public. */
  readonly certificates: pulumi.Output<Record<string, string>>;
  readonly #values = new Map<string, pulumi.Output<string>>();
  readonly #stateMark: pulumi.Output<string> | undefined;
  readonly #certificates = new Map<string, pulumi.Output<string>>();

  constructor(name: string, specification: NodeSpecification, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:secrets:Secrets", name, {}, options);
    const secrets = secretsOf(specification.services, specification.tunnel?.peers ?? [], specification.versions);
    const derived = secrets.filter((secret) => secret.kind === "derived");
    const roots = new Map(derived.filter(({ rootOf }) => rootOf === undefined).map((secret) => [secret.id, { version: secret.version, value: this.#root(name, secret) }]));
    for (const secret of derived) {
      const root = roots.get(secret.rootOf ?? secret.id);
      if (root === undefined) throw new Error(`The registry's ${secret.id} wants the root of ${secret.rootOf}, which this node does not have.`);
      this.#values.set(secret.id, root.value.apply((text) => secret.value(text, secretId(specification.id, secret))));
    }
    this.roots = pulumi.secret(pulumi.all(Object.fromEntries(roots)));
    this.#stateMark = roots.get(LASTING)?.value.apply((root) => derive(root, secretId(specification.id, { id: "state-mark" }), 32).toString("base64"));

    const known = knownCertificates(specification.environment, specification.id);
    for (const secret of secrets.filter((one) => one.kind === "certificate")) {
      this.#certificates.set(secret.file, this.#certified(name, secret, requestOf(secret, specification), known[secret.file]));
    }
    this.certificates = pulumi.all(Object.fromEntries(this.#certificates));

    this.files = pulumi.secret(pulumi.all(secrets.map((secret) => {
      switch (secret.kind) {
        case "derived": return this.value(secret.id).apply((value) => fileOf(secret, value));
        case "certificate": return this.#certificate(secret.file).apply((value) => fileOf(secret, value));
        case "given": return pulumi.secret(readFileSync(specification.backup.passwordFile, "utf8").trim()).apply((value) => fileOf(secret, value));
      }
    })));
    this.registerOutputs({ certificates: this.certificates });
  }

  /** The value of one secret of the node, by its id. Secret. */
  value(id: string): pulumi.Output<string> {
    const value = this.#values.get(id);
    if (value === undefined) throw new Error(`No secret of the registry has the id ${id} on this node. Is its service among the node's services?`);
    return value;
  }

  /** What tells this state from another one: derived from a root that every node has and that never changes. Public. */
  get stateMark(): pulumi.Output<string> {
    if (this.#stateMark === undefined) throw new Error(`This node has no secret ${LASTING}, by whose root its state is told from others. Is offsite-backup among the node's services?`);
    return pulumi.unsecret(this.#stateMark);
  }

  /** LND's certificate in PEM. Public. */
  get certificate(): pulumi.Output<string> {
    return this.#certificate("lnd-cert");
  }

  #certificate(file: string): pulumi.Output<string> {
    const certificate = this.#certificates.get(file);
    if (certificate === undefined) throw new Error(`No certificate of the registry has the file ${file} on this node. Is its service among the node's services?`);
    return certificate;
  }

  #root(name: string, { id, version, rotation }: Versioned<DerivedSecret>): pulumi.Output<string> {
    return makeRoot(name, { id, version }, { parent: this, protect: rotation === "never" });
  }

  #certified(name: string, secret: CertificateSecret, request: Omit<CertificateRequest, "privateKey">, known: string | undefined): pulumi.Output<string> {
    const made = step(`${name}-${secret.id}`, {
      program: "certify", input: { ...request, privateKey: this.value(secret.of), known }, output: certificateSchema,
    }, { parent: this });
    return pulumi.unsecret(made.apply(({ certificate }) => certificate));
  }
}

const requestOf = ({ organization, reached }: CertificateSecret, { tunnel }: NodeSpecification): Omit<CertificateRequest, "privateKey"> => ({
  commonName: "localhost", organization, dnsNames: ["localhost"], addresses: ["127.0.0.1", ...(reached === "tunnel" && tunnel !== undefined ? [tunnel.address] : [])], days: TEN_YEARS,
});

function fileOf(secret: SecretEntry, value: string): SecretFile {
  return {
    name: secret.file, owner: secret.owner, group: secret.group, mode: secret.mode, consumers: [...secret.consumers],
    content: Buffer.from(value).toString("base64"),
  };
}
