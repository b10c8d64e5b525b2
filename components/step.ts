import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { parseFormat } from "../formats/versioned.js";
import { plainly } from "./plainly.js";
import type { HostGeneration } from "./host/host.js";

export interface StepArgs<T> {
  /** The program in `components/<folder>/steps/`. */
  readonly program: "provision" | "release" | "welcome" | "reach" | "install" | "contact" | "certify" | "seal" | "deliver" | "activate" | "hold" | "open" | "deposit";
  /** JSON for its stdin: the one way in which a secret reaches a program. */
  readonly input: pulumi.Input<unknown>;
  readonly output: z.ZodType<T>;
  /** The host it works on. A new generation runs the step anew; a step without a host runs when its input changes. */
  readonly host?: HostGeneration;
}

/** What `hold` held before decides whether it may hold something else; what `certify` made is kept while it serves. Both are public: no other output goes into an environment. */
const LOOKING_BACK: readonly StepArgs<unknown>["program"][] = ["hold", "certify"];

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
    addPreviousOutputInEnv: LOOKING_BACK.includes(args.program),
    ...(args.host && { triggers: [args.host.generation, ...(args.host.machine === undefined ? [] : [args.host.machine])] }),
  }, {
    ...options,
    additionalSecretOutputs: ["stdin", "stdout", "stderr"],
    ...(args.host?.resource && { deletedWith: args.host.resource }),
  });
  return command.stdout.apply((text) => plainly(() => parseFormat(args.output, `answer of step ${args.program}`, text)));
}
