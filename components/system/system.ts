import * as pulumi from "@pulumi/pulumi";
import type { Service } from "../../formats/services.js";
import type { Settings } from "../../formats/settings.js";
import { activationSchema, contactSchema, type Activation } from "../../formats/step.js";
import type { Place } from "../../formats/place.js";
import type { Host } from "../host/host.js";
import type { SealedBundle } from "../secrets/bundle.js";
import { step } from "../step.js";
import { builtSchema } from "./install.js";
import { sourcesDigest } from "./sources.js";

export interface SystemArgs {
  readonly host: Host;
  readonly place: Place;
  /** The flake whose `holdfastSystems.<node>` is built, as a folder of the project. */
  readonly flake: string;
  readonly settings: pulumi.Output<Settings>;
  /** They decide which programs go along. */
  readonly services: readonly Service[];
}

/** The node's system: its sources brought to the host and built there, not yet running. */
export class System extends pulumi.ComponentResource {
  /** The built system's path in the host's Nix store. */
  readonly toplevel: pulumi.Output<string>;
  /** The host's own age recipient, made by the agent that the build brought. */
  readonly recipient: pulumi.Output<string>;

  constructor(name: string, args: SystemArgs, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:system:System", name, {}, options);
    const installed = step(`${name}-install`, {
      program: "install",
      input: { connection: args.host.connection, node: args.place.node, flake: args.flake, digest: sourcesDigest(args.flake, args.services), settings: args.settings },
      output: builtSchema,
      host: args.host,
    }, { parent: this });
    this.toplevel = pulumi.unsecret(installed.apply(({ toplevel }) => toplevel));

    const contact = step(`${name}-contact`, {
      program: "contact", input: { connection: args.host.connection, place: { ...args.place } }, output: contactSchema, host: args.host,
    }, { parent: this, dependsOn: this.#after(installed) });
    this.recipient = pulumi.unsecret(contact.apply(({ recipient }) => recipient));
    this.registerOutputs({ toplevel: this.toplevel, recipient: this.recipient });
  }

  /** No resource of its own, but the dependence on those behind an output: contact's input stays the same when a build's result changes. */
  #after(output: pulumi.Output<unknown>): pulumi.Output<pulumi.Resource[]> {
    return output.apply(() => []);
  }
}

export interface ActivationArgs {
  readonly host: Host;
  readonly toplevel: pulumi.Input<string>;
  readonly settings: pulumi.Input<Settings>;
  /** Seconds that the system has to prove itself before its host takes it back. */
  readonly proofSeconds: number;
  /** With the secrets of the new system's services: it must be on the host before. */
  readonly bundle: SealedBundle;
  /** What else must be done before: the roots are off-site. */
  readonly after: pulumi.Resource[];
}

/** Makes the built system the running one, and the boot default once it has proven itself from outside. */
export class SystemActivation extends pulumi.ComponentResource {
  readonly result: pulumi.Output<Activation>;

  constructor(name: string, args: ActivationArgs, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:system:Activation", name, {}, options);
    this.result = pulumi.unsecret(step(`${name}-activate`, {
      program: "activate",
      input: {
        connection: args.host.connection,
        toplevel: args.toplevel,
        // New secrets alone are an activation too.
        secretsVersion: args.bundle.delivery.apply(({ version }) => version),
        // Brought once more over others, as from an old copy of the state, they are activated once more.
        replaces: args.bundle.delivery.apply(({ replaces }) => replaces),
        policy: pulumi.output(args.settings).apply((settings) => settings.firewall.policy),
        tunnelKey: pulumi.output(args.settings).apply((settings) => settings.tunnel?.publicKey ?? null),
        proofSeconds: args.proofSeconds,
      },
      output: activationSchema,
      host: args.host,
    }, { parent: this, dependsOn: [args.bundle, ...args.after] }));
    this.registerOutputs({ result: this.result });
  }
}
