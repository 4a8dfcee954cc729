"""Attaches to a data directory, tells what it got as a line of JSON, stays until its stdin ends or SIGTERM comes."""

import asyncio
import json
import signal
import sys

from libs.embedded import open_attachment


async def main() -> None:
    attachment = await open_attachment(sys.argv[1])
    embedded = attachment.embedded
    pids = {server.name: server.child.pid for server in embedded.servers if server.child} if embedded else {}
    endpoints = attachment.endpoints
    told = {
        "owner": endpoints.owner,
        "postgres_dsn": endpoints.postgres_dsn,
        "redis_url": endpoints.redis_url,
        "token": endpoints.token,
        "pids": pids,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, stop.set)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await attachment.close()


if __name__ == "__main__":
    asyncio.run(main())
