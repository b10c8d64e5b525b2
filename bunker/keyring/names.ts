const LONGEST = 100;

/**
 * A key's name as it may stand in log lines, lists and commands: what nsecbunkerd took, `alice`, `alice@example.org`, `Alice's key`, less what breaks lines.
 *
 * @throws when it is none, in words
 */
export function requirePlainName(name: string): string {
  if (name === "" || name !== name.trim()) throw new Error("A key's name wants one character at least, and no space around it.");
  if (name.length > LONGEST) throw new Error(`A key's name has ${LONGEST} characters at most, and this one ${name.length}.`);
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(name)) throw new Error(`A key's name is one line of plain text, and ${JSON.stringify(name)} holds something else.`);
  return name;
}
