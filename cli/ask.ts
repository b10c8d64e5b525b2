import { createInterface } from "node:readline/promises";

/** Asks a person on a terminal; without one the answer is no. */
export async function agreed(question: string): Promise<boolean> {
  return (await answer(`${question} [y/N] `)).toLowerCase() === "y";
}

/** Asks for a word to be typed: for what cannot be undone. */
export async function typed(question: string, word: string): Promise<boolean> {
  return (await answer(`${question}\nType ${word} to go on: `)) === word;
}

async function answer(question: string): Promise<string> {
  if (!process.stdin.isTTY) return "";
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await terminal.question(question)).trim();
  } finally {
    terminal.close();
  }
}
