import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ageText, keyAges } from "../../../../cli/keyAges.js";
import { abandonAge, rotateAge } from "../../../../cli/rotate/age.js";
import { unitStates, loginArguments, loginResult, unitsCommand } from "../../../../cli/rotate/hosts.js";
import { underway } from "../../../../cli/rotate/journal.js";
import { opensSalt } from "../../../../cli/rotate/salt.js";
import { chosenSecrets, rotatables, rotateSecrets, secretPreview } from "../../../../cli/rotate/secret.js";
import { readSetting, writeSetting } from "../../../../cli/rotate/settings.js";
import { abandonSsh, fingerprintOf, rotateSsh } from "../../../../cli/rotate/ssh.js";
import { saltIn } from "../../../../cli/rotate/vault.js";
import { proposed, raised, versionOf, withdrawn } from "../../../../cli/rotate/versions.js";
import { abandonPeer, chosenPeer, rotatePeer } from "../../../../cli/rotate/wireguard.js";
import { placesOf } from "../../../../cli/places.js";
import { writeIdentity } from "../../../../custody/identityFile.js";
import { newIdentity } from "../../../../custody/seal.js";
import { noVersions } from "../../../../formats/records.js";
import { marksOf, template, versionsOf, worldFrom, type World } from "./world.js";

let source: string;
let world: World;
beforeAll(async () => { source = await template(); });
afterAll(() => rmSync(source, { recursive: true, force: true }));
beforeEach(() => { world = worldFrom(source, { left: Infinity }); });
afterEach(() => world.remove());

const node = () => world.deployed().nodes[0]!;
const audit = (): string[] => readFileSync(join(world.places.project, "environments/dev/audit.jsonl"), "utf8").trim().split("\n").map((line) => {
  const { action, subject, outcome } = JSON.parse(line) as Record<string, string>;
  return `${action} ${subject} ${outcome}`;
});

describe("versions", () => {
  const at = (day: number): Date => new Date(Date.UTC(2026, 0, day));
  it("are raised once, however often a rotation goes on", () => {
    const once = raised(noVersions, "alice", "x", 2, at(1));
    expect(raised(once, "alice", "x", 2, at(2))).toBe(once);
    expect(versionOf(once, "alice", "x")).toBe(2);
    expect([versionOf(once, "alice", "y"), versionOf(once, "bob", "x")]).toEqual([1, 1]);
  });
  it("have a candidate beside them until it is raised or withdrawn", () => {
    const waiting = proposed(noVersions, "alice", "x", 2, at(1));
    expect(waiting.nodes).toEqual({ alice: { x: { version: 1, candidate: 2, rotated: at(1).toISOString() } } });
    expect(withdrawn(waiting, "alice", "x")).toEqual(noVersions);
    expect(raised(waiting, "alice", "x", 2, at(2)).nodes).toEqual({ alice: { x: { version: 2, rotated: at(2).toISOString() } } });
    const later = proposed(raised(waiting, "alice", "x", 2, at(2)), "alice", "x", 3, at(3));
    expect(withdrawn(later, "alice", "x").nodes).toEqual({ alice: { x: { version: 2, rotated: at(2).toISOString() } } });
  });
});

