import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { execa } from "execa";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { BunkerSigner } from "nostr-tools/nip46";
import { describe, expect, it } from "vitest";
import { connectClient, environmentOf, everything, program, type Home } from "../unit/bunker/program.js";
import { bunkerWorld } from "../unit/bunker/world.js";

const passphrase = "of the commands";
const world = bunkerWorld(passphrase);
const { start } = world;

/** Runs the program with arguments. A failure is an answer too. */
const command = async (argv: readonly string[], input = ""): Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }> => {
  const { exitCode = -1, stdout, stderr } = await execa(process.execPath, [program, ...argv], { input, reject: false, env: environmentOf(world.home), extendEnv: false });
  return { exitCode, stdout, stderr };
};

describe("the bunker's commands", () => {
  it("asks a running bunker, with parameters on stdin, and says what is wrong without quoting them", async () => {
    expect(await command(["call", "ping", "--run", world.home.run])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("No bunker listens") as string });
    await start();
    expect(await command(["call", "ping", "--run", world.home.run])).toEqual({ exitCode: 0, stdout: "ok", stderr: "" });
    const made = await command(["call", "create_new_key", "--run", world.home.run], JSON.stringify(["alice", passphrase]));
    expect(JSON.parse(made.stdout)).toEqual({ npub: expect.stringMatching(/^npub1/) as string });
    expect((await command(["call", "lock", "--run", world.home.run], '["alice"]')).exitCode).toBe(0);
    expect(await command(["call", "unlock_key", "--run", world.home.run], JSON.stringify(["alice", "wrong"]))).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("does not open it") as string });
    expect(await command(["call", "create_new_key", "--run", world.home.run], `["bob", "${passphrase}"`)).toEqual({ exitCode: 1, stdout: "", stderr: 'holdfast-bunker: The parameters on stdin are no JSON. They are a list, such as ["alice", "passphrase"].' });
    expect((await command(["call", "sing", "--run", world.home.run])).stderr).toBe("holdfast-bunker: Unknown method sing");
    expect((await command(["version"])).stdout).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it("backs up a running bunker and a stopped one, and another machine goes on with keys and clients", async () => {
    const age = await generateX25519Identity();
    const [identityFile, backup] = [join(world.home.folder, "age-identity"), join(world.home.folder, "backup.age")];
    writeFileSync(identityFile, `${age}\n`);
    const first = await start();
    await first.call("create_new_policy", [everything]);
    await first.call("create_new_key", ["alice", passphrase]);
    await first.call("create_new_token", ["alice", "phone", "1"]);
    const client = generateSecretKey();
    await (await connectClient(world.relay.url, first, "alice", client)).close();
    const { keys: [{ publicKey }] } = await first.call("status") as { readonly keys: readonly [{ readonly publicKey: string }] };

    expect(await command(["backup", "--recipient", await identityToRecipient(age), backup, "--data", world.home.data, "--run", world.home.run])).toMatchObject({ exitCode: 0 });
    expect(statSync(backup).mode & 0o777).toBe(0o600);
    expect(readFileSync(backup, "latin1")).not.toContain("ncryptsec");
    await first.stop();
    expect(await command(["backup", "--recipient", await identityToRecipient(age), `${backup}.stopped`, "--data", world.home.data, "--run", world.home.run])).toMatchObject({ exitCode: 0 });

    const other: Home = { ...world.home, data: join(world.home.folder, "data2") };
    const restored = await command(["restore", backup, "--identity", identityFile, "--data", other.data]);
    expect(restored, restored.stderr).toMatchObject({ exitCode: 0 });
    expect((await command(["restore", backup, "--identity", identityFile, "--data", world.home.data])).exitCode).toBe(1);
    const second = await start({ at: other });
    expect(second.output()).toMatch(/unlocked 1\/1/);
    const signer = BunkerSigner.fromBunker(client, { pubkey: publicKey, relays: [world.relay.url], secret: null }, {});
    expect(await signer.getPublicKey()).toBe(publicKey);
    await signer.close();
  });

  it("imports nsecbunkerd's keys, by the command and at the start", async () => {
    const secretKey = generateSecretKey();
    const old = join(world.home.folder, "old.json");
    writeFileSync(old, JSON.stringify({ nostr: { relays: [world.relay.url] }, admin: { npubs: [] }, keys: { plain: { key: Buffer.from(secretKey).toString("hex") } } }));
    const imported = await execa(process.execPath, [program, "import", "--config", old, "--data", world.home.data], { env: environmentOf(world.home, { NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: world.home.passphraseFile }), extendEnv: false });
    expect(JSON.parse(imported.stdout)).toMatchObject({ keys: { brought: [expect.stringContaining("plain") as string] } });
    expect(imported.stdout + imported.stderr).not.toContain(Buffer.from(secretKey).toString("hex"));
    const one = await start();
    expect(await one.call("status")).toMatchObject({ keys: [{ name: "plain", publicKey: getPublicKey(secretKey), is: "open" }] });
    await one.stop();

    const another = generateSecretKey();
    const config = JSON.parse(readFileSync(join(world.home.folder, "nsecbunker.json"), "utf8")) as object;
    writeFileSync(join(world.home.folder, "nsecbunker.json"), JSON.stringify({ ...config, keys: { late: { key: Buffer.from(another).toString("hex") } } }));
    const two = await start();
    expect(two.output()).toMatch(/import: key late/);
    expect(two.output()).toMatch(/unlocked 2\/2/);
  });

  it("touches no folder of another user's", async () => {
    const foreign = join(world.home.folder, "foreign");
    mkdirSync(foreign);
    if (process.getuid!() !== 0) return;
    await execa("chown", ["12345", foreign]);
    expect(await command(["import", "--config", join(world.home.folder, "nsecbunker.json"), "--data", foreign])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("belongs to user 12345") as string });
  });
});
