// NDK's own NIP-46 backend as a program, to measure against: relay and secret key on stdin, everything is allowed. Never for production.
import NDK, { NDKNip46Backend, NDKPrivateKeySigner } from "@nostr-dev-kit/ndk";

const parts = [];
for await (const part of process.stdin) parts.push(part);
const { url, secretKey } = JSON.parse(Buffer.concat(parts).toString("utf8"));

const ndk = new NDK({ explicitRelayUrls: [url] });
await ndk.connect(5000);
await new NDKNip46Backend(ndk, new NDKPrivateKeySigner(secretKey), async () => true, [url]).start();
process.stdout.write("started\n");
