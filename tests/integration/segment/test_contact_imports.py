"""Contacts imported from files: previewed, uploaded in parts, applied, cancelled, reported, and never twice."""

from __future__ import annotations

import asyncio
import contextlib
import csv as csv_files
import hashlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import pytest

from libs.client.internal import Internal
from libs.common.clock import SteppedClock
from libs.common.ids import new_id
from libs.common.mailbox.mail import ProfileChanged
from libs.common.rpc.errors import remote_error
from libs.embedded.ports import free_port
from libs.testing.clients import make_account
from libs.testing.fixtures import Database, Servers
from omnijourney.common.v1 import (
    channel_pb2,
    error_reason_pb2,
    operation_pb2,
    operations_service_pb2,
    operations_service_pb2_grpc,
)
from omnijourney.points.v1 import points_service_pb2 as points_pb
from omnijourney.points.v1 import points_service_pb2_grpc
from omnijourney.segment.v1 import operation_pb2 as messages
from omnijourney.segment.v1 import segment_service_pb2 as pb
from omnijourney.segment.v1 import segment_service_pb2_grpc
from services.points.app import app as points_app
from services.points.config import Settings as PointsSettings
from services.segment.domain.contact_imports import LINES_MAX, ImportKey
from services.segment.store.contact_imports import ContactImportStore
from services.segment.worker import contact_imports as worker
from tests.integration.segment.conftest import ACCOUNT, START, TIMEOUT_S, Segment
from tools.paths import ROOT

ENDED: Final = frozenset(
    {
        operation_pb2.OPERATION_STATE_SUCCEEDED,
        operation_pb2.OPERATION_STATE_FAILED,
        operation_pb2.OPERATION_STATE_CANCELLED,
    }
)
CHANGES: Final = "name: Ann → Ann Lee; phone: - → +886912345678; tag new; city: - → 1"
NOBODY: Final = "the line names nobody: no member id, phone, e-mail address or id on the channel"
ON_WHATSAPP: Final = {"channel": channel_pb2.CHANNEL_WHATSAPP, "account_id": ACCOUNT}


async def start(segment: Segment, csv: bytes, **fields: Any) -> messages.ContactImport:
    made: messages.ContactImport = (
        await segment.call("StartContactImport", csv=csv, file_name="people.csv", **fields)
    ).contact_import
    return made


async def look(segment: Segment, contact_import_id: str) -> messages.ContactImport:
    found: messages.ContactImport = (
        await segment.call("GetContactImport", contact_import_id=contact_import_id)
    ).contact_import
    return found


async def ended(segment: Segment, contact_import_id: str) -> messages.ContactImport:
    """The import when it has ended; `WaitOperation` of a process that lives through it would do as well."""
    async with asyncio.timeout(4 * TIMEOUT_S):
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                found = await look(segment, contact_import_id)
                if found.operation.state in ENDED:
                    return found
            await asyncio.sleep(0.02)


async def imported(segment: Segment, csv: bytes, **fields: Any) -> messages.ContactImport:
    return await ended(segment, (await start(segment, csv, **fields)).contact_import_id)


async def faults(segment: Segment, found: messages.ContactImport) -> dict[int, str]:
    """What is wrong with lines, all of which failed."""
    page = await segment.call("ListContactImportRows", contact_import_id=found.contact_import_id)
    assert {row.status for row in page.rows} <= {messages.IMPORT_ROW_STATUS_FAILED}
    return {row.line: row.message for row in page.rows}


async def report(segment: Segment, found: messages.ContactImport) -> bytes:
    request = pb.ExportContactImportReportRequest(
        team_id=str(segment.team_id), contact_import_id=found.contact_import_id
    )
    call = segment.stub.ExportContactImportReport(request, timeout=TIMEOUT_S)
    return b"".join([piece.csv async for piece in call])


def csv_lines(text: str) -> list[int]:
    """The lines that a report names."""
    return [int(row["Import Line"]) for row in csv_files.DictReader(text.splitlines())]


