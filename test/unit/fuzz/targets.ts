import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { armor } from "age-encryption";
import fc from "fast-check";
import { stringify } from "yaml";
import type { z } from "zod";
import { parseTunnel, policyMark } from "../../../agent/activation/probe.js";
import { openAdmission } from "../../../agent/gate/admission.js";
import { systemHost } from "../../../agent/gate/host.js";
import { openBundle } from "../../../agent/secrets/sealed.js";
import { siteBelow } from "../../../agent/site.js";
import { ConfigurationRefused } from "../../../config/refusal.js";
import { marksOf } from "../../../config/marks.js";
import { stackFileKeys } from "../../../config/project.js";
import { resolveFiles, specify } from "../../../config/specify.js";
import { underway } from "../../../cli/rotate/journal.js";
import { headOf, nextLine, printLine, verifyChain } from "../../../custody/audit/chain.js";
import { openNewestDeposit } from "../../../custody/deposit/roots.js";
import { readKit } from "../../../custody/escrow/kit.js";
import { recoverIdentity } from "../../../custody/escrow/recover.js";
import { shareIn } from "../../../custody/escrow/sealedShare.js";
import { exportableIdentity } from "../../../custody/deposit/walletIdentity.js";
import { identityOf, openerOf, recipientOf } from "../../../custody/identityFile.js";
import { identityIn, openText, sealText } from "../../../custody/seal.js";
import { openIdentities } from "../../../custody/wallet/open.js";
import { auditHeadSchema, auditLineSchema } from "../../../formats/audit.js";
import { bundleSchema } from "../../../formats/bundle.js";
import { gateReportSchema } from "../../../formats/gate.js";
import { admissionSchema, anyIdentitySchema, fileIdentitySchema, identityFileSchema, type Seed } from "../../../formats/identity.js";
import { manifestSchema } from "../../../formats/manifest.js";
import { placeSchema } from "../../../formats/place.js";
import { marksSchema, versionsSchema } from "../../../formats/records.js";
import { rootsSchema } from "../../../formats/roots.js";
import { settingsSchema } from "../../../formats/settings.js";
import { kitSchema, shareSchema } from "../../../formats/share.js";
import { probeSchema } from "../../../formats/step.js";
import { parseFormat } from "../../../formats/versioned.js";
import { keptSchema, walletReplySchema, walletRequestSchema } from "../../../formats/walletSocket.js";
import { settings } from "../agent/gate/fakeHost.js";
import { mutatedBytes, mutatedJson, mutatedText, mutatedValue } from "./mutate.js";
import type { Target } from "./property.js";
import { secretIn, type Samples } from "./samples.js";

function format(name: string, schema: z.ZodType, sample: unknown, secrets: readonly string[] = []): Target {
  parseFormat(schema, `the sample of ${name}`, JSON.stringify(sample));
  return { name, given: mutatedJson(sample, secrets), names: /^the thing: (at |this is not JSON)/, secrets, parse: (text) => void parseFormat(schema, "the thing", text) };
}

/** Every parser of what comes from outside. @param folder for hosts and identity files */
export async function targetsOf(samples: Samples, folder = mkdtempSync(join(tmpdir(), "holdfast-fuzz-"))): Promise<Target[]> {
  return [...formats(samples), ...await onHost(samples, folder), ...await custody(samples, folder), ...await escrow(samples, folder), ...configuration(samples), ...probes()];
}

