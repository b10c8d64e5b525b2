import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { openerOf, recipientOf } from "../../custody/identityFile.js";
import { readMarks, writeMarks } from "../../custody/records.js";
import { sealText } from "../../custody/seal.js";
import { anyIdentitySchema, type AnyIdentity } from "../../formats/identity.js";
import { parseFormat } from "../../formats/versioned.js";
import { identityPath, recordsFolder, type Places } from "../places.js";
import { ensureNext, forgetIdentity, freshIdentity, nextIdentity, previousIdentity, recipientPath, stepAside, takePlace, type AgeRequest, type Source } from "./identities.js";
import { audited, type Means } from "./means.js";
import type { Phase } from "./phases.js";
import { readSetting, writeSetting } from "./settings.js";

/** Files of all node identities that a stack names. */
export function identityFiles(places: Places): string[] {
  const nodes = Object.values(Object(readSetting(places, ["nodes"])) as Record<string, unknown>);
  const named = nodes.flatMap((node) => {
    const { identity, identities } = Object(node) as { readonly identity?: unknown; readonly identities?: unknown };
    return [identity, ...(Array.isArray(identities) ? identities as unknown[] : [])];
  });
  return named.filter((path) => typeof path === "string").map((path) => resolve(places.project, path));
}

const read = (path: string): AnyIdentity => parseFormat(anyIdentitySchema, path, readFileSync(path, "utf8"));

/** Seals every node identity of a stack for another wallet identity. In clear they exist in this process's memory alone. */
export function walletPhases(means: Means, { oldIdentity }: AgeRequest, source: Source): readonly Phase[] {
  const { places } = means;
  const old = oldIdentity ?? identityPath(places, "wallet");
  const atHand = source.from === "made" || source.file !== undefined;
  const recipient = async (): Promise<string> => (source.from === "given" ? source.recipient : recipientOf(freshIdentity(places, "wallet"), means.askFresh));
  return [
    { name: "make", says: "making the new identity", work: () => ensureNext(means, "wallet", source) },
    {
      name: "reseal", says: "sealing the node identities for the new wallet recipient",
      work: async () => {
        const [next, open] = [await recipient(), await openerOf(old, means.askOld)];
        const proof = atHand ? await openerOf(nextIdentity(places, "wallet"), means.askFresh) : undefined;
        for (const path of identityFiles(places)) {
          const identity = read(path);
          await audited(means, "identity-resealed", `${identity.node} ${identity.kind}`, async () => {
            const secret = await open(identity.sealed).catch((error: Error) => {
              throw new Error(`${old} does not open ${path}, which is sealed for ${identity.recipient} (${error.message}). Name the right one: --old-identity FILE`);
            });
            const sealed = await sealText(secret, next);
            if (proof !== undefined && await proof(sealed) !== secret) throw new Error(`The new wallet identity opens ${path} to something else than the old one. Nothing was changed; make another identity.`);
            write(`${path}.next`, { ...identity, recipient: next, sealed });
          });
        }
      },
    },
    {
      name: "switch", says: "putting the new identity in the place of the old",
      work: async () => {
        const next = await recipient();
        for (const path of identityFiles(places)) {
          if (!existsSync(`${path}.next`)) continue;
          if (!existsSync(`${path}.previous`)) write(`${path}.previous`, read(path));
          renameSync(`${path}.next`, path);
        }
        if (atHand) takePlace(places, "wallet");
        else stepAside(places, "wallet");
        writeSetting(places, recipientPath("wallet"), next);
        const records = recordsFolder(places);
        const marks = readMarks(records);
        writeMarks(records, { ...marks, made: { ...marks.made, wallet: means.now().toISOString() } });
      },
    },
    { name: "update", says: "having the stack hold what was sealed anew", work: means.update },
    {
      name: "forget", says: "forgetting the old identity",
      work: async () => {
        const previous = identityFiles(places).map((path) => `${path}.previous`).filter(existsSync);
        if (!atHand) {
          return means.say(`The new wallet identity is not here, so nobody has tried it. Keep ${[...previous, previousIdentity(places, "wallet")].filter(existsSync).join(", ") || "the old identity"} until \`holdfast wallet unlock\` has opened the new files with it.`);
        }
        const open = await openerOf(identityPath(places, "wallet"), means.askFresh);
        for (const path of identityFiles(places)) await open(read(path).sealed);
        previous.forEach((path) => rmSync(path));
        forgetIdentity(previousIdentity(places, "wallet"));
      },
    },
  ];
}

function write(path: string, identity: AnyIdentity): void {
  writeFileSync(`${path}.part`, `${JSON.stringify(identity, undefined, 2)}\n`, { mode: 0o644, flush: true });
  renameSync(`${path}.part`, path);
}
