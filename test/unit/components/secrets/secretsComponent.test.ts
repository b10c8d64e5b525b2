import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { knownCertificatesFile } from "../../../../components/secrets/knownCertificates.js";
import { secretId, secretsOf } from "../../../../components/secrets/registry.js";
import { rootName } from "../../../../components/secrets/root.js";
import { Secrets } from "../../../../components/secrets/secrets.js";
import type { NodeSpecification } from "../../../../config/specification.js";
import { services } from "../../../../formats/services.js";
import { exampleNode, inputOf, isSecret, program, record, rootOf, steps, STORE_PASSWORD, valueOf, type Recorded } from "../recorder.js";

let resources: Recorded[];
let secrets: Secrets;

async function make(change: Partial<NodeSpecification> = {}): Promise<Secrets> {
  const recorded = await record();
  resources = recorded.resources;
  const example = exampleNode();
  onTestFinished(example.remove);
  secrets = new Secrets("alice-1-secrets", { ...example.specification, ...change }, recorded.watch);
  await valueOf(secrets.files);
  return secrets;
}

const contents = async (): Promise<Map<string, string>> => new Map((await valueOf(secrets.files)).map(({ name, content }) => [name, Buffer.from(content, "base64").toString()]));
const roots = (): Recorded[] => resources.filter(({ type }) => type.startsWith("random:")).sort((one, other) => (one.name < other.name ? -1 : 1));
const rotated = (version: number) => ({ version, rotated: "2026-11-21T12:00:00Z" });

const { specification } = (() => {
  const example = exampleNode();
  example.remove();
  return example;
})();
const derived = secretsOf(specification.services, specification.tunnel.peers).filter((secret) => secret.kind === "derived");

