import * as pulumi from "@pulumi/pulumi";
import type { NodeSpecification, StackSpecification } from "../../config/specification.js";
import type { Settings } from "../../formats/settings.js";
import type { Secrets } from "../secrets/secrets.js";
import { step } from "../step.js";
import { plainly } from "../plainly.js";
import { installedSchema, type Installed } from "./installation.js";
import { requireSameDisks } from "./nixosDisks.js";

export interface InstallationArgs {
  readonly specification: NodeSpecification;
  readonly stack: StackSpecification;
  readonly settings: pulumi.Output<Settings>;
  readonly secrets: Secrets;
}

/** NixOS on a host that has another system: once for each generation of the host, and not for one that is NixOS already. */
export class Installation extends pulumi.ComponentResource {
  readonly installed: pulumi.Output<Installed>;

  constructor(name: string, { specification, stack, settings, secrets }: InstallationArgs, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:system:Installation", name, {}, options);
    const { generation, ...where } = specification.host;
    const { disks } = specification.nixos;
    // A resource of its own for each generation: replaced in place, it would be given what its first input was.
    const installed = pulumi.unsecret(step(`${name}-provision-${generation}`, {
      program: "provision",
      input: {
        connection: { ...where, ...(stack.identityFile !== undefined && { identityFile: stack.identityFile }) },
        generation, node: specification.id, flake: stack.flake, settings, wipe: specification.wipe,
        ...(disks.layout !== "kept" && disks.encrypted && { diskKey: secrets.value("root-disk-key") }),
      },
      output: installedSchema,
      host: { generation },
      // What is installed once is activated ever after: no later setting wipes a disk.
    }, { parent: this, ignoreChanges: ["stdin"] }));
    // What it answered is known to a preview too.
    this.installed = installed.apply((answer) => plainly(() => {
      if (answer.disks !== undefined) requireSameDisks(specification.name, generation, answer.disks, disks);
      return answer;
    }));
    this.registerOutputs({ installed: this.installed });
  }
}
