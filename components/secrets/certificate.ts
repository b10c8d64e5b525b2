import { createPrivateKey, createPublicKey, webcrypto, X509Certificate } from "node:crypto";
// x509 finds its parts by reflection: this comes before it.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { z } from "zod";
import { parseFormat } from "../../formats/versioned.js";

export const certificateRequestSchema = z.strictObject({
  /** PKCS #8 in PEM, P-256. */
  privateKey: z.string(),
  commonName: z.string(),
  organization: z.string(),
  dnsNames: z.array(z.string()),
  addresses: z.array(z.ipv4()),
  days: z.int().positive(),
  /** In PEM: what a deposit kept, for a node whose state was lost. */
  known: z.string().optional(),
});
export type CertificateRequest = z.infer<typeof certificateRequestSchema>;

/** What the certify step answers. */
export const certificateSchema = z.strictObject({ certificate: z.string() });

const YEAR = 365 * 86_400_000;

/**
 * A node's certificate: the one that the stack holds, or the one that was known before its state was lost, for as long as it serves; otherwise a new one.
 * Clients pin it, so it does not change without need.
 *
 * @param before what the step answered last time
 */
export async function certify(request: CertificateRequest, before: string | undefined, now: Date): Promise<z.infer<typeof certificateSchema>> {
  const held = before === undefined || before === "" ? undefined : parseFormat(certificateSchema, "the certificate that the stack holds", before).certificate;
  return { certificate: [held, request.known].find((pem) => pem !== undefined && stillServes(pem, request, now)) ?? await selfSigned(request, now) };
}

/** Whether a certificate is of this key, for these names and addresses and no other, for more than a year from now. */
function stillServes(pem: string, request: CertificateRequest, now: Date): boolean {
  const certificate = certificateIn(pem);
  if (certificate === undefined) return false;
  const wanted = [...request.dnsNames.map((name) => `DNS:${name}`), ...request.addresses.map((address) => `IP Address:${address}`)];
  return certificate.publicKey.equals(createPublicKey(request.privateKey))
    && (certificate.subjectAltName ?? "").split(", ").sort().join() === wanted.sort().join()
    && Date.parse(certificate.validFrom) <= now.getTime()
    && Date.parse(certificate.validTo) - now.getTime() > YEAR;
}

function certificateIn(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    // OpenSSL's word for whatever it could not read.
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}

/**
 * A self-signed certificate for the names and addresses at which a node's service answers, as PEM.
 *
 * @see RFC 5280; nix-bitcoin's certificates: P-256, 3650 days
 */
export async function selfSigned(request: CertificateRequest, now: Date): Promise<string> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const pkcs8 = createPrivateKey(request.privateKey).export({ format: "der", type: "pkcs8" });
  const privateKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]);
  const { d: _private, key_ops: _uses, ...publicPart } = await webcrypto.subtle.exportKey("jwk", privateKey);
  const publicKey = await webcrypto.subtle.importKey("jwk", publicPart, algorithm, true, ["verify"]);
  x509.cryptoProvider.set(webcrypto);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${request.commonName}, O=${request.organization}`,
    notBefore: new Date(now.getTime() - 60_000),
    notAfter: new Date(now.getTime() + request.days * 86_400_000),
    signingAlgorithm: algorithm,
    keys: { privateKey, publicKey },
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment | x509.KeyUsageFlags.keyCertSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...request.dnsNames.map((value) => ({ type: "dns" as const, value })),
        ...request.addresses.map((value) => ({ type: "ip" as const, value })),
      ]),
    ],
  });
  return new X509Certificate(Buffer.from(certificate.rawData)).toString();
}