function formats(samples: Samples): Target[] {
  const contents = samples.bundle.files.map(({ content }) => content);
  const words = [samples.admission.mnemonic.join(" "), ...samples.admission.mnemonic, samples.admission.files[0]!.secret];
  return [
    format("a bundle", bundleSchema, samples.bundle, contents),
    format("an admission", admissionSchema, samples.admission, words),
    format("a seed's file", identityFileSchema, samples.seed),
    format("another identity's file", fileIdentitySchema, samples.nsec),
    format("an identity's file of any kind", anyIdentitySchema, samples.nsec),
    format("a share", shareSchema, samples.shares[0], [samples.shares[0]!.share]),
    format("a recovery kit", kitSchema, samples.kit),
    format("roots", rootsSchema, samples.roots, [samples.roots.storePassword, ...Object.values(samples.roots.roots).map(({ value }) => value)]),
    format("versions", versionsSchema, samples.versions),
    format("marks", marksSchema, samples.marks),
    format("a manifest", manifestSchema, samples.manifest),
    format("settings", settingsSchema, settings),
    format("a place", placeSchema, samples.place),
    format("a gate's report", gateReportSchema, samples.gate),
    format("a probe's answer", probeSchema, samples.probe),
    format("a question to the wallet", walletRequestSchema, samples.reseal),
    format("the wallet's answer", walletReplySchema, samples.reply),
    format("what an unlocked wallet keeps", keptSchema, samples.kept, [...samples.kept.nodes[0]!.seed.mnemonic, samples.kept.nodes[0]!.files[0]!.secret]),
    format("an end of the audit log", auditHeadSchema, samples.head),
    format("a line of the audit log", auditLineSchema, nextLine(samples.noHead, { action: "age-rotated", environment: "dev", subject: "environment", outcome: "done" }, { time: new Date(0), who: "ada@desk" })),
  ];
}

/** What a host is sent, sealed: the ciphertext and what is in it. */
async function onHost(samples: Samples, folder: string): Promise<Target[]> {
  const site = siteBelow(join(folder, "host"));
  const host = { ...systemHost, paths: site.layout };
  const at = { ...settings, place: samples.place, lightning: { ...settings.lightning, nodePublicKey: samples.admission.nodePublicKey } };
  mkdirSync(dirname(site.layout.identity), { recursive: true });
  writeFileSync(site.layout.identity, `${samples.host.identity}\n`);
  writeFileSync(site.layout.place, JSON.stringify(samples.place));
  const sealed = await sealText(JSON.stringify(samples.bundle), samples.host.recipient);
  const admission = await sealText(JSON.stringify(samples.admission), samples.host.recipient);
  const contents = [secretIn(samples.host.identity), ...samples.bundle.files.map(({ content }) => content)];
  const words = [secretIn(samples.host.identity), ...samples.admission.mnemonic];
  const seal = (text: string): Promise<string> => sealText(text, samples.host.recipient);
  const damaged = join(folder, "damaged-host");
  return [
    { name: "a sealed bundle", given: damagedFile(sealed), parse: (text) => openBundle(site, text), names: /the bundle of secrets (cannot be opened|is refused|names)|^the bundle of secrets: /, secrets: contents, cost: 4 },
    { name: "what is in a sealed bundle", given: mutatedJson(samples.bundle, contents), parse: async (text) => openBundle(site, await seal(text)), names: /^the bundle of secrets(:| is refused| names)/, secrets: contents, cost: 6 },
    { name: "a sealed admission", given: damagedFile(admission), parse: (text) => openAdmission(host, at, text), names: /^This one-use bundle/, secrets: words, cost: 4 },
    { name: "what is in a sealed admission", given: mutatedJson(samples.admission, words), parse: async (text) => openAdmission(host, at, await seal(text)), names: /^(This|the) one-use bundle/, secrets: words, cost: 6 },
    {
      name: "a host's own identity", given: mutatedText(samples.host.identity), secrets: contents, cost: 4, names: /identity|this host|cannot be opened/,
      parse: (text) => {
        const other = siteBelow(damaged);
        mkdirSync(dirname(other.layout.identity), { recursive: true });
        writeFileSync(other.layout.identity, text);
        writeFileSync(other.layout.place, JSON.stringify(samples.place));
        return openBundle(other, sealed);
      },
    },
  ];
}

