import { ApiError, type FieldFault } from "./errors.js";

const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const PREFIX = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/** What the API would say against these labels. @see docs.hetzner.cloud, "Labels" */
export function labelFaults(labels: Readonly<Record<string, string>>): FieldFault[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...(validKey(key) ? [] : [{ name: "labels", messages: [`invalid label key '${key}'`] }]),
    ...(value === "" || NAME.test(value) ? [] : [{ name: "labels", messages: [`invalid value of label '${key}'`] }]),
  ]);
}

function validKey(key: string): boolean {
  const parts = key.split("/");
  const name = parts.pop()!;
  return NAME.test(name) && (parts.length === 0 || (parts.length === 1 && PREFIX.test(parts[0]!) && parts[0] !== "hetzner.cloud"));
}

type Term = (labels: Readonly<Record<string, string>>) => boolean;

function term(text: string): Term | undefined {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text);
  if (set) {
    const [, key, operator, list] = set;
    const values = list!.split(",").map((one) => one.trim());
    if (!validKey(key!)) return undefined;
    return (labels) => (operator === "in") === (labels[key!] !== undefined && values.includes(labels[key!]!));
  }
  const compared = /^([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)$/.exec(text);
  if (compared) {
    const [, key, operator, value] = compared;
    return validKey(key!) ? (labels) => (operator !== "!=") === (labels[key!] === value) : undefined;
  }
  const absent = text.startsWith("!");
  const key = absent ? text.slice(1).trim() : text;
  return validKey(key) ? (labels) => (labels[key] !== undefined) !== absent : undefined;
}

/**
 * What a label selector asks for, as a question.
 *
 * @throws ApiError when it cannot be read
 * @see docs.hetzner.cloud, "Label Selector"
 */
export function selects(selector: string): (labels: Readonly<Record<string, string>>) => boolean {
  // A comma inside parentheses belongs to a list of values.
  const terms = selector.split(/,(?![^(]*\))/).map((part) => term(part.trim()));
  if (terms.some((one) => one === undefined)) throw new ApiError("invalid_input", "invalid label selector", { fields: [{ name: "label_selector", messages: ["is not a label selector"] }] });
  return (labels) => terms.every((one) => one!(labels));
}
