// A NIP-46 client of nostr-tools' for tests. Never for production.
import { BunkerSigner, createNostrConnectURI, parseBunkerInput } from "nostr-tools/nip46";
import { getPublicKey } from "nostr-tools/pure";
import { serve } from "./program.mjs";

let signer;
let binding;
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));

await serve({
  connect: async ({ uri, secretKey }) => {
    signer = BunkerSigner.fromBunker(bytes(secretKey), await parseBunkerInput(uri));
    await signer.connect();
    return "connected";
  },
  offer: ({ uri: relay, secretKey, deadlineMs }) => {
    const offered = createNostrConnectURI({ clientPubkey: getPublicKey(bytes(secretKey)), relays: [relay], secret: crypto.randomUUID(), name: "nostr-tools" });
    binding = BunkerSigner.fromURI(bytes(secretKey), offered, {}, deadlineMs);
    // Until somebody asks for it, a failure is nobody's.
    binding.catch(() => undefined);
    return offered;
  },
  offered: async () => {
    signer = await binding;
    return "connected";
  },
  get_public_key: () => signer.getPublicKey(),
  sign: ({ event }) => signer.signEvent(event),
  encrypt: ({ scheme, with: to, text }) => (scheme === "nip04" ? signer.nip04Encrypt(to, text) : signer.nip44Encrypt(to, text)),
  decrypt: ({ scheme, with: from, text }) => (scheme === "nip04" ? signer.nip04Decrypt(from, text) : signer.nip44Decrypt(from, text)),
  ping: async () => {
    await signer.ping();
    return "pong";
  },
  logout: () => signer.logout(),
});