async def member(segment: Segment, member_id: str) -> Any:
    return (await segment.call("FindCustomer", selector={"member_id": member_id})).customer


def counts(found: messages.ContactImport) -> tuple[str, int, int, int]:
    state = operation_pb2.OperationState.Name(found.operation.state).removeprefix("OPERATION_STATE_")
    return state, found.applied_count, found.unchanged_count, found.operation.refused_count


@pytest.mark.rule("S-06e")
async def test_a_preview_says_what_columns_are_and_what_lines_would_change(segment: Segment) -> None:
    await segment.define("city", "TEXT")
    known = await segment.create(member_id="M1", name="Ann", tags=["vip"])
    heading = "會員編號;姓名;電話;標籤;city;備註;Level\n"
    lines = "M1;Ann Lee;0912-345-678;VIP、new;台北;x;1\nM2;Bo;;;;;\n;;;;;;x\n"
    csv = (heading + lines).encode("cp950")
    mapping = {
        "columns": [{"heading": "level", "field": "attributes.city"}, {"heading": "CITY", "field": ""}]
    }
    before = await segment.facts()
    shown = await segment.call("PreviewContactImport", csv=csv, mapping=mapping)
    assert [(each.heading, each.field) for each in shown.columns] == [
        ("會員編號", "member_id"),
        ("姓名", "name"),
        ("電話", "phone"),
        ("標籤", "tags"),
        ("city", ""),
        ("備註", ""),
        ("Level", "attributes.city"),
    ]
    assert [(each.line, each.status, each.customer_id, each.message) for each in shown.rows] == [
        (
            2,
            messages.IMPORT_ROW_STATUS_APPLIED,
            known,
            "name: Ann → Ann Lee; phone: - → +886912345678; tag new; city: - → 1",
        ),
        (3, messages.IMPORT_ROW_STATUS_APPLIED, "", "new customer"),
        (
            4,
            messages.IMPORT_ROW_STATUS_FAILED,
            "",
            "the line names nobody: no member id, phone, e-mail address or id on the channel",
        ),
    ]
    assert await segment.facts() == before
    # Another mapping may mend that, so the columns are said all the same.
    unclear = await segment.call("PreviewContactImport", csv=b"Name,Card\nAnn,x\n")
    assert [each.heading for each in unclear.columns] == ["Name", "Card"]
    assert "no column that says whom" in unclear.message
    assert not unclear.rows
    said = {"columns": [{"heading": "Card", "field": "member_id"}]}
    mended = await segment.call("PreviewContactImport", csv=b"Name,Card\nAnn,x\n", mapping=said)
    assert (mended.message, len(mended.rows)) == ("", 1)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await segment.call("StartContactImport", csv=b"Name,Card\nAnn,x\n", file_name="x.csv")
    assert "no column that says whom" in remote_error(refused.value).violations[0].description


