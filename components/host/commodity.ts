import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { HostSpecification } from "../../config/schema.js";
import type { Connection } from "../../formats/step.js";
import { step } from "../step.js";
import type { Host } from "./host.js";

export interface CommodityHostArgs {
  readonly specification: HostSpecification;
  /** The deploy machine's private key file; OpenSSH's own defaults and agent when absent. */
  readonly identityFile?: string;
  /** What must have made the host before it can be reached. */
  readonly after?: pulumi.Output<unknown> | undefined;
}

export function commodityConnection({ generation: _, ...where }: HostSpecification, identityFile: string | undefined): Connection {
  return { ...where, ...(identityFile !== undefined && { identityFile }) };
}

/** What the reach step learns before anything is sent. */
export const reachedSchema = z.strictObject({ machineId: z.string(), architecture: z.string() });

/** Any Linux machine that answers SSH as root with the key one expects. It is not made here and not deleted here. */
export class CommodityHost extends pulumi.ComponentResource implements Host {
  readonly generation: number;
  readonly address: pulumi.Output<string>;
  readonly connection: pulumi.Output<Connection>;
  readonly machineId: pulumi.Output<string>;

  constructor(name: string, { specification, identityFile, after }: CommodityHostArgs, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:host:Commodity", name, {}, options);
    const { generation } = specification;
    this.generation = generation;
    const connection = commodityConnection(specification, identityFile);
    const reached = step(`${name}-reach`, { program: "reach", input: { connection }, output: reachedSchema, host: { generation } }, {
      parent: this, ...(after !== undefined && { dependsOn: after.apply(() => []) }),
    });

    this.machineId = pulumi.unsecret(reached.apply(({ machineId }) => machineId));
    this.connection = this.machineId.apply(() => connection);
    this.address = pulumi.output(specification.address);
    this.registerOutputs({ machineId: this.machineId });
  }

  /** The host itself stands for its machine. */
  get resource(): pulumi.Resource {
    return this;
  }
}
