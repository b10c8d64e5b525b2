"""A NIP-46 client of nostr-sdk's for tests: a JSON line in for each request, a JSON line out for each answer. Never for production."""

import asyncio
import datetime
import json
import secrets
import sys
import urllib.parse

from nostr_sdk import Keys, NostrConnect, NostrConnectUri, PublicKey, UnsignedEvent


class Client:
    """Binds when it is first asked for the public key, so that is what `connect` does."""

    def __init__(self):
        self.signer = None
        self.binding = None

    async def connect(self, one):
        timeout = datetime.timedelta(milliseconds=one["deadlineMs"])
        self.signer = NostrConnect(NostrConnectUri.parse(one["uri"]), Keys.parse(one["secretKey"]), timeout, None)
        await self.signer.get_public_key_async()
        return "connected"

    async def offer(self, one):
        keys = Keys.parse(one["secretKey"])
        query = urllib.parse.urlencode({"relay": one["uri"], "secret": secrets.token_hex(16), "metadata": '{"name":"nostr-sdk"}', "name": "nostr-sdk"})
        uri = f"nostrconnect://{keys.public_key().to_hex()}?{query}"
        self.signer = NostrConnect(NostrConnectUri.parse(uri), keys, datetime.timedelta(milliseconds=one["deadlineMs"]), None)
        self.binding = asyncio.create_task(self.signer.get_public_key_async())
        return uri

    async def offered(self, _):
        await self.binding
        return "connected"

    async def get_public_key(self, _):
        return (await self.signer.get_public_key_async()).to_hex()

    async def sign(self, one):
        event = await self.signer.sign_event_async(UnsignedEvent.from_json(json.dumps(one["event"])))
        # libsecp256k1, where the bunker signs with noble.
        if not event.verify():
            raise ValueError("the signature does not verify")
        return json.loads(event.as_json())

    async def encrypt(self, one):
        return await getattr(self.signer, one["scheme"] + "_encrypt_async")(PublicKey.parse(one["with"]), one["text"])

    async def decrypt(self, one):
        return await getattr(self.signer, one["scheme"] + "_decrypt_async")(PublicKey.parse(one["with"]), one["text"])


async def main():
    client = Client()
    while line := await asyncio.to_thread(sys.stdin.readline):
        one = json.loads(line)
        verb = getattr(client, one["verb"], None)
        try:
            answer = {"result": await verb(one)} if verb else {"error": "unsupported: " + one["verb"]}
        except Exception as fault:  # pylint: disable=broad-except
            answer = {"error": str(fault) or type(fault).__name__}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
