import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Secrets } from "../../../../components/secrets/secrets.js";
import { registry, secretId } from "../../../../components/secrets/registry.js";
import { exampleNode, inputOf, isSecret, record, rootOf, STORE_PASSWORD, valueOf, type Recorded } from "../recorder.js";

let example: ReturnType<typeof exampleNode>;
let resources: Recorded[];
let secrets: Secrets;
beforeAll(async () => {
  const recorded = await record();
  resources = recorded.resources;
  example = exampleNode();
  secrets = new Secrets("alice-secrets", example.specification, recorded.watch);
  await valueOf(secrets.files);
});
afterAll(() => example.remove());

const contents = async (): Promise<Map<string, string>> => new Map((await valueOf(secrets.files)).map(({ name, content }) => [name, Buffer.from(content, "base64").toString()]));

describe("a node's secrets", () => {
  it("have a root each, of 64 letters and digits, except where two belong together", () => {
    const roots = resources.filter(({ type }) => type.startsWith("random:"));
    expect(roots.map(({ name }) => name)).toEqual([
      ...registry.filter(({ rootOf: shared }) => shared === undefined).map(({ id }) => `alice-secrets-${id}-root`), "alice-secrets-wireguard-psk-phone-root", "alice-secrets-wireguard-psk-laptop-root",
    ]);
    for (const { type, inputs } of roots) {
      expect(type).toBe("random:index/randomPassword:RandomPassword");
      expect(inputs).toMatchObject({ length: 64, special: false });
    }
  });

  it("derive under the node's immutable id, not under its name", async () => {
    const password = registry.find(({ id }) => id === "backup-password")!;
    const value = password.value(rootOf("alice-secrets-backup-password-root"), secretId("alice-1", password));
    expect((await contents()).get("backup-password")).toBe(value);
    expect(await valueOf(secrets.value("backup-password"))).toBe(value);
  });

  it("are secret, each and all together; the certificate is not", async () => {
    expect(await isSecret(secrets.files)).toBe(true);
    for (const { id } of registry) expect(await isSecret(secrets.value(id)), id).toBe(true);
    expect(await isSecret(secrets.certificate)).toBe(false);
  });

  it("bring the certificate and the store's password with them", async () => {
    const files = await contents();
    expect(files.get("lnd-cert")).toContain("BEGIN CERTIFICATE");
    expect(files.get("backup-store-password")).toBe(STORE_PASSWORD);
    expect([...files.keys()].sort()).toEqual([...registry.map(({ file }) => file), "wg-psk-phone", "wg-psk-laptop", "lnd-cert", "backup-store-password"].sort());
  });

  it("have a certificate for the node's address inside its tunnel", () => {
    expect(inputOf(resources, "certify")).toMatchObject({ dnsNames: ["localhost"], addresses: ["127.0.0.1", "10.10.0.1"], privateKey: expect.stringContaining("PRIVATE KEY") as string });
  });

  it("know no secret that the registry does not name", () => {
    expect(() => secrets.value("hsm")).toThrow("No secret of the registry has the id hsm");
  });
});
