import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { parseFormat } from "../../formats/versioned.js";

/** PEM by `<node id>/<file>`: what `holdfast state restore` found in the deposit, so that phones which pinned a certificate go on. Public. */
export const knownCertificatesSchema = z.record(z.string().regex(/^[^/]+\/[^/]+$/, "wants <node id>/<file>"), z.string().startsWith("-----BEGIN CERTIFICATE-----"));

/** Where they lie, relative to the project. */
export const knownCertificatesFile = (environment: string): string => join(".holdfast", environment, "certificates.json");

/**
 * The certificates that a node had before its state was lost, by file name; none when nothing was restored here.
 *
 * @throws FormatError on a file that holds something else
 */
export function knownCertificates(environment: string, nodeId: string): Readonly<Record<string, string>> {
  const path = knownCertificatesFile(environment);
  if (!existsSync(path)) return {};
  const all = parseFormat(knownCertificatesSchema, path, readFileSync(path, "utf8"));
  return Object.fromEntries(Object.entries(all).flatMap(([key, pem]) => (key.startsWith(`${nodeId}/`) ? [[key.slice(nodeId.length + 1), pem]] : [])));
}
