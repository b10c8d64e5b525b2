import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parseTunnel } from "../../../agent/activation/probe.js";
import { openBundle } from "../../../agent/secrets/sealed.js";
import { siteBelow } from "../../../agent/site.js";
import { stackFileKeys } from "../../../config/project.js";
import { ConfigurationRefused } from "../../../config/refusal.js";
import { resolveFiles } from "../../../config/specify.js";
import { recipientOf } from "../../../custody/identityFile.js";
import { identityIn, newIdentity, sealText } from "../../../custody/seal.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-found-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const nobody = async (): Promise<string> => "";

/** An identity with one letter mistyped, as a library's error would quote it. */
async function mistyped(): Promise<{ readonly text: string; readonly recipient: string }> {
  const { identity, recipient } = await newIdentity();
  return { text: `${identity.slice(0, -1)}${identity.endsWith("Q") ? "P" : "Q"}`, recipient };
}

describe("what fuzzing found stays mended:", () => {
  it("a mistyped identity is not quoted by the command", async () => {
    const { text } = await mistyped();
    expect(() => identityIn(text, "the file")).toThrow(/^the file holds an age identity that is damaged: its checksum does not fit/);
  });

  it("a damaged identity is not quoted by a host", async () => {
    const { text, recipient } = await mistyped();
    const site = siteBelow(join(folder, "host"));
    mkdirSync(dirname(site.layout.identity), { recursive: true });
    writeFileSync(site.layout.identity, text);
    await expect(openBundle(site, await sealText("{}", recipient))).rejects.toThrow(/identity\.age-key holds no age identity/);
  });

  it("an identity that follows its comment without a line's end is not taken for a recipient, and not quoted", async () => {
    const { identity, recipient } = await newIdentity();
    const file = join(folder, "joined");
    writeFileSync(file, `# public key: ${recipient.slice(0, -4)}${identity}\n${identity}\n`);
    await expect(recipientOf(file, nobody)).resolves.toBe(recipient);
  });

  it.each([
    ["no YAML", "config: [", "Pulumi.dev.yaml: found no YAML of ours; "],
    ["YAML inside itself", "config: &a\n  holdfast:nodes: *a\n", "its aliases (*) name too much, or what they stand in"],
    ["YAML that grows", `config:\n  a: &a [1,2]\n${"bcdefgh".split("").map((letter, index) => `  ${letter}: &${letter} [${Array(9).fill(`*${"abcdefg"[index]!}`).join(",")}]`).join("\n")}\n`, "its aliases (*) name too much"],
    ["YAML that goes too deep", `config: ${"[".repeat(100_000)}`, "found no YAML of ours; "],
  ])("a stack file that is %s is refused by name", (_, text, words) => {
    let refusal: unknown;
    try {
      stackFileKeys(text, "Pulumi.dev.yaml");
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(ConfigurationRefused);
    expect((refusal as Error).message).toContain(words);
  });

  it("a file that a stack file names, and that names a file again, is refused", () => {
    const findings: { readonly wanted: string }[] = [];
    resolveFiles({ recipients: { file: "a.json" } }, () => '{"file":"b.json"}', findings as never);
    expect(findings[0]!.wanted).toContain("names a file again");
  });

  it("what is no tunnel's state is refused without its private key", () => {
    expect(() => parseTunnel("a-private-key\n")).toThrow(/^wg printed something that is no tunnel's state/);
    expect(() => parseTunnel("a-private-key\tpublic\tport\toff")).toThrow(/at port/);
  });
});