@pytest.mark.rule("S-06a", "S-06b", "S-06d")
async def test_a_file_in_parts_is_applied_and_its_report_loaded_again(segment: Segment) -> None:
    await segment.define("birthday", "DATE")
    lines = [f"M{n},Person {n},09{n:08d},new;vip,2001/{n % 12 + 1}/3" for n in range(1_200)]
    lines[700] = 'M700,"never closed,0900000700,,'
    lines[701] = "M701,Cut,8.86912E+11,,"
    lines[702] = "M702,Old,0900000702,,yesterday"
    lines[703] = "M703,Phone,12,,"
    csv = ("\ufeffMember ID,Name,Phone,Tags,birthday\r\n" + "\r\n".join(lines)).encode()
    digest, cut = hashlib.sha256(csv).digest(), 10_001
    made = await start(segment, csv[:cut], file_bytes=len(csv), file_sha256=digest)
    assert (made.uploaded_bytes, made.operation.state) == (cut, operation_pb2.OPERATION_STATE_PENDING)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await part(segment, made, csv, cut + 1, len(csv))
    assert remote_error(refused.value).violations[0].field == "start_byte"
    await part(segment, made, csv, cut - 100, 30_002)  # a repetition that goes on
    await part(segment, made, csv, 0, cut)
    assert (await part(segment, made, csv, 30_002, len(csv))).uploaded_bytes == len(csv)

    done = await ended(segment, made.contact_import_id)
    assert counts(done) == ("SUCCEEDED", 1_196, 0, 4)
    assert (done.operation.done_count, done.operation.total_count) == (1_200, 1_200)
    assert await faults(segment, done) == {
        702: "the line is too long, or a quote in it is not closed",
        703: "phone: a spreadsheet has cut the number 8.86912E+11: make the column text and enter it again",
        704: "attributes[birthday] must be a day such as 2026-01-31",
        705: "phone: is no phone number that can be read",
    }
    found = await member(segment, "m1199")
    assert (found.name, found.phone, list(found.tags)) == ("Person 1199", "+886900001199", ["new", "vip"])
    assert dict(found.attributes) == {"birthday": "2001-12-03"}

    text = (await report(segment, done)).decode("utf-8-sig")
    assert text.splitlines()[0] == "Member ID,Name,Phone,Tags,birthday,Import Line,Import Fault"
    right = (
        text.replace("8.86912E+11", "0900000701")
        .replace("yesterday", "2001-01-31")
        .replace(",12,", ",0900000703,")
    )
    again = await imported(
        segment, right.replace('"M700,""never closed,0900000700,,",,,,', "M700,Closed,0900000700,,").encode()
    )
    assert counts(again) == ("SUCCEEDED", 4, 0, 0)
    assert (await member(segment, "M702")).attributes["birthday"] == "2001-01-31"

    with pytest.raises(grpc.aio.AioRpcError) as repeated:
        await start(segment, csv[:cut], file_bytes=len(csv), file_sha256=digest)
    assert remote_error(repeated.value).reason == "IMPORT_FILE_REPEATED"
    assert remote_error(repeated.value).metadata["import_id"] == made.contact_import_id
    before = len(await segment.facts())
    once_more = await imported(segment, csv[: csv.index(b"M699")], repeat=True)
    assert counts(once_more) == ("SUCCEEDED", 0, 699, 0)
    assert len(await segment.facts()) == before


async def part(segment: Segment, made: messages.ContactImport, csv: bytes, start: int, end: int) -> Any:
    answer = await segment.call(
        "UploadContactImportPart",
        contact_import_id=made.contact_import_id,
        start_byte=start,
        csv=csv[start:end],
    )
    return answer.contact_import


@pytest.mark.rule("S-06a")
async def test_an_import_can_be_cancelled_and_another_file_fails(servers: Servers, segment: Segment) -> None:
    csv = b"Member ID\nM1\n"
    made = await start(segment, csv[:10], file_bytes=len(csv), file_sha256=hashlib.sha256(csv).digest())
    request = operations_service_pb2.CancelOperationRequest(
        team_id=str(segment.team_id), request_id=str(new_id()), operation_id=made.contact_import_id
    )
    async with servers.channel(segment.port) as channel:
        operations = operations_service_pb2_grpc.OperationsServiceStub(channel)
        cancelled = await operations.CancelOperation(request, timeout=TIMEOUT_S)
    assert cancelled.operation.state == operation_pb2.OPERATION_STATE_CANCELLED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await part(segment, made, csv, 10, len(csv))
    assert remote_error(refused.value).reason == "IMPORT_STATE"
    other = await start(segment, csv[:10], file_bytes=len(csv), file_sha256=b"\1" * 32)
    await part(segment, other, csv, 10, len(csv))
    failed = await ended(segment, other.contact_import_id)
    assert counts(failed)[0] == "FAILED"
    assert "SHA-256" in failed.operation.error.message
    listed = await segment.call("ListContactImports", state=operation_pb2.OPERATION_STATE_FAILED)
    assert [each.contact_import_id for each in listed.contact_imports] == [other.contact_import_id]
    assert counts(await imported(segment, csv)) == ("SUCCEEDED", 1, 0, 0)