describe("a node's secrets", () => {
  beforeEach(() => make());

  it("have a root each, of 64 letters and digits, except where two belong together", () => {
    expect(roots().map(({ name }) => name)).toEqual(derived.filter((secret) => secret.rootOf === undefined).map(({ id }) => `alice-1-secrets-${id}-root`).sort());
    for (const { type, inputs } of roots()) {
      expect(type).toBe("random:index/randomPassword:RandomPassword");
      expect(inputs).toEqual({ length: 64, special: false });
    }
  });

  it("derive under the node's immutable id, not under its name", async () => {
    const before = await contents();
    const password = derived.find(({ id }) => id === "backup-password")!;
    const value = password.value(rootOf("alice-1-secrets-backup-password-root"), secretId("alice-1", password));
    expect(before.get("backup-password")).toBe(value);
    expect(await valueOf(secrets.value("backup-password"))).toBe(value);
    await make({ name: "carol" });
    expect(await contents()).toEqual(before);
    await make({ id: "alice-2" });
    for (const [file, content] of await contents()) expect(["lnd-cert", "backup-store-password"].includes(file) || content !== before.get(file), file).toBe(true);
  });

  it("are secret, each and all together, and so are their roots; certificates are not", async () => {
    expect(await isSecret(secrets.files)).toBe(true);
    expect(await isSecret(secrets.roots)).toBe(true);
    for (const { id } of derived) expect(await isSecret(secrets.value(id)), id).toBe(true);
    expect(await isSecret(secrets.certificates)).toBe(false);
    expect(await isSecret(secrets.certificate)).toBe(false);
  });

  it("bring the certificate and the store's password with them", async () => {
    const files = await contents();
    expect(files.get("lnd-cert")).toContain("BEGIN CERTIFICATE");
    expect(files.get("backup-store-password")).toBe(STORE_PASSWORD);
    expect([...files.keys()]).toEqual(secretsOf(specification.services, specification.tunnel.peers).map(({ file }) => file));
    expect(await valueOf(secrets.certificates)).toEqual({ "lnd-cert": files.get("lnd-cert") });
  });

  it("tell their roots by secret id, for whoever keeps them off-site", async () => {
    const all = await valueOf(secrets.roots);
    expect(Object.keys(all)).toEqual(derived.filter((secret) => secret.rootOf === undefined).map(({ id }) => id));
    expect(all["wireguard-psk-phone"]).toEqual({ version: 1, value: rootOf("alice-1-secrets-wireguard-psk-phone-root") });
  });

  it("ask for a certificate for the node's address inside its tunnel, to the letter as ever: anything else would make another one", () => {
    expect(JSON.stringify(inputOf(resources, "certify"))).toMatch(
      /^{"commonName":"localhost","organization":"lnd","dnsNames":\["localhost"],"addresses":\["127\.0\.0\.1","10\.10\.0\.1"],"days":3650,"privateKey":"-----BEGIN PRIVATE KEY-----[^"]+"}$/);
    expect(steps(resources).map(({ name }) => name)).toEqual(["alice-1-secrets-lnd-certificate"]);
  });

  it("have a protected root where they never rotate, and only there", () => {
    const never = new Set(derived.filter(({ rotation }) => rotation === "never").map(({ id }) => `alice-1-secrets-${id}-root`));
    for (const { name, options } of roots()) expect(options.protect === true, name).toBe(never.has(name));
  });

  it("know no secret that is not the node's", () => {
    expect(() => secrets.value("hsm")).toThrow("No secret of the registry has the id hsm on this node");
    expect(() => secrets.value("rtl-password")).toThrow("Is its service among the node's services?");
  });
});

describe("a node of every service", () => {
  it("has every file of the registry, and a certificate of Loop's for the loopback alone", async () => {
    await make({ services: [...services] });
    expect([...(await contents()).keys()]).toEqual(secretsOf(services, specification.tunnel.peers).map(({ file }) => file));
    const loop = steps(resources).find(({ name }) => name === "alice-1-secrets-loop-certificate")!;
    expect(program(loop)).toBe("certify");
    expect(inputOf([loop], "certify")).toMatchObject({ organization: "loop", addresses: ["127.0.0.1"] });
    expect(Object.keys(await valueOf(secrets.certificates))).toEqual(["lnd-cert", "loop-cert"]);
  });

  it("has no LND certificate when it has no LND", async () => {
    await make({ services: ["bitcoind"] });
    expect(() => secrets.certificate).toThrow("No certificate of the registry has the file lnd-cert on this node");
  });
});

describe("a rotated secret", () => {
  it("has a new root and a new id to derive under, and so have those that share the root; every other resource stays as it is", async () => {
    await make();
    const [before, rootsBefore] = [await contents(), roots()];
    await make({ versions: { "bitcoin-rpc-password": rotated(3) } });
    const after = await contents();
    expect([...after].filter(([file, content]) => before.get(file) !== content).map(([file]) => file)).toEqual(["bitcoin-rpcpassword-privileged", "bitcoin-HMAC-privileged"]);
    expect(roots().map(({ name }) => name)).toEqual(rootsBefore.map(({ name }) => name));
    expect(roots().filter(({ inputs }, index) => JSON.stringify(inputs) !== JSON.stringify(rootsBefore[index]!.inputs)).map(({ name, inputs }) => ({ name, inputs }))).toEqual([
      { name: "alice-1-secrets-bitcoin-rpc-password-root", inputs: { length: 64, special: false, keepers: { version: "3" } } },
    ]);
    expect((await valueOf(secrets.roots))["bitcoin-rpc-password"]?.version).toBe(3);
  });

  it("is refused before anything is made when it never rotates", async () => {
    await expect(make({ versions: { "lnd-wallet-password": rotated(2) } })).rejects.toThrow("versions.json gives lnd-wallet-password the version 2, and it never rotates");
    expect(roots()).toEqual([]);
  });

  it("has a root beside its predecessor's where both are needed at once, and otherwise one in its place", () => {
    expect(rootName("t", { id: "phone", version: 1, replaced: "beside" })).toBe(rootName("t", { id: "phone", version: 1 }));
    expect(rootName("t", { id: "phone", version: 2, replaced: "beside" })).toBe("t-phone-root-2");
    expect(rootName("t", { id: "phone", version: 2 })).toBe("t-phone-root");
  });
});

describe("a certificate that was restored", () => {
  const environment = "restored-here";
  const pem = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
  function restore(content: unknown): void {
    const folder = exampleNode();
    const project = process.cwd();
    const own = dirname(folder.specification.backup.passwordFile);
    process.chdir(own);
    mkdirSync(dirname(knownCertificatesFile(environment)), { recursive: true });
    writeFileSync(knownCertificatesFile(environment), JSON.stringify(content));
    onTestFinished(() => {
      process.chdir(project);
      folder.remove();
    });
  }

  it("is known to the step of that node and that file, and to no other", async () => {
    restore({ "alice-1/lnd-cert": pem, "alice-2/loop-cert": pem });
    await make({ environment, services: ["bitcoind", "lnd", "lightning-loop"] });
    const known = new Map(steps(resources).map((one) => [one.name, inputOf([one], "certify")["known"]]));
    expect(known).toEqual(new Map([["alice-1-secrets-lnd-certificate", pem], ["alice-1-secrets-loop-certificate", undefined]]));
  });

  it("must be a certificate under a node's id and a file's name", async () => {
    restore({ "lnd-cert": pem });
    await expect(make({ environment })).rejects.toThrow(`${knownCertificatesFile(environment)}: at lnd-cert`);
    restore({ "alice-1/lnd-cert": "-----BEGIN PRIVATE KEY-----" });
    await expect(make({ environment })).rejects.toThrow(`${knownCertificatesFile(environment)}: at alice-1/lnd-cert`);
  });
});