/** What the operator's files hold, in clear and sealed. */
async function custody(samples: Samples, folder: string): Promise<Target[]> {
  const { identity, recipient } = samples.wallet;
  const text = await sealText("opened", recipient);
  const file = join(folder, "identity");
  const noPassphrase = async (): Promise<string> => "no passphrase";
  const seed = JSON.parse(await openText(samples.seed.sealed, identity)) as Seed;
  const nsec = JSON.parse(await openText(samples.nsec.sealed, identity)) as { readonly secret: string };
  const lines = ["begun", "done", "begun"].reduce((all, outcome) => {
    const last = all.at(-1);
    return [...all, nextLine(last === undefined ? samples.noHead : headOf(last), { action: "age-rotated", environment: "dev", subject: "environment", outcome: outcome as "begun" }, { time: new Date(0), who: "ada@desk" })];
  }, [] as ReturnType<typeof nextLine>[]);
  const opened = JSON.stringify(samples.roots);
  const deposit = (sealed: string) => ({ where: "/mnt/deposit", list: async () => ["20261121T000000.000Z.roots.age"], read: async () => sealed, write: async () => undefined, remove: async () => undefined });
  const owner = { environment: "dev", node: "alice" };
  const rootSecrets = [secretIn(samples.recovery.identity), samples.roots.storePassword, ...Object.values(samples.roots.roots).map(({ value }) => value)];
  return [
    {
      name: "an identity file", given: fc.oneof(mutatedText(`# public key: ${recipient}\n${identity}\n`), mutatedText(identity)), names: /identity|no identity matched/, secrets: [secretIn(identity)], cost: 6,
      parse: async (content) => {
        writeFileSync(file, content);
        exportableIdentity(Buffer.from(content));
        await recipientOf(file, noPassphrase).then(() => identityOf(file, noPassphrase));
        return openText(text, identityIn(content, file));
      },
    },
    {
      name: "an identity file that opens things", given: mutatedText(`# public key: ${recipient}\n${identity}\n`), names: /identity/, secrets: [secretIn(identity)], cost: 6,
      parse: async (content) => {
        writeFileSync(file, content);
        return (await openerOf(file, noPassphrase))(text);
      },
    },
    { name: "a sealed seed", given: damagedFile(samples.seed.sealed), names: /^The lnd-seed of dev\/alice/, secrets: [secretIn(identity), ...seed.mnemonic.map((word) => ` ${word} `)], cost: 6,
      parse: (sealed) => openIdentities({ ...samples.seed, sealed }, [], (one) => openText(one, identity)) },
    { name: "what is in a sealed seed", given: mutatedJson(seed, seed.mnemonic), names: /lnd-seed of dev\/alice/, secrets: [seed.mnemonic.join(" ")], cost: 20,
      parse: (content) => openIdentities(samples.seed, [], async () => content) },
    { name: "what is in another sealed identity", given: mutatedJson(nsec, [nsec.secret]), names: /(nsec main|lnd-seed) of dev\/alice/, secrets: [nsec.secret, Buffer.from(nsec.secret, "base64").toString().trim()], cost: 100,
      parse: (content) => openIdentities(samples.seed, [samples.nsec], async (sealed) => (sealed === samples.seed.sealed ? JSON.stringify(seed) : content)) },
    { name: "a deposit", given: damagedFile(await sealText(opened, samples.recovery.recipient)), names: /^\/mnt\/deposit\/dev\/alice\/20261121/, secrets: rootSecrets, cost: 6,
      parse: (sealed) => openNewestDeposit(deposit(sealed), owner, samples.recovery.identity) },
    { name: "what is in a deposit", given: mutatedJson(samples.roots, rootSecrets), names: /^\/mnt\/deposit\/dev\/alice\/20261121/, secrets: rootSecrets, cost: 8,
      parse: async (content) => openNewestDeposit(deposit(await sealText(content, samples.recovery.recipient)), owner, samples.recovery.identity) },
    { name: "an audit log", given: fc.oneof(mutatedText(lines.map((line) => `${printLine(line)}\n`).join("")), fc.array(mutatedValue(lines[1]), { maxLength: 3 }).map((all) => all.map((one) => `${JSON.stringify(one)}\n`).join("")), fc.string()),
      names: /nothing is thrown/, parse: (content) => verifyChain(content, [headOf(lines[2]!)]) },
  ];
}