@pytest.mark.rule("S-06a")
async def test_what_was_applied_before_an_import_is_cancelled_stays_and_nothing_follows(
    servers: Servers, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LINES_OF_A_STEP", 10)
    applied, go_on = asyncio.Event(), asyncio.Event()
    kept_write = worker.ContactImportSteps._write

    async def write(own: Any, found: Any, reading: Any, lines: Any) -> Any:
        if applied.is_set():
            await go_on.wait()
        taken = await kept_write(own, found, reading, lines)
        applied.set()
        return taken

    monkeypatch.setattr(worker.ContactImportSteps, "_write", write)
    made = await start(segment, b"Member ID\n" + b"".join(b"M%d\n" % number for number in range(100)))
    await applied.wait()
    request = operations_service_pb2.CancelOperationRequest(
        team_id=str(segment.team_id), request_id=str(new_id()), operation_id=made.contact_import_id
    )
    async with servers.channel(segment.port) as channel:
        operations = operations_service_pb2_grpc.OperationsServiceStub(channel)
        cancelled = (await operations.CancelOperation(request, timeout=TIMEOUT_S)).operation
    assert (cancelled.state, cancelled.done_count) == (operation_pb2.OPERATION_STATE_CANCELLED, 10)
    go_on.set()
    # Another file is worked after it: whatever was going on has come to its end.
    assert counts(await imported(segment, b"Member ID\nlater\n")) == ("SUCCEEDED", 1, 0, 0)
    there = {each.member_id for each in (await segment.call("ListCustomers", page_size=500)).customers}
    assert there == {*(f"M{number}" for number in range(10)), "later"}
    assert (await look(segment, made.contact_import_id)).operation == cancelled


@pytest.mark.rule("S-01d")
async def test_a_line_with_more_tags_than_its_customer_may_have_is_told(segment: Segment) -> None:
    full = await segment.create(member_id="M1", tags=[f"t{number}" for number in range(500)])
    done = await imported(segment, b"Member ID,Tags\nM1,one more\nM1,t1;t2\nM2,new\n")
    assert counts(done) == ("SUCCEEDED", 1, 1, 1)
    assert "500 tags" in (await faults(segment, done))[2]
    assert len((await segment.customer(full)).tags) == 500


@pytest.mark.rule("S-06d")
async def test_marks_that_nobody_sees_make_no_other_column_or_person(segment: Segment) -> None:
    known = await segment.create(member_id="M-1", email="ann@example.com")
    csv = "\ufeff\u200bMember\u00a0ID,\u2060Email\u200b,Tags\nM\u200b-1,,V\u200bIP\n,<ann@example.com>,vip\n"
    assert counts(await imported(segment, csv.encode())) == ("SUCCEEDED", 1, 1, 0)
    assert list((await segment.customer(known)).tags) == ["VIP"]


@pytest.mark.rule("S-06b")
async def test_lines_of_one_person_are_one_customer_and_other_members_are_refused(segment: Segment) -> None:
    first = await segment.create(member_id="M1", phone="+886912345678", tags=["vip"])
    csv = (
        b"Member ID,Email,Phone,Tags\n,a@x.tw,0912345678,\n,a@x.tw,,VIP\nM2,b@x.tw,,\nM3,b@x.tw,0912345678,\n"
    )
    done = await imported(segment, csv)
    assert counts(done) == ("SUCCEEDED", 3, 1, 0)
    found = await member(segment, "M1")
    assert (found.customer_id, found.email, list(found.tags)) == (first, "a@x.tw", ["vip"])
    kinds = await segment.fact_kinds()
    assert kinds.count("tag_applied") == 1
    assert kinds.count("customer_created") == 3


@pytest.mark.rule("J-26c")
@pytest.mark.parametrize("triggers", [False, True])
async def test_what_is_imported_starts_journeys_only_if_asked_to(
    segment: Segment, database: Database, triggers: bool
) -> None:
    await make_account(database, segment.team_id, ACCOUNT)
    done = await imported(segment, b"Phone,Tags\n0912345678,vip\n", triggers=triggers, **ON_WHATSAPP)
    assert counts(done) == ("SUCCEEDED", 1, 0, 0)
    found = (await segment.call("FindCustomer", selector={"phone": "0912345678"})).customer
    assert [each.key.external_id for each in found.identities] == ["886912345678"]
    mail = await segment.mail(found.customer_id)
    assert len(mail) == 2
    assert [isinstance(each.body, ProfileChanged) for each in mail] == [not triggers] * 2


@pytest.mark.rule("P-10a", "P-10b", "P-10c")
async def test_points_of_contacts_are_posted_once(
    with_points: tuple[Segment, Any], database: Database
) -> None:
    segment, points = with_points
    await make_account(database, segment.team_id, ACCOUNT)
    sample = (await segment.call("GetContactImportSample", channel=channel_pb2.CHANNEL_WHATSAPP)).csv
    assert sample.decode("utf-8-sig").splitlines()[0].endswith(",WhatsApp Number,Point Balance")
    csv = b"Phone,Point Balance\n0912345678,50\n0912345678,-20\n0987654321,-5\n0911111111,0\n0922222222,x\n"
    done = await imported(segment, csv, deduct_cumulative=True, **ON_WHATSAPP)
    assert counts(done) == ("SUCCEEDED", 3, 0, 2)
    assert await faults(segment, done) == {
        4: "Point Balance: 5 points asked, 0 there",
        6: "Point Balance: must be a whole number such as 50 or -50, in plain digits",
    }
    page = await segment.call("ListContactImportRows", contact_import_id=done.contact_import_id)
    assert [row.reason for row in page.rows] == [
        error_reason_pb2.ERROR_REASON_INSUFFICIENT_POINTS,
        error_reason_pb2.ERROR_REASON_INVALID_FIELDS,
    ]
    found = (await segment.call("FindCustomer", selector={"phone": "0912345678"})).customer
    request = points_pb.GetBalanceRequest(team_id=str(segment.team_id), customer_id=found.customer_id)
    balance = await points.GetBalance(request, timeout=TIMEOUT_S)
    assert (balance.balance.balance, balance.balance.cumulative) == (30, 30)
    with pytest.raises(grpc.aio.AioRpcError) as repeated:
        await start(segment, csv, **ON_WHATSAPP)
    assert remote_error(repeated.value).reason == "IMPORT_FILE_REPEATED"


@pytest.mark.rule("S-06c")
async def test_a_file_costs_a_line_the_same_however_long_it_is_and_is_never_held(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte is read three times (for its hash, for its lines, to be applied), each line taken once, and what is
    read and not applied is bounded by the step and not by the file."""
    step, piece, count = 50, 2_048, 1_500
    monkeypatch.setattr(worker, "LINES_OF_A_STEP", step)
    monkeypatch.setattr(worker, "SLICE", piece)
    csv = "Member ID,Name\n" + "".join(f"M{number},Person {number}\n" for number in range(count))
    read: list[int] = []
    steps: list[tuple[int, int]] = []

    async def part_of(store: ContactImportStore, key: ImportKey, start_byte: int, length: int) -> bytes:
        found = await kept_part(store, key, start_byte, length)
        read.append(len(found))
        assert length == piece
        return found

    async def write(own: Any, found: Any, reading: Any, lines: Any) -> Any:
        taken = await kept_write(own, found, reading, lines)
        steps.append((taken[0], len(reading.lines)))
        return taken

    kept_part, kept_write = ContactImportStore.part, worker.ContactImportSteps._write
    monkeypatch.setattr(ContactImportStore, "part", part_of)
    monkeypatch.setattr(worker.ContactImportSteps, "_write", write)
    digest, cut = hashlib.sha256(csv.encode()).digest(), len(csv) // 3
    made = await start(segment, csv[:cut].encode(), file_bytes=len(csv), file_sha256=digest)
    await part(segment, made, csv.encode(), cut, len(csv))
    assert counts(await ended(segment, made.contact_import_id)) == ("SUCCEEDED", count, 0, 0)
    assert [taken for taken, _ in steps] == [step] * (count // step)
    assert max(held for _, held in steps) <= step + piece // len("M0,Person 0\n")
    assert sum(read) == 3 * len(csv) - len("Member ID,Name\n")
    assert LINES_MAX >= 1_000_000


@contextlib.asynccontextmanager
async def mortal(
    servers: Servers, database: Database, port: int, points: str, crash_points: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Segment as a process that dies at crash points."""
    own = {
        "OMNIJOURNEY_POSTGRES_DSN": database.dsn_of("segment"),
        "OMNIJOURNEY_REDIS_URL": servers.redis_url,
        "OMNIJOURNEY_TOKEN": servers.token,
        "OMNIJOURNEY_SEGMENT_PORT": str(port),
        "OMNIJOURNEY_SEGMENT_METRICS_PORT": "0",
        "OMNIJOURNEY_POINTS_TARGET": points,
        "OMNIJOURNEY_CRASH_POINTS": crash_points,
        "OMNIJOURNEY_LOG_LEVEL": "error",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.segment", cwd=ROOT, env={**os.environ, **own}
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


START_S: Final = 120.0
"""How long a process may take to serve on a machine that has much else to do."""
LINES: Final = 1_300
PEOPLE: Final = 900


def line_of(number: int) -> tuple[str, str, int]:
    """Phone, tag and points."""
    return f"+8869{number % PEOPLE:08d}", f"tag {number % 7}", (5, -3, 0, 2)[number % 4]


@pytest.mark.timeout(400)
@pytest.mark.rule("S-06b", "S-06c", "P-10b")
async def test_an_import_that_is_killed_twice_ends_as_if_it_had_never_been(
    servers: Servers, database: Database
) -> None:
    lines = [line_of(number) for number in range(LINES)]
    csv = "Phone,Tags,Point Balance\n" + "".join(f"{phone},{tag},{points}\n" for phone, tag, points in lines)
    port, clock, made = free_port(), SteppedClock(START), None
    async with (
        points_app(servers.settings(PointsSettings, database), clock=clock) as points,
        servers.channel(points.port) as to_points,
        servers.channel(port) as channel,
    ):
        stub = segment_service_pb2_grpc.SegmentServiceStub(channel)
        segment = Segment(stub, None, Internal(channel), clock, "")
        await make_account(database, segment.team_id, ACCOUNT)
        for armed in (
            "segment.before_import_commit:1:1",
            "segment.after_import_step:1:1",
            "segment.after_import_posting:1:1",
            "",
        ):
            async with mortal(servers, database, port, f"127.0.0.1:{points.port}", armed) as process:
                if made is None:
                    await stub.ListTeams(pb.ListTeamsRequest(), timeout=START_S, wait_for_ready=True)
                    await segment.create_team(segment.team_id, modules=[2])
                    made = await start(segment, csv.encode(), **ON_WHATSAPP)
                if armed:
                    assert await process.wait() == -signal.SIGKILL
                    continue
                done = await ended(segment, made.contact_import_id)
                kinds = Counter(await segment.fact_kinds())
                failed = csv_lines((await report(segment, done)).decode("utf-8-sig"))
        balances: Counter[str] = Counter()
        refused: list[int] = []
        for line, (phone, _, change) in enumerate(lines, start=2):
            if balances[phone] + change < 0:
                refused.append(line)
            else:
                balances[phone] += change
        assert failed == refused
        assert (counts(done)[0], done.operation.done_count) == ("SUCCEEDED", LINES)
        assert done.operation.refused_count == len(refused)
        assert (kinds["customer_created"], kinds["contact_added"]) == (PEOPLE, PEOPLE)
        assert kinds["tag_applied"] == len({(phone, tag) for phone, tag, _ in lines})
        ledger = points_service_pb2_grpc.PointsServiceStub(to_points)
        check = points_pb.CheckLedgerRequest(team_id=str(segment.team_id))
        said = [each async for each in ledger.CheckLedger(check, timeout=4 * TIMEOUT_S)]
        assert not [each for each in said if each.HasField("finding")]
        posted = sum(1 for _, _, change in lines if change) - len(refused)
        assert said[-1].summary.entries == posted
