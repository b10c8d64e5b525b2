import type { GoModule } from "./gomodule.js";
import { projectFolder } from "./place.js";

/** A provider plugin that the program's npm packages ask the engine for, by exact version. */
export interface Plugin {
  readonly name: string;
  readonly version: string;
  /** What builds it where the official one cannot be downloaded. */
  readonly module: GoModule;
  /** Whether what the module builds is our own stand-in and not the real provider. */
  readonly standIn: "ours" | "real";
}

/** The oldest Pulumi on the PATH that is used as it is: the one all this was tested with. */
export const OLDEST_PULUMI = "3.250.0";

/** The Pulumi that is downloaded or built where the PATH has none. */
export const PULUMI_VERSION = "3.250.0";

/**
 * SHA-256 of the official archives of {@link PULUMI_VERSION}, by platform as in their names. An archive without a pin is verified against the
 * checksums file that Pulumi publishes beside it. Fill these in from a machine that has downloaded that file.
 */
export const PULUMI_SHA256: Readonly<Record<string, string>> = {};

/** Where Pulumi publishes its releases. */
export const PULUMI_RELEASES = "https://get.pulumi.com/releases/sdk";

const folder = (name: string): string => projectFolder(`rehearsal/engine/modules/${name}`);

/** The command line and its language host. */
export const ENGINE_MODULES: readonly GoModule[] = [
  {
    name: "pulumi",
    folder: folder("pulumi"),
    packages: ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"],
    ldflags: `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${PULUMI_VERSION}`,
  },
  {
    name: "pulumi-language-nodejs",
    folder: folder("language"),
    packages: ["github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs"],
  },
];

/** The plugins of the program's `@pulumi/*` packages, and hcloud's for its hosts in the cloud, at the versions of their npm packages. */
export const PLUGINS: readonly Plugin[] = [
  {
    name: "random",
    version: "4.21.2",
    module: { name: "pulumi-resource-random", folder: folder("bridged"), packages: ["./cmd/pulumi-resource-random"] },
    standIn: "real",
  },
  {
    // Bridges terraform-provider-hcloud 1.60.1, the newest that a Go module can be had of: PrimaryIp wants assigneeType and autoDelete always, see README.md.
    name: "hcloud",
    version: "1.41.0",
    module: { name: "pulumi-resource-hcloud", folder: folder("bridged"), packages: ["./cmd/pulumi-resource-hcloud"] },
    standIn: "real",
  },
  {
    name: "command",
    version: "1.2.1",
    module: { name: "pulumi-resource-command", folder: folder("command"), packages: ["./cmd/pulumi-resource-command"] },
    standIn: "ours",
  },
];
