"""The floor of sends: a bare loop that posts bodies to a channel and commits a row for each that was taken.

Run as a process of its own, `python -m bench.bare_sends DSN URL TOKEN`, a body in each line of its input; it makes its
table anew, as the product's with all of its indexes, and prints the seconds that it took.
"""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import asyncpg
import uvloop

AT_ONCE: Final = 256
POOL: Final = 8
"""As many connections as a service has."""
_TABLE: Final = """
DROP SCHEMA IF EXISTS bare CASCADE;
CREATE SCHEMA bare;
CREATE TABLE bare.delivery (LIKE channel_gateway.delivery INCLUDING ALL);
"""
_STORE: Final = """
INSERT INTO bare.delivery (
    team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, state, accepted, reason,
    messages, price_micros, currency, capped, stop_epoch, depth, recipient, parts, parts_sent, message_ids, attempts,
    created_at, settled_at
)
VALUES ($1, $2, $2, $2, $1, 'hello', 1, $1, 1, true, '', 1, 0, '', false, 0, 0, $3, $4, 1, ARRAY[$5], 1, $6, $6)
"""


async def main(lines: Sequence[str], dsn: str, url: str, token: str) -> None:
    """Posts all, and tells how long it took."""
    pool: Any = await asyncpg.create_pool(dsn, min_size=POOL, max_size=POOL)
    await pool.execute(_TABLE)
    team, headers = uuid.uuid4(), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=AT_ONCE)

    bodies = iter(lines)

    async def worker(session: aiohttp.ClientSession) -> None:
        for body in bodies:
            key = uuid.uuid4()
            async with session.post(
                f"{url}/v2/bot/message/push", data=body, headers={**headers, "X-Line-Retry-Key": str(key)}
            ) as answer:
                sent = (await answer.json())["sentMessages"][0]["id"]
            recipient = json.loads(body)["to"]
            await pool.execute(_STORE, team, key, recipient, body.encode(), sent, datetime.now(UTC))

    async with aiohttp.ClientSession(connector=connector) as session:
        began_s = time.perf_counter()
        await asyncio.gather(*(worker(session) for _ in range(AT_ONCE)))
        sys.stdout.write(f"{time.perf_counter() - began_s}\n")


if __name__ == "__main__":
    uvloop.run(main(sys.stdin.read().splitlines(), *sys.argv[1:4]))