describe("rotate secret", () => {
  it("says beforehand what changes and what restarts, and does nothing without a yes", async () => {
    const asked: string[] = [];
    await expect(rotateSecrets({ ...world.means, agree: async (preview) => { asked.push(preview); return false; } }, { id: "bitcoin-rpc-password" })).rejects.toThrow("Nothing was changed");
    expect(asked[0]).toBe("alice: bitcoin-rpc-password goes from version 1 to 2\n  files     bitcoin-rpcpassword-privileged, bitcoin-HMAC-privileged\n  restarts  bitcoind.service, lnd.service");
    expect([world.updates(), versionsOf(world), underway(world.places.state)]).toEqual([0, {}, []]);
  });

  it("rotates all that can be in one update", async () => {
    await rotateSecrets(world.means, {});
    expect(world.updates()).toBe(1);
    expect(world.said).toContain("alice: restarted bitcoind.service, lnd.service, wireguard-wg-node.service");
    expect(Object.entries(versionsOf(world)).map(([id, { version }]) => `${id} ${version}`).sort()).toEqual(rotatables(node()).map(({ id }) => `${id} 2`).sort());
    expect(audit().slice(-2)).toEqual(["secret-rotated all secrets begun", "secret-rotated all secrets done"]);
  });

  it("never offers what never rotates, what others give, and what goes with something else", () => {
    expect(rotatables(node()).map(({ id }) => id)).toEqual(["bitcoin-rpc-password", "bitcoin-rpc-password-public", "lnd-tls-key", "wireguard-node", "bunker-admin-key"]);
    expect(secretPreview(rotatables(node()).filter(({ id }) => id === "wireguard-node"), () => 4)).toContain("Every peer knows the node by this key");
  });

  it.each([
    ["lnd-wallet-password", "lnd-wallet-password is never rotated. "], ["backup-password", "restic key add"], ["backup-store-password", "The store decides it"],
    ["bitcoin-rpc-hmac", "goes with bitcoin-rpc-password: holdfast rotate secret bitcoin-rpc-password"], ["lnd-certificate", "goes with lnd-tls-key"], ["wireguard-psk-phone", "holdfast rotate wireguard phone"],
    ["lnd", "There is no secret lnd. These can be rotated: bitcoin-rpc-password, "],
  ])("refuses %s in words that say what to do", (id, words) => {
    const ids = chosenIds(id);
    expect(ids).toContain(words);
  });
  const chosenIds = (id: string): string => {
    try {
      return chosenSecrets([node()], { id }).map((one) => one.id).join();
    } catch (error) {
      return (error as Error).message;
    }
  };

  it("wants the node's name where several have the secret", () => {
    const bob = { ...node(), name: "bob", id: "bob" };
    expect(() => chosenSecrets([node(), bob], { id: "lnd-tls-key" })).toThrow("alice and bob each have a secret lnd-tls-key. Name the node: --node alice");
    expect(chosenSecrets([node(), bob], { id: "lnd-tls-key", node: "bob" }).map((one) => one.node.name)).toEqual(["bob"]);
    expect(() => chosenSecrets([node()], { node: "eve" })).toThrow("There is no node eve. There are: alice");
  });

  it("stays under way when the update fails, says how to go on, and lets no other rotation begin", async () => {
    world.fault = "lnd.service did not come up";
    await expect(rotateSecrets(world.means, { id: "lnd-tls-key" })).rejects.toThrow(/did not come up[\s\S]*puts the former ones back[\s\S]*`holdfast rotate secret lnd-tls-key -s dev` goes on/);
    expect(underway(world.places.state)).toMatchObject([{ subject: "secret alice-1/lnd-tls-key", phase: "update" }]);
    await expect(rotateSsh(world.means, {})).rejects.toThrow('The rotation of secret alice-1/lnd-tls-key is under way');
    world.fault = undefined;
    await rotateSecrets(world.means, { id: "lnd-tls-key" });
    expect(versionsOf(world)["lnd-tls-key"]!.version).toBe(2);
  });
});

describe("rotate wireguard", () => {
  it("keeps the old keys while the new ones wait, lets others rotate meanwhile, and goes on by the same command", async () => {
    world.phoneComes = false;
    const output = world.file("phone.conf");
    await expect(rotatePeer(world.means, { peer: "phone", within: 0, output })).rejects.toThrow(/made no handshake.*The old ones go on working.*`holdfast rotate wireguard phone -s dev` waits again/);
    expect(versionsOf(world)["wireguard-peer-phone"]).toMatchObject({ version: 1, candidate: 2 });
    expect(statSync(output).mode & 0o777).toBe(0o600);
    expect(world.said.join()).not.toContain("PrivateKey");
    await rotateSecrets(world.means, { id: "lnd-tls-key" });
    world.phoneComes = true;
    await rotatePeer(world.means, { peer: "phone", within: 0, output });
    expect(versionsOf(world)["wireguard-peer-phone"]).toMatchObject({ version: 2 });
    expect(underway(world.places.state)).toEqual([]);
  });

  it("takes waiting keys away on the operator's word, and not those that are in force", async () => {
    world.phoneComes = false;
    await expect(abandonPeer(world.means, { peer: "phone" })).rejects.toThrow("there is nothing to abandon");
    await expect(rotatePeer(world.means, { peer: "phone", within: 0 })).rejects.toThrow();
    await abandonPeer(world.means, { peer: "phone" });
    expect([versionsOf(world), underway(world.places.state), node().versions]).toEqual([{}, [], {}]);
    world.phoneComes = true;
    const failing = { ...world.means, update: async () => { if (versionsOf(world)["wireguard-peer-phone"]?.version === 2) throw new Error("no"); await world.means.update(); } };
    await expect(rotatePeer(failing, { peer: "phone", within: 0 })).rejects.toThrow("no");
    await expect(abandonPeer(world.means, { peer: "phone" })).rejects.toThrow("have proven themselves");
    await rotatePeer(world.means, { peer: "phone", within: 0 });
  });

  it("refuses a peer that there is not, and one whose next keys could have no name", async () => {
    const { tunnel: _, ...bare } = node();
    expect(() => chosenPeer([bare], { peer: "phone" })).toThrow("alice has no tunnel (tunnel: none), and so no peers whose keys could rotate.");
    expect(chosenPeer([{ ...bare, name: "bob" }, node()], { peer: "phone" }).name, "of two nodes, the one that has a tunnel").toBe("alice");
    await expect(rotatePeer(world.means, { peer: "tablet", within: 0 })).rejects.toThrow("No node has a peer tablet. There are: phone of alice, laptop of alice.");
    writeSetting(world.places, ["nodes", "alice", "tunnel", "peers", "phone-next"], { address: "10.10.0.9" });
    await expect(rotatePeer(world.means, { peer: "phone", within: 0 })).rejects.toThrow("has a peer phone-next already");
  });
});

