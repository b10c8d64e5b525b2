import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { callMethod } from "../../../bunker/admin/call.js";
import { accept, addPolicy, clientsOf, invite, policyCalled, presets, revoke } from "../../../cli/bunker/grants.js";
import { bunkerNode, bunkerStatusSchema, type AskBunker, type BunkerStatus } from "../../../cli/bunker/host.js";
import { deleteKey, endsWith, rotateKey } from "../../../cli/bunker/keys.js";
import { bunkerLine, clientsText, keysText, policiesText } from "../../../cli/bunker/shown.js";
import { hoursFrom } from "../../../cli/bunker.js";
import { npubOf } from "../../../formats/npub.js";
import type { NodeSpecification } from "../../../config/specification.js";
import { standIn, type StandIn } from "../bunker/admin/standIn.js";

let one: StandIn;
let asked: string[];
/** The bunker's own methods, without the way to them. */
const ask: AskBunker = async (answer, method, params = [], passphrase = "none") => {
  asked.push(method);
  const [name, ...others] = params;
  const done = await callMethod(one.context, method, passphrase === "hosts" ? [name, "the host's", ...others] : params, "operator");
  if (done.is !== "done") throw new Error(done.error);
  return answer.parse(JSON.parse(JSON.stringify(done.result)));
};
const preset = (name: string) => addPolicy(ask, { name, rules: presets[name]!.rules });
/** As the signer does when a client brings the secret. */
function redeem(uri: string, publicKey: string): void {
  const secret = new URL(uri).searchParams.get("secret");
  one.store.tokens.redeem(one.store.tokens.of("shop").find((token) => token.secret === secret)!.id, publicKey, one.time);
}

beforeEach(async () => {
  [one, asked] = [standIn(), []];
  await one.keyring.create("shop", "the host's");
});
afterEach(() => one.remove());

describe("an invitation", () => {
  it("names key, relays and a secret that one client can redeem, for as long as was said", async () => {
    await preset("messages");
    const invitation = await invite(ask, "shop", "wallet server", "messages", 12);
    const uri = new URL(invitation.uri);
    expect([uri.protocol, uri.host || uri.pathname.replaceAll("/", ""), uri.searchParams.getAll("relay")]).toEqual(["bunker:", one.keyring.get("shop")!.publicKey, ["wss://relay.example"]]);
    expect(invitation).toMatchObject({ key: "shop", client: "wallet server", policy: "messages", expiresAt: new Date(one.time + 12 * 3_600_000).toISOString() });
    const again = await invite(ask, "shop", "wallet server", "messages", undefined);
    expect(again.uri).not.toBe(invitation.uri);
    expect(again.expiresAt).toBeNull();
  });

  it("is refused for a key that is locked or not there and under a policy that is not there, with what to do", async () => {
    await expect(invite(ask, "shop", "phone", "messages", undefined)).rejects.toThrow("There is no policy messages. There is none yet: holdfast bunker policy add --preset notes");
    await preset("messages");
    await expect(invite(ask, "blog", "phone", "messages", undefined)).rejects.toThrow("The bunker has no key blog. There are: shop.");
    await expect(invite(ask, "shop", "phone", "notes", undefined)).rejects.toThrow("There is no policy notes. There are: messages.");
    one.keyring.lock("shop");
    await expect(invite(ask, "shop", "phone", "messages", undefined)).rejects.toThrow("holdfast bunker unlock shop");
    expect(one.store.tokens.of("shop")).toEqual([]);
  });

  it("of a client's own making is answered under a policy", async () => {
    await preset("notes");
    const client = getPublicKey(generateSecretKey());
    expect(await accept(ask, "shop", `nostrconnect://${client}?relay=wss://client.example&secret=x`, "notes")).toEqual({ pubkey: client, relays: ["wss://client.example"] });
    expect(one.deeds).toEqual(["connect shop 1"]);
  });
});

describe("a key", () => {
  it("is rotated under the host's passphrase, and tells before what ends with it", async () => {
    await preset("messages");
    const { uri } = await invite(ask, "shop", "phone", "messages", undefined);
    redeem(uri, getPublicKey(generateSecretKey()));
    await invite(ask, "shop", "laptop", "messages", undefined);
    expect(await endsWith(ask, "shop")).toBe("With shop ends the access of 1 clients and 1 invitations.");
    const before = one.keyring.get("shop")!.publicKey;
    expect(await rotateKey(ask, "shop")).toBe(npubOf(one.keyring.get("shop")!.publicKey));
    expect(one.keyring.get("shop")!.publicKey).not.toBe(before);
  });

  it("is deleted by its name, and another one is named in the refusal", async () => {
    await expect(endsWith(ask, "blog")).rejects.toThrow("The bunker has no key blog. There are: shop.");
    await deleteKey(ask, "shop");
    expect(one.keyring.names()).toEqual([]);
  });
});

