import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { parseFormat } from "../formats/versioned.js";
import type { HostGeneration } from "./host/host.js";

export interface StepArgs<T> {
  /** The program in `components/<folder>/steps/`. */
  readonly program: "reach" | "install" | "contact" | "certify" | "seal" | "deliver" | "activate" | "hold" | "open";
  /** JSON for its stdin: the one way in which a secret reaches a program. */
  readonly input: pulumi.Input<unknown>;
  readonly output: z.ZodType<T>;
  /** The host it works on. A new generation runs the step anew; a step without a host runs when its input changes. */
  readonly host?: HostGeneration;
}

/**
 * A resource that is a program's run: JSON in on stdin, JSON out on stdout.
 *
 * It runs again when its input changes. It has no `delete`: a dead host never blocks a destroy, and an old one's clean-up never reaches a new one.
 */
export function step<T>(name: string, args: StepArgs<T>, options: pulumi.CustomResourceOptions): pulumi.Output<T> {
  const command = new local.Command(name, {
    create: `node dist/steps/${args.program}.js`,
    stdin: pulumi.secret(pulumi.jsonStringify(args.input)),
    logging: local.Logging.Stderr,
    // What `hold` held before decides whether it may hold something else; no other step looks back.
    addPreviousOutputInEnv: args.program === "hold",
    ...(args.host && { triggers: [args.host.generation] }),
  }, {
    ...options,
    additionalSecretOutputs: ["stdin", "stdout", "stderr"],
    ...(args.host?.resource && { deletedWith: args.host.resource }),
  });
  return command.stdout.apply((text) => parseFormat(args.output, `answer of step ${args.program}`, text));
}
