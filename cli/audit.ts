import { Option, type Command } from "commander";
import { execa } from "execa";
import { unfinished } from "../custody/audit/deeds.js";
import { notedHead, readLog, type AuditLog } from "../custody/audit/log.js";
import type { Verified } from "../custody/audit/chain.js";
import { auditActions, auditHeadSchema, type AuditAction, type AuditHead, type AuditLine } from "../formats/audit.js";
import { parseFormat } from "../formats/versioned.js";
import { auditLog, type Places } from "./places.js";
import { table } from "./table.js";
import { paint } from "./updateView.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** An end of a log that somebody noted. */
interface KnownHead extends AuditHead {
  readonly from: string;
}

/** What `holdfast audit verify` finds. */
export interface AuditFinding {
  readonly file: string;
  readonly lines: number;
  readonly head: AuditHead;
  /** The ends that the log was held against. */
  readonly known: readonly KnownHead[];
  readonly fault?: string;
  /** What is no fault, and worth a look. */
  readonly remarks: readonly string[];
}

/**
 * Looks at all of an environment's log.
 *
 * @param others ends that were noted elsewhere
 */
export async function verifyAudit(places: Places, others: readonly AuditHead[]): Promise<AuditFinding & { readonly read: Verified }> {
  const log = auditLog(places);
  const noted = await notedHead(log);
  const committed = await committedHead(places, log);
  const known = [
    ...(noted.sequence > 0 ? [{ from: "beside the log", ...noted }] : []),
    ...(committed ? [{ from: "in the last commit", ...committed }] : []),
    ...others.map((head) => ({ from: "given with --head", ...head })),
  ];
  const read = await readLog(log, known);
  const stranger = read.lines.find((line) => line.environment !== log.environment);
  const fault = read.fault ?? (stranger && `line ${stranger.sequence} is of environment ${printable(stranger.environment)}: the logs of two environments were mixed.`);
  const open = unfinished(read.lines);
  return {
    read, file: log.file, lines: read.lines.length, head: read.head, known, ...(fault !== undefined && { fault }),
    remarks: [
      ...(read.torn === undefined ? [] : [`${read.torn} bytes behind the last line are no line yet: somebody writes it now, or was killed; the next line sets them aside.`]),
      ...(noted.sequence === 0 && read.lines.length > 0 ? [`no end is noted beside it (${log.file}.head): a cut end is found only with --head.`] : []),
      ...open.map((line) => `line ${line.sequence}: ${line.action} of ${printable(line.subject)} was begun ${line.time} and never finished.`),
      ...read.lines.filter(({ action }) => action === "log-mended").map((line) => `line ${line.sequence}: ${printable(line.note ?? "an unfinished line was set aside")}.`),
    ],
  };
}

/** Where the log ended in the project's last commit. */
async function committedHead({ project }: Places, { file }: AuditLog): Promise<AuditHead | undefined> {
  const { exitCode, stdout } = await execa("git", ["show", `HEAD:./${file.slice(project.length + 1)}.head`], { cwd: project, reject: false, stdin: "ignore", timeout: 10_000 });
  return exitCode === 0 && file.startsWith(`${project}/`) ? parseFormat(auditHeadSchema, `${file}.head in the last commit`, stdout) : undefined;
}

/** Lines as a person reads them: what was begun and never finished stands out. */
export function auditTable(lines: readonly AuditLine[], open: ReadonlySet<number>): string {
  return table([["#", "TIME", "WHO", "DEED", "SUBJECT", "OUTCOME"], ...lines.map((line) => [
    String(line.sequence), line.time.slice(0, 19).replace("T", " "), printable(line.who), line.action, printable(line.subject), outcomeOf(line, open.has(line.sequence)),
  ])]);
}

function outcomeOf({ outcome, note }: AuditLine, isOpen: boolean): string {
  const text = isOpen ? paint("red", "begun, never finished") : outcome === "failed" ? paint("red", outcome) : outcome;
  return note === undefined ? text : `${text}: ${printable(note)}`;
}

/** Without what moves a terminal's cursor or colours its text. */
const printable = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "?");

function headFrom(text: string, before: readonly AuditHead[]): AuditHead[] {
  const [, sequence, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (sequence === undefined || hash === undefined) throw new Error(`--head ${printable(text).slice(0, 100)} is no end of a log; wants SEQUENCE:HASH as \`holdfast audit verify\` prints it.`);
  return [...before, { sequence: Number(sequence), hash }];
}

function countFrom(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`--last ${printable(text).slice(0, 100)} is no number of lines.`);
  return Number(text);
}

interface StackOptions { readonly stack: string; readonly json?: true }

/** `holdfast audit verify|show`: who used which key, when, and whether the log of it is whole. */
export function auditCommands(program: Command, here: (options: { readonly stack: string }) => Places): void {
  const audit = program.command("audit").description("the record of every use of a key");
  const inStack = (usage: string, description: string): Command =>
    audit.command(usage).description(description).option("-s, --stack <name>", "the environment", "dev").option("--json", "print as JSON");

  inStack("verify", "follow the log from its first line to its end; exit 1 when it was changed or cut")
    .option("--head <sequence:hash>", "an end of the log that you noted elsewhere; may be given several times", headFrom, [])
    .action(async (options: StackOptions & { readonly head: AuditHead[] }) => {
      const { read: _, ...finding } = await verifyAudit(here(options), options.head);
      if (finding.fault !== undefined) process.exitCode = 1;
      if (options.json) return print(JSON.stringify({ whole: finding.fault === undefined, ...finding }));
      const { file, lines, head, known, fault, remarks } = finding;
      print(fault === undefined ? `${paint("green", "✓")} ${file}: ${lines} lines, whole` : `${paint("red", "✗")} ${file}: ${fault}`);
      if (fault !== undefined) print(`  Lines 1 to ${lines} are as they were written. Compare with what version control and your off-site copies have.`);
      known.forEach(({ from, sequence }) => print(`  held against the end ${from}: line ${sequence}`));
      remarks.forEach((remark) => print(`  ${remark}`));
      if (fault === undefined && lines > 0) print(`  ends with ${head.sequence}:${head.hash}\n  Kept elsewhere, this finds a log that was cut or rewritten: holdfast audit verify --head ${head.sequence}:${head.hash}`);
    });

  inStack("show", "print the log's last lines").option("--last <n>", "how many", countFrom, 30)
    .addOption(new Option("--action <action>", "only lines of one kind").choices(auditActions))
    .action(async (options: StackOptions & { readonly last: number; readonly action?: AuditAction }) => {
      const { read, fault } = await verifyAudit(here(options), []);
      const open = new Set(unfinished(read.lines).map(({ sequence }) => sequence));
      const lines = read.lines.filter(({ action }) => options.action === undefined || action === options.action).slice(-options.last);
      if (fault !== undefined) process.exitCode = 1;
      if (options.json) return print(JSON.stringify({ ...(fault !== undefined && { fault }), lines: lines.map((line) => ({ ...line, ...(open.has(line.sequence) && { unfinished: true }) })) }));
      print(lines.length === 0 ? "no lines" : auditTable(lines, open));
      if (fault !== undefined) print(paint("red", `Not whole: ${fault} Lines behind that are not shown.`));
    });
}
