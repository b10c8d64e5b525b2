import type * as pulumi from "@pulumi/pulumi";
import type { Connection } from "../../formats/step.js";

/** What of a host makes steps run anew when it is another machine. */
export interface HostGeneration {
  readonly generation: number;
  /** Tells one machine of a generation from another: a cloud may lose a server, and a new one has nothing of what was done to it. */
  readonly machine?: pulumi.Input<string>;
  /** Stands for the machine: what lies on it is gone when this is. */
  readonly resource?: pulumi.Resource;
}

/** A machine that one can reach and that is known to be the one meant. Each kind of host yields the same. */
export interface Host extends HostGeneration {
  readonly address: pulumi.Output<string>;
  /** Resolves only when the host has answered with its pinned key. */
  readonly connection: pulumi.Output<Connection>;
  readonly machineId: pulumi.Output<string>;
}
