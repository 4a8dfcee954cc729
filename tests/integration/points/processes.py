"""Points as a process that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from libs.embedded.ports import free_port
from libs.testing.fixtures import Database, Servers
from tools.paths import ROOT

_NOWHERE = "127.0.0.1:1"


@dataclass
class Process:
    """One process; it comes back on the same port."""

    servers: Servers
    database: Database
    segment_target: str = _NOWHERE
    crash_points: str = ""
    """For the next start."""
    port: int = 0
    running: asyncio.subprocess.Process = field(init=False)

    @classmethod
    @contextlib.asynccontextmanager
    async def started(
        cls, servers: Servers, database: Database, *, segment_target: str = _NOWHERE, crash_points: str = ""
    ) -> AsyncIterator[Process]:
        """Started, and ended with the context."""
        process = cls(servers, database, segment_target, crash_points, free_port())
        await process.start()
        try:
            yield process
        finally:
            await process.stop(signal.SIGTERM)

    async def start(self) -> None:
        """Starts; it serves some time later."""
        own = {
            "OMNIJOURNEY_POSTGRES_DSN": self.database.dsn_of("points"),
            "OMNIJOURNEY_REDIS_URL": self.servers.redis_url,
            "OMNIJOURNEY_TOKEN": self.servers.token,
            "OMNIJOURNEY_POINTS_PORT": str(self.port),
            "OMNIJOURNEY_POINTS_METRICS_PORT": "0",
            "OMNIJOURNEY_SEGMENT_TARGET": self.segment_target,
            "OMNIJOURNEY_CRASH_POINTS": self.crash_points,
            "OMNIJOURNEY_LOG_LEVEL": "error",
        }
        self.running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.points", cwd=ROOT, env={**os.environ, **own}
        )

    async def stop(self, how: signal.Signals) -> None:
        """Ends it unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self.running.send_signal(how)
        await self.running.wait()

    async def restart(self, how: signal.Signals) -> None:
        """Ends it and starts it again."""
        await self.stop(how)
        await self.start()