describe("clients", () => {
  it("are shown with those who are invited, and no secret of an invitation", async () => {
    await preset("messages");
    const [publicKey, { uri }] = [getPublicKey(generateSecretKey()), await invite(ask, "shop", "phone", "messages", undefined)];
    redeem(uri, publicKey);
    const pending = await invite(ask, "shop", "tablet", "messages", 1);
    const found = await clientsOf(ask, "shop");
    expect(found).toMatchObject({ clients: [{ pubkey: publicKey, description: "phone" }], pending: [{ client: "tablet", policy: "messages" }] });
    const secret = new URL(pending.uri).searchParams.get("secret")!;
    expect(JSON.stringify(found) + clientsText(found)).not.toContain(secret);
    expect(clientsText(found).split("\n").map((line) => line.trim())).toEqual([expect.stringMatching(new RegExp(`^1 +phone +${npubOf(publicKey)} +not used yet$`)), expect.stringMatching(/^- +tablet +invited, policy messages +until 2026-11-21/)]);
  });

  it.each<[string, (publicKey: string) => string]>([["name", () => "phone"], ["number", () => "1"], ["npub", npubOf], ["public key in hex", (key) => key.toUpperCase()]])("lose their access by their %s", async (_, who) => {
    await preset("messages");
    const publicKey = getPublicKey(generateSecretKey());
    redeem((await invite(ask, "shop", "phone", "messages", undefined)).uri, publicKey);
    expect(await revoke(ask, "shop", who(publicKey))).toEqual({ clients: [publicKey], invitations: 0 });
    expect(one.store.clients.all()[0]!.revokedAt).toBeDefined();
    await expect(revoke(ask, "shop", who(publicKey))).rejects.toThrow(/No client \S+ has access to shop\. Nobody has\./);
  });

  it("who are only invited lose that, and others are named when nobody is meant", async () => {
    await preset("messages");
    await invite(ask, "shop", "phone", "messages", undefined);
    await expect(revoke(ask, "shop", "laptop")).rejects.toThrow("No client laptop has access to shop. Those who have: phone (invited).");
    expect(await revoke(ask, "shop", "phone")).toEqual({ clients: [], invitations: 1 });
    expect((await clientsOf(ask, "shop")).pending).toEqual([]);
  });
});

describe("policies", () => {
  it.each(Object.keys(presets))("come ready made, and the bunker takes them: %s", async (name) => {
    const policy = await preset(name);
    expect(policy.rules).toHaveLength(presets[name]!.rules.length);
    expect(policiesText([policy])).toMatch(/sign_event/);
    expect(await policyCalled(ask, String(policy.id))).toEqual(policy);
  });

  it("never share a name", async () => {
    await preset("notes");
    await expect(preset("notes")).rejects.toThrow("There is a policy notes already; wants another name.");
  });

  it("hold for a time that people write", () => {
    expect(["30d", "12h", "90m"].map(hoursFrom)).toEqual([720, 12, 1.5]);
    for (const text of ["12", "0h", "h", "1w", "-1h"]) expect(() => hoursFrom(text), text).toThrow(/12h or 30d/);
  });
});

describe("what is shown", () => {
  it("tells keys, which of them somebody has locked, and relays", async () => {
    await one.keyring.create("blog", "the host's");
    await ask(z.array(z.string()), "lock", ["blog"]);
    const status: BunkerStatus = { ...await ask(bunkerStatusSchema, "status"), relays: [{ url: "wss://one", is: "listening" }, { url: "wss://two", is: "waiting", reason: "ECONNREFUSED" }] };
    const text = keysText(status);
    expect(text).toMatch(/wss:\/\/two +.*waiting: ECONNREFUSED/);
    expect(text).toMatch(new RegExp(`shop +${npubOf(one.keyring.get("shop")!.publicKey)} +.*unlocked`));
    expect(text).toMatch(/blog +npub1\w+ +.*locked on purpose/);
    expect(bunkerLine(status)).toContain("1 of 2 keys unlocked (locked: blog), 1 of 2 relays listening");
  });
});

describe("the node that is meant", () => {
  const node = (name: string, having: "bunker" | "none"): NodeSpecification => ({ name, ...(having === "bunker" && { bunker: { relays: ["wss://one"], admins: [] } }) }) as unknown as NodeSpecification;
  it.each<[string, readonly NodeSpecification[], string | undefined, string]>([
    ["nobody has one", [node("alice", "none")], undefined, "No node of stack dev has a bunker. Put bunker among the node's services, with bunker: { relays: [wss://…], admins: [npub1…] } beside them, and raise it: holdfast up -s dev."],
    ["the one that was named has none", [node("alice", "none"), node("bob", "bunker")], "alice", "Node alice has no bunker."],
    ["there is no such node", [node("alice", "bunker")], "carol", "Stack dev has no node carol. It has: alice."],
    ["several have one", [node("alice", "bunker"), node("bob", "bunker")], undefined, "Several nodes have a bunker; name one with --node: alice, bob."],
  ])("is refused in words when %s", (_, nodes, name, words) => {
    expect(() => bunkerNode({ environment: "dev", nodes }, name)).toThrow(words);
  });
  it("is the only one that has a bunker, or the one that was named", () => {
    const nodes = [node("alice", "none"), node("bob", "bunker")];
    expect(bunkerNode({ environment: "dev", nodes }, undefined).name).toBe("bob");
    expect(bunkerNode({ environment: "dev", nodes: [...nodes, node("carol", "bunker")] }, "carol").name).toBe("carol");
  });
});
