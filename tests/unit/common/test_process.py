"""Several services in one process: what ends it is what failed first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from libs.common import process
from libs.common.app import App


async def test_a_fault_of_one_that_only_ends_with_the_others_hides_nothing() -> None:
    serving = asyncio.Event()

    @contextlib.asynccontextmanager
    async def first(_: Any) -> AsyncIterator[App]:
        serving.set()
        yield App(0, 0, asyncio.get_running_loop().create_future())
        raise RuntimeError("it cannot even end")

    @contextlib.asynccontextmanager
    async def second(_: Any) -> AsyncIterator[App]:
        await serving.wait()
        raise ConnectionError("its database is away")
        yield

    members: Any = [(SimpleNamespace(service=app.__name__), app) for app in (first, second)]
    with pytest.raises(ConnectionError):
        await process._all_until_stopped(members, asyncio.Event(), asyncio.Event())
