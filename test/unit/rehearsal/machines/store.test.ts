import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { certificateArguments, htpasswd, storeArguments } from "../../../../rehearsal/machines/store.js";

describe("the store", () => {
  it("is append-only, private to each user, and spoken to over TLS alone", () => {
    expect(storeArguments("/p/rest-server", "/s", 8000)).toEqual([
      "/p/rest-server", "--path", "/s/store/data", "--listen", "10.231.0.1:8000", "--append-only", "--private-repos", "--htpasswd-file", "/s/store/htpasswd",
      "--tls", "--tls-cert", "/s/store/certificate.pem", "--tls-key", "/s/store/key.pem", "--tls-min-ver", "1.3",
    ]);
  });
  it("has a certificate of its own address", () => {
    expect(certificateArguments("/k", "/c")).toEqual([
      "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=holdfast rehearsal store",
      "-addext", "subjectAltName=IP:10.231.0.1", "-keyout", "/k", "-out", "/c",
    ]);
  });
  it("keeps a password as openssl hashes it", () => {
    const hash = execFileSync("openssl", ["dgst", "-sha1", "-binary"], { input: "password" }).toString("base64");
    expect(htpasswd({ alice: "password" })).toBe(`alice:{SHA}${hash}\n`);
  });
  it("refuses a user whose name would be another line", () => expect(() => htpasswd({ "a\nroot": "x" })).toThrow("cannot be a user"));
});
