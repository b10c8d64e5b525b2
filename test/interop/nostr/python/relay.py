"""nostr-sdk's LocalRelay on a loopback port. For tests, never for production."""

import asyncio
import sys

from nostr_sdk import LocalRelayBuilder, RateLimit


async def main():
    relay = LocalRelayBuilder().addr("127.0.0.1").port(int(sys.argv[1])).rate_limit(RateLimit(max_reqs=500, notes_per_minute=1_000_000)).build()
    await relay.run()
    await asyncio.Event().wait()


asyncio.run(main())
