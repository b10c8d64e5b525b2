import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createEnvironment } from "../../cli/envCreate.js";
import { unlockPassphrase } from "../../cli/keys.js";
import { identityPath, placesOf } from "../../cli/places.js";
import { formOf, openWith, writeIdentity } from "../../custody/identityFile.js";
import { newIdentity, openText, sealText } from "../../custody/seal.js";
import { findOnPath } from "../../rehearsal/engine/path.js";
import { ensureAge } from "../interop/age.js";

const TEXT = "a text with ünïcode\nand two lines";
const PASSPHRASE = "five random words are good";
const nobody = () => Promise.reject(new Error("asked though nothing was to be asked"));

/** Folders of the two programs: Debian's, which knows no hybrid recipients, and age 1.3. */
let debian: string;
let newer: string;
let folder: string;

beforeAll(async () => {
  debian = dirname((await findOnPath("age"))!);
  newer = await ensureAge();
  folder = mkdtempSync(join(tmpdir(), "holdfast-age-"));
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const age = (from: string, args: readonly string[], input: string | Buffer, environment: Record<string, string> = {}): string =>
  execFileSync(join(from, "age"), args, { input, env: { ...process.env, PATH: `${newer}:${process.env["PATH"]}`, ...environment }, timeout: 60_000, stdio: ["pipe", "pipe", "pipe"] }).toString();
const file = (name: string, text: string | Buffer): string => {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
};
/** With this folder of age first on the PATH. */
async function beside<T>(from: string, work: () => Promise<T>): Promise<T> {
  // The folder of Debian's age holds every other program too; plugins are age 1.3's for both.
  vi.stubEnv("PATH", `${from}:${newer}:${process.env["PATH"]}`);
  try {
    return await work();
  } finally {
    vi.unstubAllEnvs();
  }
}
const programs = () => [["Debian's age", debian], ["age 1.3", newer]] as const;

describe("what is sealed here and what the age program seals", () => {
  it("for classical recipients is the same to both, with either age", async () => {
    for (const [name, from] of programs()) {
      const { identity, recipient } = await newIdentity();
      const key = file("classical", `${identity}\n`);
      expect(age(from, ["--decrypt", "-i", key], await sealText(TEXT, recipient, (await newIdentity()).recipient)), name).toBe(TEXT);
      expect(await openText(age(from, ["--armor", "-r", recipient], TEXT), identity), name).toBe(TEXT);
      expect(await openWith(key, age(from, ["--armor", "-r", recipient], TEXT), nobody), name).toBe(TEXT);
    }
  });

  it("for hybrid recipients is the same to both, with age 1.3 and with Debian's age and the pq plugin", async () => {
    const { identity, recipient } = await newIdentity("hybrid");
    const key = file("hybrid", `${identity}\n`);
    const pluginKey = file("hybrid-plugin", execFileSync(join(newer, "age-plugin-pq"), ["-identity"], { input: `${identity}\n` }));
    const classical = (await newIdentity()).recipient;
    const sealed = await sealText(TEXT, recipient);
    expect(age(newer, ["--decrypt", "-i", key], sealed)).toBe(TEXT);
    expect(age(debian, ["--decrypt", "-i", pluginKey], sealed)).toBe(TEXT);
    for (const [name, from] of programs()) expect(await openText(age(from, ["--armor", "-r", recipient], TEXT), identity), name).toBe(TEXT);
    // Without a text: age ends before it would read one.
    expect(() => age(newer, ["--armor", "-r", recipient, "-r", classical], ""), "age 1.3 too refuses to mix").toThrow("incompatible recipients");
  });

  it("by age-keygen's own identities, classical and hybrid", async () => {
    for (const [args, program] of [[[], "age-keygen in Debian"], [["-pq"], "age-keygen 1.3"]] as const) {
      const key = file("keygen", execFileSync(join(args.length === 0 ? debian : newer, "age-keygen"), args, { stdio: ["ignore", "pipe", "ignore"] }));
      const recipient = /^# public key: (\S+)$/m.exec(readFileSync(key, "utf8"))![1]!;
      expect(await openWith(key, await sealText(TEXT, recipient), nobody), program).toBe(TEXT);
    }
  });
});

describe("an identity behind a passphrase", () => {
  it("made here is opened by either age, asked on a terminal or not", async () => {
    const { identity, recipient } = await newIdentity();
    const key = join(folder, "guarded-here");
    await writeIdentity(key, { identity, recipient }, { form: "passphrase", passphrase: PASSPHRASE });
    expect(age(newer, ["--decrypt", "-j", "batchpass"], readFileSync(key), { AGE_PASSPHRASE: PASSPHRASE })).toContain(identity);
    for (const [name, from] of programs()) {
      const sealed = file("sealed", await sealText(TEXT, recipient));
      const shown = execFileSync("script", ["--quiet", "--return", "--command", `'${join(from, "age")}' --decrypt -i '${key}' -o '${join(folder, "opened")}' '${sealed}'`, "/dev/null"], { input: `${PASSPHRASE}\n`, timeout: 60_000 });
      expect(readFileSync(join(folder, "opened"), "utf8"), `${name}: ${shown}`).toBe(TEXT);
      rmSync(join(folder, "opened"));
    }
  });

  it("made by either age, armoured or not, opens here what was sealed for it", async () => {
    const { identity, recipient } = await newIdentity("hybrid");
    const sealed = await sealText(TEXT, recipient);
    for (const [name, from] of programs()) {
      for (const form of [["--armor"], []]) {
        const key = file("guarded-there", execFileSync(join(from, "age"), ["--encrypt", ...form, "-j", "batchpass"], {
          input: `# a comment\n${identity}\n`, env: { ...process.env, PATH: `${newer}:${process.env["PATH"]}`, AGE_PASSPHRASE: PASSPHRASE },
        }));
        expect(await openWith(key, sealed, () => Promise.resolve(PASSPHRASE)), `${name} ${form.join()}`).toBe(TEXT);
      }
    }
  });
});

describe("an identity in a plugin's token", () => {
  const token = (): { readonly key: string; readonly recipient: string } => {
    const printed = execFileSync(join(newer, "age-plugin-token"), ["--generate"]).toString();
    return { key: file("token", printed), recipient: /^# Recipient: (\S+)$/m.exec(printed)![1]! };
  };

  it("opens what was sealed for it and another by the age program, and so does the other", async () => {
    for (const [name, from] of programs()) {
      await beside(from, async () => {
        const { key, recipient } = token();
        const recovery = await newIdentity();
        const sealed = await sealText(TEXT, recipient, recovery.recipient);
        expect(sealed, name).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----/);
        expect(await openWith(key, sealed, nobody), name).toBe(TEXT);
        expect(await openText(sealed, recovery.identity), name).toBe(TEXT);
        await expect(openWith(token().key, sealed, nobody), name).rejects.toThrow(/The age program could not open with .*no identity matched/s);
      });
    }
  });

  it("is an environment's: its passphrase is sealed for the token, which alone and like the recovery identity unlocks it", async () => {
    const project = mkdtempSync(join(folder, "project-"));
    vi.stubEnv("XDG_RUNTIME_DIR", project);
    await beside(debian, async () => {
      const [{ key, recipient }, wallet, places] = [token(), await newIdentity(), placesOf(project, "prod")];
      const { warnings } = await createEnvironment(places, {
        network: "mainnet", kind: "classical", identity: { recipient }, walletRecipient: wallet.recipient, node: "alice", passphrases: { infrastructure: () => Promise.resolve(PASSPHRASE), wallet: nobody },
      });
      expect(warnings[0]).toContain("The environment's identity is not on this machine yet");
      expect(formOf(identityPath(places, "recovery"))).toBe("passphrase");
      const unlocked = readFileSync((await unlockPassphrase(places, "shell", { identityFile: key, ask: nobody }))!, "utf8");
      expect(await openWith(identityPath(places, "recovery"), readFileSync(join(project, "environments/prod/passphrase.age"), "utf8"), () => Promise.resolve(PASSPHRASE))).toBe(unlocked);
      await expect(unlockPassphrase(places, "shell", { identityFile: token().key, ask: nobody })).rejects.toThrow("no identity matched");
    });
  });

  it("may be a hybrid one, with the plugin that age itself has for that", async () => {
    const { identity, recipient } = await newIdentity("hybrid");
    const key = file("pq-token", execFileSync(join(newer, "age-plugin-pq"), ["-identity"], { input: `${identity}\n` }));
    const sealed = await sealText(TEXT, recipient);
    for (const [name, from] of programs()) expect(await beside(from, () => openWith(key, sealed, nobody)), name).toBe(TEXT);
  });

  it("is never mixed with a hybrid recipient, though Debian's age would do so", async () => {
    const [{ recipient }, hybrid] = [token(), await newIdentity("hybrid")];
    expect(age(debian, ["--armor", "-r", recipient, "-r", hybrid.recipient], TEXT)).toContain("BEGIN AGE");
    await expect(beside(debian, () => sealText(TEXT, recipient, hybrid.recipient))).rejects.toThrow("as weak as the first");
  });

  it("whose plugin is missing is refused with what the age program says of it", async () => {
    const key = file("unknown", "AGE-PLUGIN-NOWHERE-1QQQQQQQQ\n");
    const { recipient } = token();
    mkdirSync(join(folder, "alone"), { recursive: true });
    writeFileSync(join(folder, "alone", "age"), `#!/bin/sh\nexec ${join(debian, "age")} "$@"\n`);
    chmodSync(join(folder, "alone", "age"), 0o755);
    vi.stubEnv("PATH", `${join(folder, "alone")}:/bin`);
    try {
      await expect(sealText(TEXT, recipient)).rejects.toThrow(/could not seal for a plugin's recipient .*age-plugin-token/s);
      await expect(openWith(key, await sealText(TEXT, (await newIdentity()).recipient), nobody)).rejects.toThrow(/could not open with .*unknown/s);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
