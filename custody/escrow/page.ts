import type { Kit } from "../../formats/share.js";
import { kindOf } from "../recipients.js";
import { codeParts, codeSvg } from "./qr.js";

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

const STYLE = `
@page { margin: 11mm; }
* { box-sizing: border-box; }
body { font: 8.6pt/1.3 "Helvetica Neue", Arial, sans-serif; color: #000; background: #fff; max-width: 190mm; margin: 0 auto; }
h1 { font-size: 15pt; margin: 0 0 1mm; } h2 { font-size: 9.6pt; margin: 2.6mm 0 .6mm; }
p, ol { margin: 0 0 1mm; } ol { padding-left: 5mm; }
code, pre { font-family: "DejaVu Sans Mono", Consolas, Menlo, monospace; }
code { font-size: 7.6pt; overflow-wrap: anywhere; }
.sealed { display: flex; flex-wrap: wrap; gap: 4mm; align-items: flex-start; margin-top: 2mm; }
.codes { display: flex; gap: 2mm; } figure { margin: 0; text-align: center; font-size: 7.5pt; }
figure svg { display: block; width: 70mm; height: 70mm; } .several figure svg { width: 60mm; height: 60mm; }
pre { font-size: 7.4pt; line-height: 1.25; margin: 0; border: .2mm solid #888; padding: 2mm; flex: 1 1 auto; }
.several pre { font-size: 5.4pt; line-height: 1.18; columns: 2; column-gap: 5mm; }
footer { margin-top: 2mm; border-top: .2mm solid #888; padding-top: 1mm; font-size: 7pt; overflow-wrap: anywhere; }
`;

function commitIn({ rebuild: { commit, changed } }: Kit): string {
  if (commit === "none") return "the project was in no commit";
  return `project commit ${commit}${changed ? " with changes that are in none" : ""}`;
}

/**
 * The page that a trustee keeps on paper: self-contained, without a script or anything from elsewhere, on one sheet of A4 or Letter. Everything on it comes from the kit.
 * It does not name the other trustees: who finds one page should not learn whom to visit next.
 */
export async function trusteePage(kit: Kit, { name, recipient, sealed, digest }: Kit["trustees"][number]): Promise<string> {
  const parts = codeParts(sealed);
  const figures = await Promise.all(parts.map(async (part, index) => `<figure>${await codeSvg(part)}<figcaption>${parts.length === 1 ? "the sealed share" : `${index + 1} of ${parts.length}`}</figcaption></figure>`));
  const [k, n] = [kit.threshold, kit.trustees.length];
  const [environment, network, whose] = [escaped(kit.environment), escaped(kit.network), escaped(name)];
  const hybrid = kindOf(kit.recipient) === "hybrid" || kindOf(recipient) === "hybrid" ? " (version 1.3 or later)" : "";
  const short = recipient.length > 100 ? `${recipient.slice(0, 24)}…${recipient.slice(-16)}` : recipient;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Recovery share of ${whose}: ${environment}</title>
<style>${STYLE}</style>
</head>
<body${parts.length > 1 ? ' class="several"' : ""}>
<h1>Recovery share of ${whose}</h1>
<p>Environment <strong>${environment}</strong> (${network}), Bitcoin and Lightning nodes kept by Holdfast. One of <strong>${n} shares</strong>, of which <strong>${k}</strong> are needed; made ${escaped(kit.made.slice(0, 10))}.</p>
<h2>What this is</h2>
<p>When everything else is lost, ${k} of the ${n} shares together give back the key that recovers this environment. Fewer give nothing. Your share is sealed: only the age identity of
<code>${escaped(short)}</code> opens it, and that one is yours. Keep this page and your identity safe and apart, and make copies of both. If you lose either, or give up your task, say so at once: the others then get new shares.</p>
<h2>When somebody asks for it</h2>
<ol>
<li>You will be asked in a disaster, in a drill, or when new shares are made. Whoever asks sends you a <em>one-time recipient</em>, a long word that begins with <code>age1</code>.</li>
<li><strong>Check who asks.</strong> Call the person you took this share from, by a number that you had before, or meet them; never answer only where the message came from. Have them read you the last 16 letters of the one-time recipient, and compare.
In doubt, do nothing: there are other trustees, and haste is what a thief would ask for.</li>
<li>Seal your share for that recipient, with the age program${hybrid} and nothing else:<br>
<code>age --decrypt --identity YOUR-IDENTITY-FILE ${whose}.age | age --armor --recipient age1…</code><br>
(<code>holdfast escrow contribute --share ${whose}.age --identity YOUR-IDENTITY-FILE --for age1…</code> does the same.) Send back what it prints; only who asked can open that.</li>
<li>Never send your identity, nor what <code>age --decrypt</code> prints alone: that is the share itself.</li>
</ol>
<h2>The sealed share: the file ${whose}.age</h2>
<p>If you have the page alone: put this text into a file of that name, from the ${parts.length === 1 ? "code" : `${parts.length} codes in their order, one below the other`}, or typed as it stands.</p>
<div class="sealed"><div class="codes">${figures.join("")}</div>
<pre>${escaped(sealed.trimEnd())}</pre></div>
<footer>Split ${escaped(kit.split)} · SHA-256 of the share ${escaped(digest)} · ${escaped(commitIn(kit))} ·
sealed roots in ${escaped(kit.rebuild.deposit)} · all that a rebuild needs is in the project: kit.json, docs/recovery.md</footer>
</body>
</html>
`;
}
