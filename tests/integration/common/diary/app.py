"""The smallest service: it serves the operations and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from libs.common.app import App, runtime
from libs.common.clock import Clock
from libs.common.config import ServiceSettings
from libs.common.rpc.operations import NothingPending, Progress
from libs.embedded import attach


class Settings(ServiceSettings):
    """A diary's."""

    service: ClassVar[str] = "diary"

    worker_fails: bool = False
    """Whether its worker fails soon."""


@asynccontextmanager
async def app(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[App]:
    """The diary, serving."""
    async with runtime(settings, package="tests.integration.common.diary", servers=attach, clock=clock) as rt:

        async def work(stopping: asyncio.Event) -> None:
            if settings.worker_fails:
                await asyncio.sleep(0.1)
                raise ZeroDivisionError
            await stopping.wait()

        rt.spawn("writer", work)
        async with rt.serving(NothingPending(Progress())) as serving:
            yield serving