/** What trustees send, and what a recovery makes of it. */
async function escrow(samples: Samples, folder: string): Promise<Target[]> {
  const [share, other] = samples.shares;
  const secrets = [...samples.shares.map((one) => one.share), secretIn(samples.recovery.identity)];
  const sealed = await sealText(JSON.stringify(share), samples.trustee.recipient);
  const opener = { name: "the one-time identity", open: (text: string) => openText(text, samples.trustee.identity) };
  return [
    { name: "a trustee's answer", given: fc.oneof(damagedFile(sealed), mutatedText(`> Here it is:\n> ${sealed.replaceAll("\n", "\n> ")}\n> Ada`)), names: /^ada\.age/, secrets, cost: 6, parse: (text) => shareIn("ada.age", Buffer.from(text), [opener]) },
    { name: "what is in a trustee's answer", given: mutatedJson(share, secrets), names: /^ada\.age/, secrets, cost: 6, parse: async (text) => shareIn("ada.age", Buffer.from(await sealText(text, samples.trustee.recipient)), [opener]) },
    { name: "shares that are put together", given: mutatedJson([share, other], secrets), names: /share/, secrets, cost: 4, parse: async (text) => {
      const shares = shareSchema.array().safeParse(parsedOr(text));
      if (shares.success) await recoverIdentity(shares.data);
    } },
    { name: "the kit in a folder of records", given: mutatedJson(samples.kit), names: /kit/, cost: 4, parse: (text) => {
      mkdirSync(join(folder, "escrow"), { recursive: true });
      writeFileSync(join(folder, "escrow", "kit.json"), text);
      readKit(folder);
    } },
    { name: "the journal of rotations", given: mutatedJson({ format: "holdfast-rotation/1", rotations: [{ subject: "ssh", command: "holdfast rotate ssh", began: samples.roots.sealed, phase: "prove", facts: { key: "value" } }] }), names: /rotation\.json/, cost: 4, parse: (text) => {
      writeFileSync(join(folder, "rotation.json"), text);
      underway(folder);
    } },
  ];
}

/** The bytes of an age file, damaged, and its armour. */
function damagedFile(sealed: string): fc.Arbitrary<string> {
  return fc.oneof({ weight: 3, arbitrary: mutatedBytes(armor.decode(sealed)).map((bytes) => armor.encode(bytes)) }, { weight: 2, arbitrary: mutatedText(sealed) }, { weight: 1, arbitrary: fc.string({ unit: "binary" }) });
}

