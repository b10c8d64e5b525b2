import * as pulumi from "@pulumi/pulumi";
import { gateReportSchema, type GateReport } from "../../formats/gate.js";
import type { Place } from "../../formats/place.js";
import type { Host } from "../host/host.js";
import type { HeldIdentities } from "../secrets/identities.js";
import { step } from "../step.js";

export interface GateArgs {
  readonly host: Host;
  readonly place: Place;
  readonly identities: HeldIdentities;
  /** The host's own age recipient, for which the identities are sealed when the gate asks for them. */
  readonly recipient: pulumi.Input<string>;
  /** A wallet identity in clear, of worthless coins. */
  readonly walletIdentityFile?: string;
  /** The folder of the environment's records: where the use of that identity leaves its line. */
  readonly records: string;
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
        connection: args.host.connection, place: { ...args.place }, identity: args.identities.seed, identities: args.identities.files, recipient: args.recipient,
        ...(args.walletIdentityFile !== undefined && { walletIdentityFile: args.walletIdentityFile }),
        records: args.records, toplevel: args.toplevel,
      },
      output: gateReportSchema,
      host: args.host,
    }, { parent: this }));
    this.registerOutputs({ report: this.report });
  }
}
