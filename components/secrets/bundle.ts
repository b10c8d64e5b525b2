import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { SecretFile } from "../../formats/bundle.js";
import type { Place } from "../../formats/place.js";
import { deliverySchema, type Connection, type Delivery } from "../../formats/step.js";
import type { HostGeneration } from "../host/host.js";
import { step } from "../step.js";

export interface SealedBundleArgs {
  readonly place: Place;
  readonly files: pulumi.Input<SecretFile[]>;
  /** The host's own age recipient. */
  readonly recipient: pulumi.Input<string>;
  readonly connection: pulumi.Input<Connection>;
  readonly host: HostGeneration;
  /** The folder of the environment's records: where each delivery leaves its lines. */
  readonly records: string;
}

/** A node's service secrets, sealed for its host and brought there. */
export class SealedBundle extends pulumi.ComponentResource {
  readonly delivery: pulumi.Output<Delivery>;

  constructor(name: string, args: SealedBundleArgs, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:secrets:SealedBundle", name, {}, options);
    const sealed = step(`${name}-seal`, {
      program: "seal",
      input: { recipient: args.recipient, bundle: { format: "holdfast-bundle/1", place: { ...args.place }, files: args.files } },
      output: z.strictObject({ version: z.int(), sealed: z.string() }),
      host: args.host,
    }, { parent: this });
    this.delivery = pulumi.unsecret(step(`${name}-deliver`, {
      program: "deliver", input: { connection: args.connection, sealed: sealed.apply((one) => one.sealed), place: { ...args.place }, records: args.records }, output: deliverySchema, host: args.host,
    }, { parent: this }));
    this.registerOutputs({ delivery: this.delivery });
  }
}
