"""An import whose process is killed in the middle, applied and undone: nothing is lost and nothing done twice."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator
from uuid import UUID

import grpc
import pytest

from libs.client.internal import Internal
from libs.common.ids import new_id
from libs.testing.fixtures import Servers
from omnijourney.points.v1 import points_import_pb2 as messages
from omnijourney.points.v1 import points_service_pb2 as pb
from omnijourney.points.v1 import points_service_pb2_grpc
from tests.integration.points.conftest import TIMEOUT_S, Beside, Neighboured
from tests.integration.points.processes import Process
from tests.integration.points.test_imports import ended, opened, upload

ROWS = 1_200
"""Three chunks."""
PEOPLE = 7
POINTS = ("points.before_commit", "points.before_chunk_commit", "points.after_chunk")
"""Each is reached once by each chunk, and kills the process the first time."""


def points_of(row: int) -> int | None:
    """What a row changes, None for one that says nothing valid; the first and the last ones only add, so that all
    are applied and all can be undone."""
    if row % 11 == 0:
        return None
    return -2 if row % 5 == 0 and 100 <= row < ROWS - 200 else 3


def the_file() -> bytes:
    lines = (f"M-{row % PEOPLE},{'x' if points_of(row) is None else points_of(row)}\n" for row in range(ROWS))
    return ("Member ID,Point Balance\n" + "".join(lines)).encode()


@contextlib.asynccontextmanager
async def mortal(servers: Servers, beside: Beside) -> AsyncIterator[tuple[Process, Neighboured]]:
    """Points as a process that dies at the first crash point, and nobody else who could go on with an import."""
    async with (
        Process.started(
            servers,
            beside.database,
            segment_target=beside.segment_target,
            crash_points=f"{POINTS[0]}:1:1",
        ) as process,
        servers.channel(process.port) as channel,
    ):
        stub = points_service_pb2_grpc.PointsServiceStub(channel)
        yield process, await beside.neighboured(f"127.0.0.1:{process.port}", stub, Internal(channel))


async def up(points: Neighboured) -> None:
    """Returns when the process serves."""
    request = pb.ListImportsRequest(team_id=str(points.team_id))
    await points.stub.ListImports(request, timeout=TIMEOUT_S, wait_for_ready=True)


async def through_deaths(process: Process, points: Neighboured) -> None:
    """Lets the process die at each point in turn; in the end it runs with none armed."""
    for armed in (*(f"{point}:1:1" for point in POINTS[1:]), ""):
        assert await process.running.wait() == -signal.SIGKILL
        process.crash_points = armed
        await process.start()
    await up(points)


async def figures(points: Neighboured, people: list[UUID]) -> list[tuple[int, int]]:
    return [await points.balance(who) for who in people]


@pytest.mark.rule("P-07b", "P-10b")
async def test_an_import_and_its_undo_survive_a_kill_at_every_point(servers: Servers, beside: Beside) -> None:
    async with mortal(servers, beside) as (process, points):
        people = [await points.customer(member_id=f"M-{number}") for number in range(PEOPLE)]
        await up(points)
        made = await opened(points, the_file())
        await upload(points, made.points_import_id, the_file())
        ids = {"team_id": str(points.team_id), "points_import_id": made.points_import_id}
        # It may die before it has answered; the wish is committed then all the same.
        with contextlib.suppress(grpc.aio.AioRpcError):
            await points.stub.ExecuteImport(
                pb.ExecuteImportRequest(request_id=str(new_id()), **ids), timeout=TIMEOUT_S
            )
        await through_deaths(process, points)
        done = await ended(points, made.points_import_id, messages.IMPORT_STATE_DONE)
        valid = [row for row in range(ROWS) if points_of(row) is not None]
        assert (done.counts.applied, done.counts.invalid) == (len(valid), ROWS - len(valid))
        changes = [[points_of(row) or 0 for row in valid if row % PEOPLE == n] for n in range(PEOPLE)]
        added = [sum(each for each in mine if each > 0) for mine in changes]
        assert await figures(points, people) == list(zip(map(sum, changes), added, strict=True))
        findings, summary = await points.check()
        assert (findings, summary.entries) == ([], len(valid))

        process.crash_points = f"{POINTS[0]}:1:1"
        await process.restart(signal.SIGTERM)
        await up(points)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await points.stub.UndoImport(
                pb.UndoImportRequest(request_id=str(new_id()), **ids), timeout=TIMEOUT_S
            )
        await through_deaths(process, points)
        undone = await ended(points, made.points_import_id, messages.IMPORT_STATE_UNDONE)
        assert (undone.counts.undone, undone.counts.not_undone) == (len(valid), 0)
        assert await figures(points, people) == [(0, 0)] * PEOPLE
        findings, summary = await points.check()
        assert (findings, summary.entries) == ([], 2 * len(valid))
