import { createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
// x509 finds its parts by reflection: this comes before it.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { z } from "zod";

export const certificateRequestSchema = z.strictObject({
  /** PKCS #8 in PEM, P-256. */
  privateKey: z.string(),
  commonName: z.string(),
  organization: z.string(),
  dnsNames: z.array(z.string()),
  addresses: z.array(z.ipv4()),
  days: z.int().positive(),
});
export type CertificateRequest = z.infer<typeof certificateRequestSchema>;

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
