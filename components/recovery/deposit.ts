import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { ConfigurationRefused } from "../../config/refusal.js";
import type { NodeSpecification, StackSpecification } from "../../config/specification.js";
import type { OwnMarks } from "../../config/stateMarks.js";
import { depositFolderFault } from "../../custody/deposit/place.js";
import { exportableIdentity } from "../../custody/deposit/walletIdentity.js";
import type { AnyIdentity } from "../../formats/identity.js";
import type { Place } from "../../formats/place.js";
import type { Marks } from "../../formats/records.js";
import { depositedSchema, type Deposited, type Roots } from "../../formats/roots.js";
import { step } from "../step.js";

export interface DepositArgs {
  readonly specification: NodeSpecification;
  readonly stack: StackSpecification;
  readonly place: Place;
  /** What the node's keys derive from, by secret id; its peers' too. Secret. */
  readonly roots: pulumi.Input<Roots["roots"]>;
  /** As the stack holds them: a seed that it refuses must not go off-site as the node's. */
  readonly identities: pulumi.Input<AnyIdentity[]>;
  /** In PEM, by file name. */
  readonly certificates: pulumi.Input<Record<string, string>>;
  /** The node's marks, once they are known to be its own. */
  readonly own: pulumi.Input<OwnMarks>;
}

/** Everything of a node that cannot be made again, sealed for the recovery recipient, in a store that outlives this machine. Nothing of the node starts before. */
export class Deposit extends pulumi.ComponentResource {
  readonly deposited: pulumi.Output<Deposited>;

  constructor(name: string, args: DepositArgs, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:recovery:Deposit", name, {}, options);
    const { specification, stack, place } = args;
    this.deposited = pulumi.unsecret(step(`${name}-deposit`, {
      program: "deposit",
      input: {
        folder: stack.deposit.folder,
        records: stack.records,
        content: {
          place: { ...place },
          name: specification.name,
          roots: args.roots,
          certificates: args.certificates,
          storePassword: pulumi.secret(readFileSync(specification.backup.passwordFile, "utf8").trim()),
          identities: args.identities,
          walletIdentity: walletIdentityOf(stack.environment),
          recipients: { ...stack.recipients },
          versions: { format: "holdfast-versions/1", nodes: { [specification.id]: specification.versions } },
          marks: pulumi.output(args.own).apply((own) => marksOf(stack.marks, specification.id, own)),
        },
      },
      output: depositedSchema,
    }, { parent: this }));
    this.registerOutputs({ deposited: this.deposited });
  }
}

/**
 * Refuses a folder that cannot hold the deposit, before anything is touched.
 *
 * @param project the folder of Pulumi.yaml
 * @throws ConfigurationRefused
 */
export function requireDepositFolder({ deposit: { folder } }: Pick<StackSpecification, "deposit">, project: string): void {
  const wanted = depositFolderFault(project, folder);
  if (wanted !== undefined) throw new ConfigurationRefused([{ path: "holdfast:deposit.folder", found: JSON.stringify(folder), wanted }]);
}

/**
 * What the node must go on having, without what `holdfast` notes after an update: a noted key would make the next update deposit once more.
 */
export const marksOf = (marks: Marks, nodeId: string, { state, tunnelKey }: OwnMarks): Marks => ({
  format: marks.format,
  ...(marks.passphrase !== undefined && { passphrase: marks.passphrase }),
  tunnels: tunnelKey === undefined ? {} : { [nodeId]: tunnelKey },
  states: { [nodeId]: state },
  made: Object.fromEntries(Object.entries(marks.made).filter(([what]) => !what.startsWith("tunnel-")).sort(([one], [other]) => (one < other ? -1 : 1))),
});

/** The wallet identity's own file, where that may leave its place. */
function walletIdentityOf(environment: string): pulumi.Output<string> | undefined {
  const file = join(".holdfast", environment, "wallet.age-key");
  const text = existsSync(file) ? exportableIdentity(readFileSync(file)) : undefined;
  return text === undefined ? undefined : pulumi.secret(text);
}
