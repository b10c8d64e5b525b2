import { join } from "node:path";
import { z } from "zod";
import { notedHead, recorded } from "../../../custody/audit/log.js";
import { depositRoots, forgetOldDeposits } from "../../../custody/deposit/roots.js";
import { folderStore } from "../../../custody/deposit/store.js";
import { recordFiles } from "../../../custody/records.js";
import { rootsSchema } from "../../../formats/roots.js";
import { runStep, tell } from "../../stepProgram.js";

const input = z.strictObject({
  /** The store. */
  folder: z.string(),
  /** Where the audit log lies. */
  records: z.string(),
  content: rootsSchema.omit({ format: true, sentinel: true, sealed: true, audit: true }),
});

/** Brings a node's sealed roots off-site and proves that they are there. The resource keeps where: unchanged roots are not deposited again. */
await runStep(input, async ({ folder, records, content }) => {
  const log = { file: join(records, recordFiles.audit), environment: content.place.environment };
  const store = folderStore(folder);
  const deposited = await recorded(log, { action: "roots-deposited", subject: content.place.node }, async () =>
    depositRoots(store, { ...content, audit: await notedHead(log) }, new Date()));
  tell(`roots sealed and read back: ${deposited.file}`);
  await forgetOldDeposits(store, content.place).catch((error: unknown) => tell(`older exports stay: ${(error as Error).message}`));
  return deposited;
});
