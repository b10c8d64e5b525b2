import * as pulumi from "@pulumi/pulumi";
import { gateReportSchema, type GateReport } from "../../formats/gate.js";
import type { IdentityFile } from "../../formats/identity.js";
import type { Place } from "../../formats/place.js";
import type { Host } from "../host/host.js";
import { step } from "../step.js";

export interface GateArgs {
  readonly host: Host;
  readonly place: Place;
  readonly identity: pulumi.Input<IdentityFile>;
  /** The host's own age recipient, for which the seed is sealed when the gate asks for it. */
  readonly recipient: pulumi.Input<string>;
  /** A wallet identity in clear, of worthless coins. */
  readonly walletIdentityFile?: string;
  /** The system that was activated: a changed one asks the gate again. */
  readonly toplevel: pulumi.Input<string>;
}

/** The host's gate, asked until the node is open: as itself, with its wallet new, found or restored. */
export class Gate extends pulumi.ComponentResource {
  readonly report: pulumi.Output<GateReport>;

  constructor(name: string, args: GateArgs, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:recovery:Gate", name, {}, options);
    this.report = pulumi.unsecret(step(`${name}-open`, {
      program: "open",
      input: {
        connection: args.host.connection, place: { ...args.place }, identity: args.identity, recipient: args.recipient,
        ...(args.walletIdentityFile !== undefined && { walletIdentityFile: args.walletIdentityFile }),
        toplevel: args.toplevel,
      },
      output: gateReportSchema,
      host: args.host,
    }, { parent: this }));
    this.registerOutputs({ report: this.report });
  }
}
