import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { z } from "zod";
import type { NodeSpecification } from "../../config/specification.js";
import type { SecretFile } from "../../formats/bundle.js";
import { step } from "../step.js";
import type { CertificateRequest } from "./certificate.js";
import { presharedKey, registry, secretId, type DerivedSecret } from "./registry.js";

const TEN_YEARS = 3650;

/** A node's service secrets: a root for each in state, the values derived from them, and the files that they make on the host. */
export class Secrets extends pulumi.ComponentResource {
  /** The whole bundle's files. Secret. */
  readonly files: pulumi.Output<SecretFile[]>;
  /** LND's certificate, PEM: what a client must trust. Public. */
  readonly certificate: pulumi.Output<string>;
  readonly #values = new Map<string, pulumi.Output<string>>();

  constructor(name: string, specification: NodeSpecification, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:secrets:Secrets", name, {}, options);
    const secrets = [...registry, ...specification.tunnel.peers.map((peer) => presharedKey(peer.name))];
    const roots = new Map(secrets.filter((secret) => secret.rootOf === undefined).map((secret) => [secret.id, this.#root(`${name}-${secret.id}`, secret)]));
    for (const secret of secrets) {
      const root = roots.get(secret.rootOf ?? secret.id);
      if (root === undefined) throw new Error(`The registry's ${secret.id} wants the root of ${secret.rootOf}, which has none.`);
      this.#values.set(secret.id, root.apply((text) => secret.value(text, secretId(specification.id, secret))));
    }

    const request: Omit<CertificateRequest, "privateKey"> = {
      commonName: "localhost", organization: "lnd", dnsNames: ["localhost"], addresses: ["127.0.0.1", specification.tunnel.address], days: TEN_YEARS,
    };
    const made = step(`${name}-lnd-certificate`, {
      program: "certify", input: { ...request, privateKey: this.value("lnd-tls-key") }, output: z.strictObject({ certificate: z.string() }),
    }, { parent: this });
    this.certificate = pulumi.unsecret(made.apply(({ certificate }) => certificate));

    this.files = pulumi.secret(pulumi.all([
      ...secrets.map((secret) => this.value(secret.id).apply((value) => fileOf(secret, value))),
      this.certificate.apply((value) => fileOf({ file: "lnd-cert", owner: "lnd", group: "lnd", mode: "0444", consumers: ["lnd.service"] }, value)),
      pulumi.secret(readFileSync(specification.backup.passwordFile, "utf8").trim()).apply((value) =>
        fileOf({ file: "backup-store-password", owner: "root", group: "root", mode: "0400", consumers: ["holdfast-backup.service"] }, value)),
    ]));
    this.registerOutputs({ certificate: this.certificate });
  }

  /** The value of one secret of the registry, by its id. Secret. */
  value(id: string): pulumi.Output<string> {
    const value = this.#values.get(id);
    if (value === undefined) throw new Error(`No secret of the registry has the id ${id}.`);
    return value;
  }

  #root(name: string, secret: DerivedSecret): pulumi.Output<string> {
    return new random.RandomPassword(`${name}-root`, { length: 64, special: false }, { parent: this, protect: secret.rotation === "never" }).result;
  }
}

function fileOf(secret: Pick<DerivedSecret, "file" | "owner" | "group" | "mode" | "consumers">, value: string): SecretFile {
  return {
    name: secret.file, owner: secret.owner, group: secret.group, mode: secret.mode, consumers: [...secret.consumers],
    content: Buffer.from(value).toString("base64"),
  };
}
