"""import: contacts from a file beside such people told by `RecordEvents`; killed twice, and looked at afterwards.

Lines bring what a shop knows of a person on WhatsApp: member id, name, phone. One in FAULTY is broken. What came out is
compared with the file, row by row where there is a row: a kill must not be seen in it.
"""

import asyncio
import contextlib
import csv
import hashlib
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import grpc
import msgspec

from bench.field import CALL_TIMEOUT_S, PATIENCE_S, BenchFault, Field
from bench.measure import chunks
from bench.team import BenchTeam, call, spread
from bench.usage import memory_bytes
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1.channel_pb2 import CHANNEL_WHATSAPP
from omnijourney.segment.v1 import customer_pb2, event_pb2
from omnijourney.segment.v1 import operation_pb2 as messages
from omnijourney.segment.v1 import segment_service_pb2 as pb

FAULTY: Final = 10_000
_KILLED_AT: Final = (1 / 3, 2 / 3)
"""Of the lines."""
_EVENTS: Final = 10_000
"""People told by events, before the import and again after it."""
_BATCH: Final = 500
_CALLERS: Final = 2
_PART: Final = 3_000_000
_LOOK_S: Final = 1.0
_HEADING: Final = "Member ID,Name,Phone"
_CAME_OUT: Final = """
SELECT (SELECT count(*) FROM segment.customer WHERE team_id = $1 AND member_id LIKE 'I%') AS customers,
       (SELECT count(*) FROM segment.identity AS i JOIN segment.customer AS c USING (team_id, customer_id)
         WHERE i.team_id = $1 AND c.member_id LIKE 'I%') AS identities,
       (SELECT count(*) FROM segment.fact AS f JOIN segment.customer AS c USING (team_id, customer_id)
         WHERE f.team_id = $1 AND c.member_id LIKE 'I%') AS facts,
       (SELECT max(c.mail_number) FROM segment.customer AS c WHERE c.team_id = $1 AND c.member_id LIKE 'I%') AS mails
"""


class Stretch(msgspec.Struct, frozen=True):
    """A tenth of the lines."""

    lines: int
    """Done at its end."""
    per_s: float
    memory_mb: float
    """Of segment, the most in it."""


class Imported(msgspec.Struct, frozen=True):
    """One import. Rates count from the first byte of the upload, kills and restarts included."""

    lines: int
    faulty: int
    kills: int
    file_mb: float
    seconds: float
    per_s: float
    stretches: list[Stretch]
    events_per_s: float

    @property
    def share(self) -> float:
        """Of the rate of events."""
        return self.per_s / self.events_per_s


async def imports(field: Field, count: int) -> Imported:
    """Imports `count` lines."""
    await field.clock.set(1.0)
    team = BenchTeam(field)
    await team.create()
    path = field.installation.data_dir / "people.csv"
    size, digest = await asyncio.to_thread(_write, path, count)
    before = await _events(field, team, "before")
    began = time.monotonic()
    found = await _upload(field, team, path, size, digest)
    kills, stretches = await _follow(field, team, found.contact_import_id, count)
    seconds = time.monotonic() - began
    await _check(field, team, found.contact_import_id, count)
    after = await _events(field, team, "after")
    return Imported(
        count,
        count // FAULTY,
        kills,
        size / 1e6,
        seconds,
        count / seconds,
        stretches,
        statistics.mean((before, after)),
    )


def _write(path: Path, count: int) -> tuple[int, bytes]:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(_HEADING + "\n")
        for number in range(1, count + 1):
            phone = "12" if number % FAULTY == 0 else f"09{number:08d}"
            file.write(f"I{number},Person {number},{phone}\n")
    with path.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").digest()
        return written.tell(), digest


async def _upload(
    field: Field, team: BenchTeam, path: Path, size: int, digest: bytes
) -> messages.ContactImport:
    with path.open("rb") as file:
        request = pb.StartContactImportRequest(
            team_id=team.team_id,
            request_id=str(new_id()),
            file_name=path.name,
            channel=CHANNEL_WHATSAPP,
            account_id=team.account_id,
            csv=file.read(_PART),
            file_bytes=size,
            file_sha256=digest,
        )
        found = (await call(field.client.segment.StartContactImport, request)).contact_import
        start = found.uploaded_bytes
        while part := file.read(_PART):
            upload = pb.UploadContactImportPartRequest(
                team_id=team.team_id,
                request_id=str(new_id()),
                contact_import_id=found.contact_import_id,
                start_byte=start,
                csv=part,
            )
            await call(field.client.segment.UploadContactImportPart, upload)
            start += len(part)
    return found


