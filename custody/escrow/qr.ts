import qrcode from "qrcode";

/** Bytes of one code at most: at 70 mm its squares are 0.5 mm wide, which phones read from paper. */
const LONGEST = 1_120;

/**
 * A text in as many pieces as it needs QR codes, whole lines each and of nearly one size: read in their order, one below the other, they are the text again.
 */
export function codeParts(text: string): string[] {
  const lines = text.trimEnd().split("\n").map((line) => `${line}\n`);
  const count = Math.ceil(Buffer.byteLength(lines.join("")) / LONGEST);
  const each = Math.ceil(lines.length / count);
  return Array.from({ length: Math.ceil(lines.length / each) }, (_, index) => lines.slice(index * each, (index + 1) * each).join(""));
}

/** A QR code as an SVG element without a size of its own. @see ISO/IEC 18004 */
export async function codeSvg(text: string): Promise<string> {
  const svg = await qrcode.toString([{ data: Buffer.from(text), mode: "byte" }], { type: "svg", errorCorrectionLevel: "M", margin: 4 });
  return svg.trim();
}
