import qrcode from "qrcode";
import { describe, expect, it } from "vitest";
import { kitFiles, makeKit } from "../../../../custody/escrow/kit.js";
import { trusteePage } from "../../../../custody/escrow/page.js";
import { codeParts } from "../../../../custody/escrow/qr.js";
import { splitIdentity } from "../../../../custody/escrow/split.js";
import { newIdentity } from "../../../../custody/seal.js";
import { kitSchema, type Kit } from "../../../../formats/share.js";
import type { RecipientKind } from "../../../../custody/recipients.js";

async function kitOf(kind: RecipientKind, change: Partial<Kit["rebuild"]> = {}) {
  const recovery = await newIdentity(kind);
  const trustees = await Promise.all(["anna", "bert", "cleo"].map(async (name) => ({ name, recipient: (await newIdentity(kind)).recipient })));
  const shares = await splitIdentity(recovery.identity, { environment: "prod", recipient: recovery.recipient, threshold: 2, trustees: trustees.map(({ name }) => name) });
  const kit = await makeKit(shares, trustees, {
    network: "mainnet", made: "2026-11-21T08:00:00.000Z", recipient: recovery.recipient,
    rebuild: { commit: "c".repeat(40), changed: false, versions: { pulumi: "3.250.0" }, deposit: "/mnt/deposit", nodes: { alice: { id: "alice", nodePublicKey: "02".repeat(33) } }, ...change },
  });
  return { kit, shares, recovery };
}

/** The squares of an SVG code, dark or light, as a reader of the picture sees them: horizontal strokes of a path. */
function squaresOf(svg: string): boolean[][] {
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(svg)![1]);
  const rows = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
  let [x, y] = [0, 0];
  for (const [, how, first, second] of /stroke="#000000" d="([^"]*)"/.exec(svg)![1]!.matchAll(/([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?/g)) {
    if (how === "M") [x, y] = [Number(first), Number(second)];
    else if (how === "m") [x, y] = [x + Number(first), y + Number(second)];
    else for (const end = x + Number(first); x < end; x += 1) rows[Math.floor(y)]![x] = true;
  }
  return rows;
}

const pictures = (page: string): string[] => page.match(/<svg[\s\S]*?<\/svg>/g) ?? [];
const sealedOn = (page: string): string => `${/<pre>([\s\S]*?)<\/pre>/.exec(page)![1]!}\n`;

/** Every element, in order; throws where one is not closed. */
function elementsOf(page: string): { readonly name: string; readonly attributes: string }[] {
  const open: string[] = [];
  const all: { readonly name: string; readonly attributes: string }[] = [];
  const body = page.replace("<!DOCTYPE html>\n", "").replace(/<style>[^<]*<\/style>/, "");
  for (const [, closing, name, attributes] of body.matchAll(/<(\/?)([a-z0-9]+)([^<>]*)>/gi)) {
    if (closing === "/") expect(open.pop()).toBe(name);
    else {
      all.push({ name: name!, attributes: attributes! });
      if (!attributes!.endsWith("/") && !["meta", "br"].includes(name!)) open.push(name!);
    }
  }
  expect(open).toEqual([]);
  expect(body.replaceAll(/<\/?[a-z0-9]+[^<>]*>/gi, "")).not.toMatch(/[<>]/);
  return all;
}

describe("a trustee's page", () => {
  it.each<[RecipientKind, number]>([["classical", 1], ["hybrid", 3]])("of a %s identity has the sealed share as text and in QR codes that give the same", async (kind, codes) => {
    const { kit } = await kitOf(kind);
    for (const trustee of kit.trustees) {
      const page = await trusteePage(kit, trustee);
      expect(sealedOn(page)).toBe(trustee.sealed);
      const parts = codeParts(trustee.sealed);
      expect(parts.join("")).toBe(trustee.sealed);
      expect(pictures(page)).toHaveLength(codes);
      for (const [index, svg] of pictures(page).entries()) {
        const squares = squaresOf(svg);
        const { modules, version } = qrcode.create([{ data: Buffer.from(parts[index]!), mode: "byte" }], { errorCorrectionLevel: "M" });
        const quiet = (squares.length - modules.size) / 2;
        expect(quiet, "a light border of four squares, as readers want").toBe(4);
        expect(squares.slice(quiet, -quiet).map((row) => row.slice(quiet, -quiet).map(Number).join(""))).toEqual(
          Array.from({ length: modules.size }, (_, row) => Array.from({ length: modules.size }, (_, column) => Number(modules.get(row, column))).join("")),
        );
        // 60 mm wide on paper: no square under 0.4 mm.
        expect(60 / (17 + 4 * version + 8)).toBeGreaterThan(0.4);
      }
    }
  });

  it("stands alone: no script, nothing that is loaded, every element closed", async () => {
    const { kit } = await kitOf("classical");
    const page = await trusteePage(kit, kit.trustees[0]!);
    const elements = elementsOf(page);
    expect(elements.map(({ name }) => name)).toContain("svg");
    for (const { name, attributes } of elements) {
      expect(["script", "link", "img", "iframe", "object", "embed", "form", "a", "base", "use", "image"]).not.toContain(name);
      expect(attributes).not.toMatch(/\b(on\w+|src|href|action|style)\s*=/i);
    }
    expect(page.replaceAll('xmlns="http://www.w3.org/2000/svg"', "")).not.toMatch(/https?:|url\(|@import|javascript:/i);
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  });

  it("says whose it is, of what, how many are needed, how to answer and whom to believe, and names no other trustee", async () => {
    const { kit } = await kitOf("classical");
    const page = await trusteePage(kit, kit.trustees[0]!);
    for (const words of ["Recovery share of anna", "<strong>prod</strong> (mainnet)", "<strong>3 shares</strong>, of which <strong>2</strong> are needed", "2026-11-21", kit.trustees[0]!.recipient, "c".repeat(40), kit.trustees[0]!.digest,
      "age --decrypt --identity YOUR-IDENTITY-FILE anna.age | age --armor --recipient age1…", "last 16 letters"]) expect(page).toContain(words);
    expect(page).not.toMatch(/bert|cleo/);
  });

  it("takes everything from the kit as text, never as markup", async () => {
    const { kit } = await kitOf("classical", { deposit: `/mnt/<script>alert("x")</script>&'`, commit: "<img src=x>" });
    const page = await trusteePage({ ...kit, network: "<b>" }, kit.trustees[0]!);
    expect(elementsOf(page).filter(({ name }) => ["script", "img", "b"].includes(name))).toEqual([]);
    expect(page).toContain("&#60;script&#62;alert(&#34;x&#34;)");
  });

  it("is made from the kit alone: the same kit gives the same files, and none of them has a share in clear", async () => {
    const { kit, shares, recovery } = await kitOf("classical");
    const files = await kitFiles(kit);
    expect([...files.keys()]).toEqual(["anna.age", "anna.html", "bert.age", "bert.html", "cleo.age", "cleo.html", "kit.json"]);
    expect(await kitFiles(kitSchema.parse(JSON.parse(files.get("kit.json")!)))).toEqual(files);
    for (const secret of [recovery.identity, ...shares.map(({ share }) => share)]) {
      for (const text of files.values()) for (let at = 20; at + 12 <= secret.length; at += 4) expect(text).not.toContain(secret.slice(at, at + 12));
    }
  });
});
