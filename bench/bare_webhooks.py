"""The floor of webhooks in: an aiohttp handler that commits the body that it is sent, by itself, and answers.

Run as a process of its own, `python -m bench.bare_webhooks DSN PORT`; it makes its table anew.
"""

import asyncio
import sys
from typing import Any, Final

import asyncpg
from aiohttp import web

POOL: Final = 8
"""As many connections as a service has."""
_TABLE: Final = """
DROP SCHEMA IF EXISTS bare CASCADE;
CREATE SCHEMA bare;
CREATE TABLE bare.webhook (id text PRIMARY KEY, body bytea NOT NULL, at timestamptz NOT NULL DEFAULT now());
"""
_STORE: Final = "INSERT INTO bare.webhook (id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING"


async def main(dsn: str, port: int) -> None:
    """Serves until it is ended."""
    pool = await asyncpg.create_pool(dsn, min_size=POOL, max_size=POOL)
    await pool.execute(_TABLE)

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        await pool.execute(_STORE, request.headers["webhook-id"], body)
        return web.json_response({"results": []}, status=202)

    app = web.Application()
    app.router.add_post("/events", take)
    runner: Any = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