/** A stack file, and the files that it names. */
function configuration(samples: Samples): Target[] {
  const yaml = stringify({ encryptionsalt: "v1:abc", config: samples.stack });
  const files: Readonly<Record<string, string>> = {
    "keys.json": JSON.stringify([`ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"k".repeat(43)}`]), "seed.json": JSON.stringify(samples.seed), "nsec.json": JSON.stringify(samples.nsec),
    "store-password": "a-password-that-nobody-may-quote", "records/versions.json": JSON.stringify(samples.versions), "records/marks.json": JSON.stringify(samples.marks), "no.json": "{",
  };
  const from = (over: Readonly<Record<string, string>>) => (path: string): string | undefined => (Object.hasOwn(over, path) ? over[path] : Object.hasOwn(files, path) ? files[path] : undefined);
  const refused = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof ConfigurationRefused)) throw error;
      if (error.findings.length === 0) throw new Error("a refusal without a finding");
      throw error;
    }
  };
  const specified = (text: string, over: Readonly<Record<string, string>> = {}): void => refused(() => {
    const keys = stackFileKeys(text);
    specify("dev", keys, from(over), []);
  });
  const names = /^The configuration is refused, and nothing was touched:\n {2}/;
  const secrets = [files["store-password"]!];
  // All JSON is YAML.
  const yamlOf = (value: unknown): string => JSON.stringify({ config: value });
  return [
    { name: "a stack file's text", given: fc.oneof(mutatedText(yaml), fc.constantFrom(...bombs)), parse: specified, names, secrets, cost: 12 },
    { name: "a stack file's values", given: mutatedValue(samples.stack).map(yamlOf), parse: specified, names, secrets, cost: 12 },
    { name: "an input that Pulumi hands over", given: mutatedJson(samples.stack), names, secrets, cost: 2, parse: (text) => refused(() => {
      const value = parsedOr(text);
      specify("dev", Object.fromEntries(Object.entries(Object(value) as object).map(([key, one]) => [key.replace("holdfast:", ""), one as unknown])), from({}), []);
    }) },
    ...["keys.json", "seed.json", "nsec.json", "records/versions.json", "records/marks.json"].map((path): Target => ({
      name: `a file that a stack file names (${path})`, given: mutatedJson(JSON.parse(files[path]!)), parse: (text) => specified(yaml, { [path]: text }), names, secrets, cost: 12,
    })),
    { name: "another stack's file", given: mutatedValue(samples.stack).map(yamlOf), names: /nothing is thrown/, cost: 12,
      parse: (text) => void marksOf("other", resolveFiles(stackFileKeys(text), from({}), []), from({})) },
  ];
}

const parsedOr = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
};

/** Texts that make a reader of YAML grow, descend or go round for ever. */
const bombs: readonly string[] = [
  `a: &a [x,x,x,x,x,x,x,x]\n${"bcdefghij".split("").map((letter, index) => `${letter}: &${letter} [${Array(8).fill(`*${"abcdefghij"[index]!}`).join(",")}]`).join("\n")}\nconfig: *j\n`,
  "config: &a\n  holdfast:nodes: *a\n", "config:\n  holdfast:nodes: &n\n    alice: *n\n", `config: ${"[".repeat(20_000)}`, `config: {holdfast:network: ${"{a: ".repeat(5_000)}`,
  `config:\n${Array.from({ length: 3_000 }, (_, depth) => `${" ".repeat(depth + 1)}a:`).join("\n")}\n`, "config:\n  holdfast:nodes: !!binary aGVsbG8=\n", "config:\n  ? [a, b]\n  : c\n", "--- 1\n--- 2\n", "config:\n  <<: {holdfast:network: regtest}\n",
  "config:\n  __proto__:\n    polluted: 1\n  holdfast:__proto__: {polluted: 1}\n", "config:\n  holdfast:network: !!js/function 'x'\n", "%YAML 9.9\n---\nconfig: 1\n", "config:\n  holdfast:network: 2026-01-01\n  holdfast:network: regtest\n", "\t", "config:\n\tx: 1",
];

/** What programs on a host print. */
function probes(): Target[] {
  const dump = ["cHJpdmF0ZS1rZXktb2YtdGhlLW5vZGUtMTIzNDU2Nzg5MA==\tpublic=\t51820\toff", "peer=\tcHJlc2hhcmVkLWtleS1vZi1hLXBlZXItMTIzNDU2Nzg5\t10.0.0.9:5\t10.10.0.2/32\t1790000000\t1\t2\toff", "other=\t(none)\t(none)\t10.10.0.3/32\t0\t0\t0\toff"].join("\n");
  return [
    { name: "what wg prints", given: mutatedText(dump), names: /wg/, secrets: dump.match(/cH[A-Za-z0-9]+/g)!, parse: (text) => probeSchema.shape.tunnel.parse(parseTunnel(text)) },
    { name: "what nft prints", given: fc.oneof(mutatedText('table inet holdfast {\n  # x\n  comment "holdfast abc"\n}\n'), fc.constantFrom(" ".repeat(60_000), "table inet holdfast {\n".repeat(3_000), `table inet holdfast {${"\n#".repeat(20_000)}`)), names: /nothing is thrown/, parse: policyMark },
  ];
}
