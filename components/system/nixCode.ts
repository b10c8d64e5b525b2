/**
 * A Nix expression without its comments and texts, but with what stands in a text's interpolations.
 *
 * @see https://nix.dev/manual/nix/latest/language/syntax
 */
export function codeOf(expression: string): string {
  let code = "";
  let at = 0;
  /** Kinds of what is open around the present place; a brace in code is open too. */
  const open: ("brace" | "interpolation" | "text" | "lines")[] = [];
  const skip = (length: number): void => { at += length; };
  while (at < expression.length) {
    const rest = expression.slice(at, at + 3);
    const inside = open.at(-1);
    if (inside === "text" || inside === "lines") {
      if (rest.startsWith("$${")) skip(3);
      else if (rest.startsWith("${")) { open.push("interpolation"); code += " "; skip(2); }
      else if (inside === "text" && rest.startsWith("\\")) skip(2);
      else if (inside === "lines" && (rest === "'''" || rest === "''$")) skip(3);
      else if (inside === "lines" && rest === "''\\") skip(4);
      else if (rest.startsWith(inside === "text" ? '"' : "''")) { open.pop(); code += " "; skip(inside === "text" ? 1 : 2); }
      else skip(1);
    } else if (rest.startsWith("#")) skip(lengthTo(expression, at, "\n"));
    else if (rest.startsWith("/*")) skip(lengthTo(expression, at + 2, "*/") + 4);
    else if (rest.startsWith('"')) { open.push("text"); skip(1); }
    else if (rest.startsWith("''")) { open.push("lines"); skip(2); }
    else if (rest.startsWith("}")) { code += open.pop() === "interpolation" ? " " : "}"; skip(1); }
    else {
      if (rest.startsWith("{")) open.push("brace");
      code += rest[0];
      skip(1);
    }
  }
  return code;
}

const lengthTo = (text: string, from: number, end: string): number => {
  const found = text.indexOf(end, from);
  return (found < 0 ? text.length : found) - from;
};
