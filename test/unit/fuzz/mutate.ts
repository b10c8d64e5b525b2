import fc from "fast-check";

/** What a hand, a damaged disk or an attacker puts where something else is wanted. */
const strange: readonly unknown[] = [
  null, true, false, 0, -1, 1.5, 2 ** 53, -(2 ** 31), 1e308, "", " ", "\0", "a", "\u202e", "\ud800", "__proto__", "constructor", "../../etc/passwd", "-----BEGIN AGE ENCRYPTED FILE-----", "age1", "9".repeat(400),
  "x".repeat(70_000), "2026-13-45T99:99:99Z", "2026-11-21T00:00:00.000Z", "0".repeat(64), "=", "AAA=", [], {}, [[]], [null], { file: "no.json" }, { file: "../x" }, { file: {} },
  parsed('{"__proto__":{"polluted":1}}'), parsed('{"constructor":{"prototype":{"polluted":1}}}'), parsed("[".repeat(500) + "]".repeat(500)),
];
/** A thing of its own each time: it may be changed itself. */
const strangeThing = (which: number): unknown => parsed(JSON.stringify(strange[which % strange.length]));

/** Keys of our own formats too: those of one place are put into another. */
const keys = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "", "0", "-1", "length", "format", "file", "version", "__defineGetter__", "then"] as const;

function parsed(text: string): unknown {
  return JSON.parse(text) as unknown;
}

type Change =
  | { readonly how: "replace" | "delete" | "repeat" | "key"; readonly at: number; readonly with: number }
  | { readonly how: "copy"; readonly at: number; readonly from: number };

const changes: fc.Arbitrary<readonly Change[]> = fc.array(fc.oneof(
  fc.record({ how: fc.constantFrom("replace", "replace", "delete", "repeat", "key"), at: fc.nat(), with: fc.nat() }),
  fc.record({ how: fc.constant("copy" as const), at: fc.nat(), from: fc.nat() }),
), { minLength: 1, maxLength: 4 });

type Container = Record<string, unknown> | unknown[];
interface Spot { readonly of: Container; readonly key: string }

/** Every place of a tree, without its root. */
function spots(value: unknown, depth = 0): Spot[] {
  if (value === null || typeof value !== "object" || depth > 40) return [];
  return Object.keys(value).flatMap((key) => [{ of: value as Container, key }, ...spots((value as Record<string, unknown>)[key], depth + 1)]);
}

/** Sets a key of its own, whatever it is called. */
function put(of: Container, key: string, value: unknown): void {
  Object.defineProperty(of, key, { value, enumerable: true, configurable: true, writable: true });
}

function apply(tree: { readonly root: unknown }, change: Change, secrets: readonly string[]): void {
  const all = spots(tree);
  const spot = all[change.at % Math.max(1, all.length)];
  if (spot === undefined) return;
  const { of, key } = spot;
  const value = (of as Record<string, unknown>)[key];
  switch (change.how) {
    case "replace": return put(of, key, strangeThing(change.with));
    case "delete": return void (Array.isArray(of) ? of.splice(Number(key), 1) : delete of[key]);
    case "repeat": return Array.isArray(of) ? void of.push(value) : put(of, `${key}x`, value);
    case "key": return Array.isArray(value) || value === null || typeof value !== "object" ? undefined : put(value as Container, keys[change.with % keys.length]!, strangeThing(change.at));
    case "copy": {
      const from = all[change.from % all.length]!;
      const text = JSON.stringify((from.of as Record<string, unknown>)[from.key]);
      // A secret in the place of a name would be quoted as one.
      return secrets.some((secret) => text.includes(secret)) ? undefined : put(of, key, parsed(text));
    }
  }
}

/** A value of JSON with up to four things wrong in it. */
export const mutatedValue = (valid: unknown, secrets: readonly string[] = []): fc.Arbitrary<unknown> => changes.map((some) => {
  const tree = { root: structuredClone(valid) };
  some.forEach((change) => apply(tree, change, secrets));
  return tree.root;
});

const inserts = ["", "\0", "\n", "\r", "\t", " ", "\"", "\\", "{", "}", "[", ",", ":", "-", "#", "&a", "*a", "!!", "\ufeff", "\u2028", "=", "1e999", "\ud83d", "%", "'", "-----", "age", "[".repeat(20_000)];

/** A text that was cut, flipped, doubled or added to somewhere. */
export const mutatedText = (valid: string): fc.Arbitrary<string> => fc.array(fc.record({ at: fc.nat(), length: fc.nat(40), how: fc.constantFrom("cut", "end", "flip", "insert", "double", "swap"), with: fc.nat() }), { minLength: 1, maxLength: 3 })
  .map((some) => some.reduce((text, { at, length, how, with: which }) => {
    const place = at % (text.length + 1);
    const [before, piece, after] = [text.slice(0, place), text.slice(place, place + length), text.slice(place + length)];
    switch (how) {
      case "cut": return before + after;
      case "end": return before;
      case "flip": return before + [...piece].map((letter, index) => (index === which % (length + 1) ? String.fromCharCode(letter.charCodeAt(0) ^ (1 << (which % 7))) : letter)).join("") + after;
      case "double": return before + piece + piece + after;
      case "swap": return after + piece + before;
      default: return before + inserts[which % inserts.length]! + piece + after;
    }
  }, valid));

/** Texts that are no valid one any more, or hardly: of a value in JSON, by its structure and by its letters. */
export const mutatedJson = (valid: unknown, secrets: readonly string[] = []): fc.Arbitrary<string> =>
  fc.oneof({ weight: 4, arbitrary: mutatedValue(valid, secrets).map((value) => JSON.stringify(value) ?? "") }, { weight: 1, arbitrary: mutatedText(JSON.stringify(valid)) }, { weight: 1, arbitrary: fc.json({ maxDepth: 3 }) }, { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 200 }) });

/** Bytes with some bits flipped, cut or added. */
export const mutatedBytes = (valid: Uint8Array): fc.Arbitrary<Uint8Array> => fc.array(fc.record({ at: fc.nat(), bit: fc.nat(7), how: fc.constantFrom("flip", "flip", "cut", "end", "insert") }), { minLength: 1, maxLength: 4 })
  .map((some) => some.reduce<Uint8Array>((bytes, { at, bit, how }) => {
    const place = bytes.length === 0 ? 0 : at % bytes.length;
    switch (how) {
      case "flip": return Uint8Array.from(bytes, (byte, index) => (index === place ? byte ^ (1 << bit) : byte));
      case "cut": return Uint8Array.from([...bytes.subarray(0, place), ...bytes.subarray(place + 1 + bit)]);
      case "end": return bytes.slice(0, place);
      default: return Uint8Array.from([...bytes.subarray(0, place), ...Array<number>(bit + 1).fill(bit), ...bytes.subarray(place)]);
    }
  }, valid));
