import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { certify, selfSigned, type CertificateRequest } from "../../../../components/secrets/certificate.js";
import { p256PrivateKey } from "../../../../components/secrets/derive.js";

const made = new Date("2026-11-21T12:00:00Z");
const later = (years: number): Date => new Date(made.getTime() + years * 365 * 86_400_000);
const key = (version: number): string => p256PrivateKey("r".repeat(64), `alice/lnd-tls-key/${version}`);
const request: CertificateRequest = { privateKey: key(1), commonName: "localhost", organization: "lnd", dnsNames: ["localhost"], addresses: ["127.0.0.1", "10.10.0.1"], days: 3650 };
const answer = (certificate: string): string => JSON.stringify({ certificate });

let pem: string;
beforeAll(async () => {
  pem = await selfSigned(request, made);
});

describe("the certificate", () => {
  it("is valid ten years for the names and addresses at which the node answers, and for nothing else", () => {
    const certificate = new X509Certificate(pem);
    expect(certificate.checkIP("10.10.0.1")).toBe("10.10.0.1");
    expect(certificate.checkHost("localhost")).toBe("localhost");
    expect(certificate.checkIP("10.10.0.2")).toBeUndefined();
    expect(certificate.checkPrivateKey(createPrivateKey(request.privateKey))).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(new Date(certificate.validTo).getUTCFullYear()).toBe(2036);
    const folder = mkdtempSync(join(tmpdir(), "holdfast-certificate-"));
    writeFileSync(join(folder, "c.pem"), pem);
    const verified = execFileSync("openssl", ["verify", "-attime", String(Date.parse("2030-01-01T00:00:00Z") / 1000), "-CAfile", join(folder, "c.pem"), join(folder, "c.pem")]).toString();
    rmSync(folder, { recursive: true });
    expect(verified).toContain("OK");
  });
});

describe("a certificate that there is already", () => {
  it("is kept to the letter, whether the stack holds it or a deposit did, until a year before its end", async () => {
    expect(await certify(request, answer(pem), later(8.9))).toEqual({ certificate: pem });
    expect(await certify({ ...request, known: pem }, undefined, later(8.9))).toEqual({ certificate: pem });
    expect(await certify({ ...request, known: pem }, "", made)).toEqual({ certificate: pem });
  });

  it("goes on when what restored it is not at hand any more, and is not undone by an older deposit", async () => {
    const other = await selfSigned(request, later(1));
    expect(other).not.toBe(pem);
    expect(await certify(request, answer(other), later(2))).toEqual({ certificate: other });
    expect(await certify({ ...request, known: pem }, answer(other), later(2))).toEqual({ certificate: other });
  });

  it("is replaced once less than a year is left, its key is another, or its names are others", async () => {
    const replaced: readonly [string, CertificateRequest, Date][] = [
      ["old", request, later(9.1)],
      ["another key", { ...request, privateKey: key(2) }, made],
      ["an address more", { ...request, addresses: [...request.addresses, "10.20.0.1"] }, made],
      ["an address less", { ...request, addresses: ["127.0.0.1"] }, made],
      ["not valid yet", request, later(-1)],
    ];
    for (const [why, wanted, now] of replaced) {
      const { certificate } = await certify({ ...wanted, known: pem }, answer(pem), now);
      expect(certificate, why).not.toBe(pem);
      expect(new X509Certificate(certificate).checkPrivateKey(createPrivateKey(wanted.privateKey)), why).toBe(true);
    }
  });

  it("is no reason to fail when it cannot be read", async () => {
    for (const known of ["", "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n", "not a certificate"]) {
      expect(new X509Certificate((await certify({ ...request, known }, undefined, made)).certificate).checkIP("10.10.0.1")).toBe("10.10.0.1");
    }
  });
});