describe("rotate ssh", () => {
  /** A key pair of the operator's own. */
  const ownKey = (): string => {
    const file = join(world.places.project, "own");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "token", "-f", file]);
    return file;
  };
  const given = (file: string) => ({ given: { publicKeyFile: `${file}.pub`, identityFile: file } });

  it("takes a key that was made elsewhere, and has the stack log in with it from then on", async () => {
    const file = ownKey();
    const text = readFileSync(join(world.places.project, "Pulumi.dev.yaml"), "utf8");
    await rotateSsh(world.means, given(file));
    expect(world.deployed()).toMatchObject({ identityFile: "own", authorizedKeys: [expect.stringContaining("somebody else"), readFileSync(`${file}.pub`, "utf8").trim()] });
    expect(text).toContain("# people read this");
    expect(readFileSync(join(world.places.project, "Pulumi.dev.yaml"), "utf8")).toContain("# people read this");
    expect(marksOf(world).made["ssh"]).toBeDefined();
    await expect(rotateSsh(world.means, {})).rejects.toThrow("is the operator's own. Make a new one");
  });

  it("stops before anything is taken away when the new key gets nobody in, or another key did", async () => {
    const file = ownKey();
    const login = (result: Awaited<ReturnType<typeof world.means.hosts.login>>) => ({ ...world.means, hosts: { ...world.means.hosts, login: async () => result } });
    await expect(rotateSsh(login({ accepted: false, reason: "Permission denied" }), given(file))).rejects.toThrow("does not let the new key in: Permission denied. The old one still works");
    expect(world.deployed().authorizedKeys).toHaveLength(3);
    await expect(rotateSsh(login({ accepted: true, fingerprint: "SHA256:other" }), given(file))).rejects.toThrow("let SHA256:other in, and not the new key");
    await abandonSsh(world.means);
    expect(world.deployed().authorizedKeys).toHaveLength(2);
    expect(underway(world.places.state)).toEqual([]);
  });

  it("does not end before the old key is refused", async () => {
    const stuck = { ...world.means, hosts: { ...world.means.hosts, login: async ({ identityFile }: { readonly identityFile?: string | undefined }) => ({ accepted: true as const, fingerprint: fingerprintOf(readFileSync(`${identityFile}.pub`, "utf8")) }) } };
    await expect(rotateSsh(stuck, {})).rejects.toThrow("still lets the old key in");
    expect(existsSync(world.file("ssh_ed25519.previous"))).toBe(true);
    await expect(abandonSsh(world.means)).rejects.toThrow("Go on instead: holdfast rotate ssh -s dev");
    await rotateSsh(world.means, {});
    expect(existsSync(world.file("ssh_ed25519.previous"))).toBe(false);
  });

  it("names a key as OpenSSH does", () => {
    const shown = execFileSync("ssh-keygen", ["-l", "-f", world.file("ssh_ed25519.pub")]).toString();
    expect(shown.split(" ")[1]).toBe(fingerprintOf(readFileSync(world.file("ssh_ed25519.pub"), "utf8")));
  });
});

