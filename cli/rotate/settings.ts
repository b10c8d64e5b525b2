import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { isScalar, isSeq, parseDocument, type Document } from "yaml";
import { stackFile, type Places } from "../places.js";

/** A setting's place: the key after `holdfast:`, and the way from there. */
type Path = readonly [string, ...string[]];

interface Found {
  readonly value: unknown;
  /** The JSON file that stands for the setting or for something around it, and the way inside it. */
  readonly file?: { readonly path: string; readonly content: unknown; readonly rest: readonly string[] };
}

function find(places: Places, [key, ...rest]: Path): Found {
  let value: unknown = Object(Object(parseDocument(readFileSync(stackFile(places), "utf8")).toJS()).config)[`holdfast:${key}`];
  for (const [index, name] of [...rest, undefined].entries()) {
    const reference = Object(value).file as unknown;
    if (typeof reference === "string" && Object.keys(Object(value)).length === 1) {
      const path = resolve(places.project, reference);
      const content: unknown = JSON.parse(readFileSync(path, "utf8"));
      const inside = rest.slice(index);
      return { value: inside.reduce((one: unknown, step) => Object(one)[step] as unknown, content), file: { path, content, rest: inside } };
    }
    if (name !== undefined) value = Object(value)[name] as unknown;
  }
  return { value };
}

/** A setting of a stack: from its file, or from the JSON file that stands in its place there. */
export const readSetting = (places: Places, path: Path): unknown => find(places, path).value;

/** Needs no quotes in YAML. */
const PLAIN = /^[A-Za-z./~][\w./~@+-]*$/;

/** Changes one setting where it stands; a text letter for letter in its place. Comments in the stack file stay. A crash leaves the old file or the new one. */
export function writeSetting(places: Places, path: Path, value: unknown): void {
  const { file } = find(places, path);
  if (file !== undefined) return replaceFile(file.path, `${JSON.stringify(changed(file.content, file.rest, value), undefined, 2)}\n`);
  const text = readFileSync(stackFile(places), "utf8");
  const document = parseDocument(text);
  const whole = ["config", `holdfast:${path[0]}`, ...path.slice(1)];
  const node = document.getIn(whole, true);
  if (typeof value === "string" && isScalar(node) && node.range) {
    return replaceFile(stackFile(places), text.slice(0, node.range[0]) + (PLAIN.test(value) ? value : JSON.stringify(value)) + text.slice(node.range[1]));
  }
  if (Array.isArray(value)) setList(document, whole, value.map(String));
  else if (value === undefined) document.deleteIn(whole);
  else document.setIn(whole, value);
  replaceFile(stackFile(places), document.toString({ lineWidth: 0 }));
}

/** What stays keeps its place and its comments; what is new comes last. */
function setList(document: Document, path: readonly string[], wanted: readonly string[]): void {
  const list = document.getIn(path);
  if (!isSeq(list)) return document.setIn(path, document.createNode(wanted));
  const there = list.items.map((item) => String(Object(item).value));
  list.items = list.items.filter((_, index) => wanted.includes(there[index]!));
  for (const one of wanted.filter((text) => !there.includes(text))) list.add(document.createNode(one));
}

function changed(content: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  return key === undefined ? value : { ...(content as Record<string, unknown>), [key]: changed(Object(content)[key], rest, value) };
}

/** Writes a file so that a crash leaves the old one or the new one. Owner and mode of secrets are none of its business: it is for public files. */
export function replaceFile(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  writeFileSync(`${path}.part`, text, { mode: 0o644, flush: true });
  renameSync(`${path}.part`, path);
}
