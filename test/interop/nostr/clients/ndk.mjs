// A NIP-46 client of NDK's for tests. Never for production.
import { setTimeout as wait } from "node:timers/promises";
import NDK, { NDKEvent, NDKNip46Signer, NDKUser } from "@nostr-dev-kit/ndk";
import { serve } from "./program.mjs";

let ndk;
let signer;
let binding;

const rpc = (method) => new Promise((resolve, reject) => {
  signer.rpc.sendRequest(signer.bunkerPubkey, method, [], 24133, ({ result, error }) => (error ? reject(new Error(error)) : resolve(result)));
});

await serve({
  connect: async ({ uri, secretKey }) => {
    ndk = new NDK({ explicitRelayUrls: new URL(uri).searchParams.getAll("relay") });
    void ndk.connect();
    signer = NDKNip46Signer.bunker(ndk, uri, secretKey);
    await signer.blockUntilReady();
    return "connected";
  },
  offer: async ({ uri: relay, secretKey }) => {
    ndk = new NDK({ explicitRelayUrls: [relay] });
    void ndk.connect();
    signer = NDKNip46Signer.nostrconnect(ndk, relay, secretKey, { name: "NDK" });
    binding = signer.blockUntilReady();
    binding.catch(() => undefined);
    // It shows its offer before it listens; whoever is quick would answer to nobody.
    while (signer.subscription === undefined) await wait(20);
    return signer.nostrConnectUri;
  },
  offered: async () => {
    await binding;
    return "connected";
  },
  // It remembers the key, and so would never ask.
  get_public_key: () => rpc("get_public_key"),
  sign: async ({ event }) => {
    const made = new NDKEvent(ndk, event);
    await made.sign(signer);
    return made.rawEvent();
  },
  encrypt: ({ scheme, with: to, text }) => signer.encrypt(new NDKUser({ pubkey: to }), text, scheme),
  decrypt: ({ scheme, with: from, text }) => signer.decrypt(new NDKUser({ pubkey: from }), text, scheme),
  // It has no words of its own for these.
  ping: () => rpc("ping"),
  logout: () => rpc("logout"),
});
