import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

export interface RootArgs {
  /** The secret's id. */
  readonly id: string;
  readonly version: number;
  /** `beside`: a version's root is a resource of its own, so that the next one can be there before this one goes. */
  readonly replaced?: "beside" | undefined;
}

/** The name of a root's resource, without what is appended to it everywhere. A first version's name is the same however it is replaced. */
export const rootName = (owner: string, { id, version, replaced }: RootArgs): string => `${owner}-${id}-root${replaced === "beside" && version > 1 ? `-${version}` : ""}`;

/**
 * What keys derive from: 64 letters and digits (381 bits), made once for each version and kept in state. Secret.
 *
 * A RandomPassword, because the other resources of its provider keep their value in clear.
 *
 * @param owner the name of the component that has it
 */
export function makeRoot(owner: string, root: RootArgs, options: pulumi.CustomResourceOptions): pulumi.Output<string> {
  return new random.RandomPassword(rootName(owner, root), {
    length: 64, special: false, ...(root.version > 1 && { keepers: { version: String(root.version) } }),
  }, options).result;
}