describe("rotate age", () => {
  it("refuses a recipient of another kind than the environment's others, one in use, and one that another environment has", async () => {
    const hybrid = await newIdentity("hybrid");
    await expect(rotateAge(world.means, { role: "recovery", recipient: hybrid.recipient })).rejects.toThrow("Use one kind for all recipients");
    await expect(rotateAge(world.means, { role: "recovery", recipient: world.deployed().recipients.recovery })).rejects.toThrow("is the recovery recipient already");
    const other = await newIdentity();
    writeFileSync(join(world.places.project, "Pulumi.prod.yaml"), `config:\n  holdfast:recipients:\n    wallet: ${other.recipient}\n`);
    await expect(rotateAge(world.means, { role: "recovery", recipient: other.recipient })).rejects.toThrow("belongs to environment prod");
    expect(underway(world.places.state)).toEqual([]);
  });

  it("takes an identity that was made elsewhere, and for the environment wants it at hand", async () => {
    const pair = await newIdentity();
    const file = join(world.places.project, "elsewhere.age-key");
    await writeIdentity(file, pair, { form: "clear" });
    await expect(rotateAge(world.means, { role: "environment", recipient: pair.recipient })).rejects.toThrow("must be at hand");
    await rotateAge(world.means, { role: "environment", newIdentity: file });
    expect(world.deployed().recipients.environment).toBe(pair.recipient);
  });

  it("seals for a wallet that is elsewhere, and keeps what nobody could try", async () => {
    const pair = await newIdentity();
    await rotateAge(world.means, { role: "wallet", recipient: pair.recipient });
    expect(world.deployed().recipients.wallet).toBe(pair.recipient);
    expect(existsSync(join(world.places.project, "seed.json.previous"))).toBe(true);
    expect(existsSync(world.file("wallet.age-key"))).toBe(false);
    expect(world.said.join("\n")).toContain("so nobody has tried it. Keep ");
    expect(audit().filter((line) => line.startsWith("identity-resealed"))).toEqual(["lnd-seed", "nsec"].flatMap((kind) => [`identity-resealed alice-1 ${kind} begun`, `identity-resealed alice-1 ${kind} done`]));
  });

  it("changes no file when the old wallet identity is another, and can be given up", async () => {
    const file = join(world.places.project, "wrong.age-key");
    await writeIdentity(file, await newIdentity(), { form: "clear" });
    const before = readFileSync(join(world.places.project, "seed.json"), "utf8");
    await expect(rotateAge(world.means, { role: "wallet", oldIdentity: file })).rejects.toThrow("does not open");
    expect(readFileSync(join(world.places.project, "seed.json"), "utf8")).toBe(before);
    await abandonAge(world.means, "wallet");
    expect([underway(world.places.state), existsSync(world.file("wallet.age-key.next"))]).toEqual([[], false]);
  });

  it("says that a new escrow is due after the recovery identity", async () => {
    await rotateAge(world.means, { role: "recovery" });
    expect(world.said.at(-1)).toContain("A new escrow is due: holdfast escrow create -s dev");
  });
});

describe("a setting", () => {
  it("changes where it stands, with the comments around it, in the stack file or in the file that stands for it", () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-settings-"));
    const places = placesOf(folder, "dev");
    const stack = join(folder, "Pulumi.dev.yaml");
    writeFileSync(stack, "# first\nconfig:\n  holdfast:access:\n    authorizedKeys:\n      - ssh-ed25519 A one # Anna's\n      - ssh-ed25519 B two\n  holdfast:recipients:\n    file: r.json\n");
    writeFileSync(join(folder, "r.json"), '{"environment":"age1a","wallet":"age1w"}');
    writeSetting(places, ["access", "authorizedKeys"], ["ssh-ed25519 A one", "ssh-ed25519 C three"]);
    expect(readFileSync(stack, "utf8")).toBe("# first\nconfig:\n  holdfast:access:\n    authorizedKeys:\n      - ssh-ed25519 A one # Anna's\n      - ssh-ed25519 C three\n  holdfast:recipients:\n    file: r.json\n");
    writeSetting(places, ["recipients", "wallet"], "age1v");
    writeSetting(places, ["access", "identityFile"], "~/.ssh/id");
    writeFileSync(stack, readFileSync(stack, "utf8").replace("~/.ssh/id", "~/.ssh/id     # Anna's"));
    writeSetting(places, ["access", "identityFile"], "a key");
    expect(readFileSync(stack, "utf8")).toContain('identityFile: "a key"     # Anna\'s\n');
    expect(JSON.parse(readFileSync(join(folder, "r.json"), "utf8"))).toEqual({ environment: "age1a", wallet: "age1v" });
    expect([readSetting(places, ["recipients", "wallet"]), readSetting(places, ["recipients"]), readSetting(places, ["nothing", "here"])]).toEqual(["age1v", { environment: "age1a", wallet: "age1v" }, undefined]);
    rmSync(folder, { recursive: true });
  });
});

