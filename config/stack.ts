import * as pulumi from "@pulumi/pulumi";
import { passphraseInForce } from "./passphrase.js";
import { filesOf, otherEnvironments } from "./project.js";
import { specify } from "./specify.js";
import type { StackSpecification } from "./specification.js";

/**
 * The running stack's specification.
 *
 * @param project the folder of Pulumi.yaml
 * @throws ConfigurationRefused
 */
export function readStack(project: string): StackSpecification {
  const environment = pulumi.getStack();
  const input = Object.fromEntries(Object.entries(pulumi.runtime.allConfig())
    .flatMap(([key, text]) => (key.startsWith("holdfast:") ? [[key.slice("holdfast:".length), structured(text)]] : [])));
  return specify(environment, input, filesOf(project), otherEnvironments(project, environment), passphraseInForce(process.env));
}

/** Pulumi hands structured values over as JSON and plain ones as they are. */
const structured = (text: string): unknown => (/^[[{]/.test(text) ? JSON.parse(text) as unknown : text);