async def _follow(
    field: Field, team: BenchTeam, contact_import_id: str, count: int
) -> tuple[int, list[Stretch]]:
    """Kills segment where it is time to; until the import has ended."""
    request = pb.GetContactImportRequest(team_id=team.team_id, contact_import_id=contact_import_id)
    to_kill = [round(share * count) for share in _KILLED_AT]
    stretches: list[Stretch] = []
    kills, done, memory_mb = 0, 0, 0.0
    began = moved = time.monotonic()
    while True:
        with contextlib.suppress(grpc.aio.AioRpcError):
            found = (
                await field.client.segment.GetContactImport(request, timeout=CALL_TIMEOUT_S)
            ).contact_import
            pid = field.installation.pid_of("segment")
            memory_mb = max(memory_mb, await asyncio.to_thread(memory_bytes, pid) / 1e6)
            if found.operation.done_count > done:
                done, moved = found.operation.done_count, time.monotonic()
            if done >= count * (len(stretches) + 1) / 10 or found.operation.state in _ENDED:
                lines = done - (stretches[-1].lines if stretches else 0)
                stretches.append(Stretch(done, lines / (time.monotonic() - began), memory_mb))
                began, memory_mb = time.monotonic(), 0.0
            if found.operation.state in _ENDED:
                if found.operation.state != operation_pb2.OPERATION_STATE_SUCCEEDED:
                    raise BenchFault(f"the import failed: {found.operation.error.message}")
                return kills, stretches
            if to_kill and done >= to_kill[0]:
                to_kill.pop(0)
                kills += 1
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() - moved > PATIENCE_S:
            raise BenchFault(f"the import stands at {done} of {count} lines")
        await asyncio.sleep(_LOOK_S)


_ENDED: Final = frozenset(
    {
        operation_pb2.OPERATION_STATE_SUCCEEDED,
        operation_pb2.OPERATION_STATE_FAILED,
        operation_pb2.OPERATION_STATE_CANCELLED,
    }
)


async def _check(field: Field, team: BenchTeam, contact_import_id: str, count: int) -> None:
    """What the file says is there once, and its faulty lines are in the report."""
    sound = count - count // FAULTY
    row = await field.admin.fetchrow(_CAME_OUT, UUID(team.team_id))
    assert row is not None, "sums are always there"
    expected = {"customers": sound, "identities": sound, "facts": 2 * sound, "mails": 1}
    if dict(row) != expected:
        raise BenchFault(f"{dict(row)} came out, {expected} is what the file says")
    lines = [int(row["Import Line"]) async for row in _report(field, team, contact_import_id)]
    if lines != [number + 1 for number in range(FAULTY, count + 1, FAULTY)]:
        raise BenchFault(f"the report has other lines than those that are broken: {lines[:5]} …")


async def _report(field: Field, team: BenchTeam, contact_import_id: str) -> AsyncIterator[dict[str, Any]]:
    request = pb.ExportContactImportReportRequest(team_id=team.team_id, contact_import_id=contact_import_id)
    stream = field.client.segment.ExportContactImportReport(request, timeout=CALL_TIMEOUT_S)
    text = b"".join([piece.csv async for piece in stream]).decode("utf-8-sig")
    for row in csv.DictReader(text.splitlines()):
        yield row


async def _events(field: Field, team: BenchTeam, who: str) -> float:
    """People as in the file, told by events: a second."""
    at = timestamp(field.clock.now())
    shift = 50_000_000 if who == "before" else 70_000_000

    def event(number: int) -> event_pb2.CustomerEvent:
        phone = f"8869{shift + number:08d}"
        joined = event_pb2.CustomerEvent(
            team_id=team.team_id,
            event_key=f"{who}-{number}",
            occur_time=at,
            customer=customer_pb2.CustomerSelector(member_id=f"E-{who}-{number}", phone=f"+{phone}"),
            customer_name=f"Person {number}",
        )
        joined.contact_added.identity.CopyFrom(
            customer_pb2.IdentityKey(channel=CHANNEL_WHATSAPP, account_id=team.account_id, external_id=phone)
        )
        return joined

    batches = [[event(number) for number in part] for part in chunks(range(_EVENTS), _BATCH)]
    began = time.monotonic()
    await spread(batches, team.record, at_once=_CALLERS)
    return _EVENTS / (time.monotonic() - began)