describe("what hosts say", () => {
  it("tells which of the units there are, and how each is", () => {
    expect(unitsCommand(["lnd.service", "a@b.service"])).toBe("systemctl show --property=Id,LoadState,ActiveState,InvocationID -- lnd.service a@b.service");
    expect(() => unitsCommand(["x; rm"])).toThrow();
    expect(unitStates("Id=lnd.service\nLoadState=loaded\nActiveState=active\nInvocationID=ab\n\nId=electrs.service\nLoadState=not-found\nActiveState=inactive\n")).toEqual({ "lnd.service": { active: "active", invocation: "ab" } });
  });

  it("tells which key got in", () => {
    const lines = "OpenSSH_9.2p1\ndebug1: Offering public key: /k ED25519 SHA256:aaa explicit\ndebug1: Server accepts key: /k ED25519 SHA256:abc+/ explicit\ndebug1: Sending command: true\n";
    expect(loginResult(0, lines)).toEqual({ accepted: true, fingerprint: "SHA256:abc+/" });
    expect(loginResult(255, "debug1: x\nroot@10.0.0.1: Permission denied (publickey).\n")).toEqual({ accepted: false, reason: "root@10.0.0.1: Permission denied (publickey)." });
    expect(loginResult(undefined, "")).toMatchObject({ accepted: false });
  });

  it("are asked with the new key alone, over a connection of its own", () => {
    const argv = loginArguments({ user: "root", address: "10.0.0.1", port: 22, hostKey: "ssh-ed25519 AAAA", identityFile: "/k.next" }).join(" ");
    expect(argv).toMatch(/^-v -o BatchMode=yes -o PreferredAuthentications=publickey -o ControlPath=none .*-o StrictHostKeyChecking=yes .*-o IdentitiesOnly=yes -i \/k\.next -p 22 root@10\.0\.0\.1 -- true$/);
  });
});

describe("a state's salt", () => {
  // Made by Pulumi 3.250.0 itself: stack init with the passphrase "correct horse".
  const salt = "v1:DjRsldTGzwo=:v1:B1JNicSoddf4yil+:vXAC9/ClXgKzGdCq+cSoUovikZ1OFw==";
  it("tells its own passphrase from any other", () => {
    expect(opensSalt(salt, "correct horse")).toBe(true);
    expect(opensSalt(salt, "correct horsf")).toBe(false);
    expect(() => opensSalt("v2:x", "correct horse")).toThrow("does not know");
  });
  it("is in what Pulumi exports, once there is a state", () => {
    expect(saltIn(JSON.stringify({ deployment: { secrets_providers: { type: "passphrase", state: { salt } } } }))).toBe(salt);
    expect(saltIn(JSON.stringify({ deployment: {} }))).toBeUndefined();
  });
});

describe("the age of keys", () => {
  it("is known for every key that can be rotated, from the records alone", async () => {
    await rotateSecrets(world.means, { id: "lnd-tls-key" });
    world.phoneComes = false;
    await expect(rotatePeer(world.means, { peer: "phone", within: 0 })).rejects.toThrow();
    const ages = keyAges(world.places);
    expect(ages.filter(({ fixed }) => !fixed).map(({ key, version }) => (version === undefined ? key : `${key} ${version}`))).toEqual([
      "age environment", "age recovery", "age wallet", "passphrase", "ssh",
      "secret bitcoin-rpc-password 1", "secret bitcoin-rpc-password-public 1", "secret lnd-tls-key 2", "secret wireguard-node 1", "secret bunker-admin-key 1", "wireguard phone 1", "wireguard laptop 1",
    ]);
    expect(ages.find(({ key }) => key === "secret lnd-tls-key")).toEqual({ key: "secret lnd-tls-key", node: "alice", version: 2, made: expect.any(String) as string });
    expect(ages.find(({ key }) => key === "wireguard phone")).toMatchObject({ waiting: true });
    expect(ageText({ made: "2026-11-20T10:00:00.000Z" }, new Date("2026-11-21T12:00:00Z"))).toBe("1 day");
    expect([ageText({}, new Date()), ageText({ made: new Date().toISOString() }, new Date()), ageText({ made: "2026-01-01T00:00:00Z" }, new Date("2026-01-31T00:00:00Z"))]).toEqual(["unknown", "today", "30 days"]);
  });
});
