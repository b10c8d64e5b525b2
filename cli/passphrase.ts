import { readFileSync, statSync } from "node:fs";
import type { AskPassphrase } from "../custody/identityFile.js";

/** Shorter ones are guessed. A file or a generator has more anyway. */
const SHORTEST = 12;

/**
 * How a command asks for a passphrase: from the file that `--passphrase-file` names, or on the terminal without an echo.
 *
 * @param remedy what to do where there is neither
 * @throws when there is neither
 */
export const askPassphrase = (file: string | undefined, remedy = "Give it in a file of mode 0600: --passphrase-file PATH"): AskPassphrase =>
  async (question) => (file === undefined ? hidden(question, remedy) : inFile(file));

/** Asks for a passphrase that is to guard something new: twice on a terminal, and not too short. */
export const askNewPassphrase = (file: string | undefined): AskPassphrase => async (question) => {
  const passphrase = await askPassphrase(file)(`New ${question}`);
  if (passphrase.length < SHORTEST) throw new Error(`The ${question} has ${passphrase.length} characters; wants ${SHORTEST} or more. Five random words are good.`);
  if (file === undefined && await hidden("The same again", "") !== passphrase) throw new Error("The two differ. Nothing was made; try again.");
  return passphrase;
};

function inFile(file: string): string {
  if ((statSync(file).mode & 0o077) !== 0) throw new Error(`${file} can be read by others. Make it this user's alone first: chmod 600 ${file}`);
  const passphrase = readFileSync(file, "utf8").replace(/\r?\n$/, "");
  if (passphrase === "") throw new Error(`${file} is empty; wants a passphrase in it.`);
  return passphrase;
}

/** Reads a line from the terminal without showing it. What is asked goes to stderr: stdout may be read by a shell. */
async function hidden(question: string, remedy: string): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) throw new Error(`A passphrase is wanted, and there is no terminal to ask on ("${question}"). ${remedy}`);
  stderr.write(`${question}: `);
  stdin.setRawMode(true);
  stdin.resume();
  try {
    return await lineOf(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}

const [INTERRUPT, END, BACKSPACE, DELETE] = ["\x03", "\x04", "\b", "\x7f"];

function lineOf(stdin: NodeJS.ReadStream): Promise<string> {
  return new Promise((done, failed) => {
    const typed: string[] = [];
    const finish = (how: () => void): void => {
      stdin.off("data", onData);
      how();
    };
    const onData = (data: Buffer): void => {
      for (const letter of data.toString("utf8")) {
        if (letter === "\r" || letter === "\n") return finish(() => done(typed.join("")));
        if (letter === INTERRUPT || letter === END) return finish(() => failed(new Error("No passphrase was given; nothing was done.")));
        if (letter === BACKSPACE || letter === DELETE) typed.pop();
        else typed.push(letter);
      }
    };
    stdin.on("data", onData);
  });
}
