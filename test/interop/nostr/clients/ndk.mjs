// A NIP-46 client of NDK's for tests. Never for production.
import NDK, { NDKEvent, NDKNip46Signer, NDKUser } from "@nostr-dev-kit/ndk";
import { serve } from "./program.mjs";

let ndk;
let signer;

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
