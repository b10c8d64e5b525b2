import { beforeAll, describe, expect, it } from "vitest";
import { newIdentity, openText, sealText } from "../../../../custody/seal.js";
import { makeFileIdentity, makeSeed } from "../../../../custody/wallet/make.js";
import { admissionOf, openIdentities, type Open } from "../../../../custody/wallet/open.js";
import { admissionSchema, type FileIdentity, type IdentityFile } from "../../../../formats/identity.js";

let wallet: { readonly identity: string; readonly recipient: string };
let open: Open;
let seed: IdentityFile;
let nsec: FileIdentity;
let onion: FileIdentity;
beforeAll(async () => {
  wallet = await newIdentity();
  open = (sealed) => openText(sealed, wallet.identity);
  const owner = { environment: "dev", network: "regtest" as const, node: "alice", recipient: wallet.recipient };
  seed = await makeSeed(owner, new Date());
  nsec = await makeFileIdentity(owner, { kind: "nsec", name: "main" }, new Date());
  onion = await makeFileIdentity(owner, { kind: "onion-key", name: "rest" }, new Date());
});

/** An identity whose inside was changed by somebody who knows the wallet recipient. */
async function tampered<T extends IdentityFile | FileIdentity>(identity: T, change: Record<string, unknown>): Promise<T> {
  const inside = JSON.parse(await open(identity.sealed)) as Record<string, unknown>;
  return { ...identity, sealed: await sealText(JSON.stringify({ ...inside, ...change }), wallet.recipient) };
}

describe("a node's identities", () => {
  it("become one admission for one place, with every file's bytes", async () => {
    const place = { environment: "dev", network: "regtest" as const, node: "alice", generation: 3 };
    const opened = await openIdentities(seed, [nsec, onion], open);
    const admission = admissionSchema.parse(admissionOf(opened, place, new Date("2026-11-21T00:00:00Z")));
    expect(admission).toMatchObject({ place, nodePublicKey: seed.nodePublicKey, sealedAt: "2026-11-21T00:00:00.000Z" });
    expect(admission.files.map(({ kind, name, publicIdentity }) => [kind, name, publicIdentity])).toEqual([["nsec", "main", nsec.publicIdentity], ["onion-key", "rest", onion.publicIdentity]]);
    expect(Buffer.from(admission.files[0]!.secret, "base64").toString()).toMatch(/^nsec1/);
  });

  it("do not open with another identity, and the error says for whom they are sealed", async () => {
    const other = await newIdentity();
    await expect(openIdentities(seed, [], (sealed) => openText(sealed, other.identity))).rejects.toThrow(/^The lnd-seed of dev\/alice does not open: .* It is sealed for age1/);
  });

  it.each([
    ["another environment's", { environment: "prod" }, "was made for environment prod, not for dev"],
    ["another network's", { network: "signet" }, "was made for network signet, not for regtest"],
    ["another node's", { node: "bob" }, "was made for node bob, not for alice"],
  ])("are refused when one is %s inside", async (_, change, words) => {
    await expect(openIdentities(await tampered(seed, change), [], open)).rejects.toThrow(words);
    await expect(openIdentities(seed, [await tampered(nsec, change)], open)).rejects.toThrow(words);
  });

  it("are refused when one is not what it says in public, without a word of what it is", async () => {
    const other = await makeSeed({ environment: "dev", network: "regtest", node: "alice", recipient: wallet.recipient }, new Date());
    const swapped = { ...seed, sealed: other.sealed };
    await expect(openIdentities(swapped, [], open)).rejects.toThrow(`names ${seed.nodePublicKey}, and what is inside makes ${other.nodePublicKey}`);
    const { secret } = JSON.parse(await open((await makeFileIdentity(other, { kind: "nsec", name: "main" }, new Date())).sealed)) as { secret: string };
    const changed = openIdentities(seed, [await tampered(nsec, { secret })], open);
    await expect(changed).rejects.toThrow(`names ${nsec.publicIdentity}, and what is inside makes`);
    await expect(changed).rejects.not.toThrow(Buffer.from(secret, "base64").toString().trim());
    await expect(openIdentities(seed, [{ ...onion, name: "other" }], open)).rejects.toThrow("holds onion-key rest");
  });
});
