"""Imports from file to ledger and back (P-10)."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceStub
from omnijourney.points.v1 import check_pb2, entry_pb2
from omnijourney.points.v1 import points_import_pb2 as messages
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.domain.model import Posted, Posting
from services.points.store.imports import ImportStore
from services.points.usecases.ledger import Ledger
from services.points.worker.posting import AfterPost
from tests.integration.points import build
from tests.integration.points.conftest import TIMEOUT_S, Neighboured

FAULT = messages.ImportRowFault
APPLIED = messages.IMPORT_ROW_STATUS_APPLIED


async def opened(points: Neighboured, file: bytes, **given: bool) -> messages.PointsImport:
    """An import of a file, not yet uploaded."""
    described = messages.PointsImport(
        file_name="june.csv",
        file_sha256=hashlib.sha256(file).digest(),
        actor="user:1",
        **given,  # type: ignore[arg-type]
    )
    request = pb.CreateImportRequest(
        team_id=str(points.team_id), request_id=str(new_id()), points_import=described
    )
    return (await points.stub.CreateImport(request, timeout=TIMEOUT_S)).points_import


async def upload(
    points: Neighboured, import_id: str, file: bytes, request_id: str = ""
) -> messages.PointsImport:
    async def pieces() -> AsyncIterator[pb.UploadImportFileRequest]:
        yield pb.UploadImportFileRequest(
            team_id=str(points.team_id),
            request_id=request_id or str(new_id()),
            points_import_id=import_id,
            csv=file[:7],
        )
        yield pb.UploadImportFileRequest(csv=file[7:])

    return (await points.stub.UploadImportFile(pieces(), timeout=TIMEOUT_S)).points_import


async def read(points: Neighboured, import_id: str) -> messages.PointsImport:
    request = pb.GetImportRequest(team_id=str(points.team_id), points_import_id=import_id)
    return (await points.stub.GetImport(request, timeout=TIMEOUT_S)).points_import


async def ended(points: Neighboured, import_id: str, state: int) -> messages.PointsImport:
    async with asyncio.timeout(2 * TIMEOUT_S):
        while (found := await read(points, import_id)).state != state:
            await asyncio.sleep(0.01)
    return found


async def execute(points: Neighboured, import_id: str) -> messages.PointsImport:
    request = pb.ExecuteImportRequest(
        team_id=str(points.team_id), request_id=str(new_id()), points_import_id=import_id
    )
    await points.stub.ExecuteImport(request, timeout=TIMEOUT_S)
    return await ended(points, import_id, messages.IMPORT_STATE_DONE)


async def undo(points: Neighboured, import_id: str) -> messages.PointsImport:
    request = pb.UndoImportRequest(
        team_id=str(points.team_id), request_id=str(new_id()), points_import_id=import_id
    )
    await points.stub.UndoImport(request, timeout=TIMEOUT_S)
    return await ended(points, import_id, messages.IMPORT_STATE_UNDONE)


async def preview(points: Neighboured, import_id: str) -> pb.PreviewImportResponse:
    request = pb.PreviewImportRequest(team_id=str(points.team_id), points_import_id=import_id, rows_max=500)
    return await points.stub.PreviewImport(request, timeout=TIMEOUT_S)


async def rows_of(points: Neighboured, import_id: str) -> list[messages.ImportRow]:
    request = pb.ListImportRowsRequest(team_id=str(points.team_id), points_import_id=import_id, page_size=3)
    rows: list[messages.ImportRow] = []
    while True:
        answer = await points.stub.ListImportRows(request, timeout=TIMEOUT_S)
        rows += answer.rows
        request.page_token = answer.next_page_token
        if not request.page_token:
            return rows


def outcomes(rows: Sequence[messages.ImportRow]) -> list[tuple[int, str, str, int, int, int]]:
    return [
        (
            row.input.row_number,
            messages.ImportRowStatus.Name(row.status).removeprefix("IMPORT_ROW_STATUS_"),
            FAULT.Name(row.fault).removeprefix("IMPORT_ROW_FAULT_").replace("UNSPECIFIED", ""),
            row.delta_balance,
            row.delta_cumulative,
            row.cumulative_cut,
        )
        for row in rows
    ]


class People:
    """Customers of the tests."""

    def __init__(self, ann: UUID, bob: UUID, cat: UUID) -> None:
        self.ann, self.bob, self.cat = ann, bob, cat


@pytest.fixture
async def people(neighboured: Neighboured) -> People:
    """Ann is known by member id, Bob by address, Cat by number; Dan is on no WhatsApp; two share a number."""
    points = neighboured
    ann = await points.customer(member_id="M-1", name="Ann")
    bob = await points.customer(email="bob@example.com")
    cat = await points.customer(phone="+85291234567")
    await points.customer(member_id="M-4", whatsapp=False)
    await points.customer(phone="+85290000000")
    await points.customer(phone="+85290000000")
    return People(ann, bob, cat)


FILE = (
    "\ufeffMember ID,Email,Phone,POINT BALANCE\r\n"
    "m-1,,,+50\r\n"  # 2
    ",BOB@example.com,,-20\r\n"  # 3
    ",,+85291234567,-500\r\n"  # 4
    "M-1,,,10.5\r\n"  # 5
    "M-1,,,\r\n"  # 6
    "M-9,,,5\r\n"  # 7
    ",,+85290000000,5\r\n"  # 8
    "M-4,,,5\r\n"  # 9
    ",,,5\r\n"  # 10
    "M-1,,,-60\r\n"  # 11
    "M-1,,,0\r\n"  # 12
    "M-1,,-5\r\n"  # 13
    "M-1,,,-51\r\n"  # 14
).encode()

EXPECTED = [
    (2, "APPLIED", "", 50, 50, 0),
    (3, "APPLIED", "", -20, 0, 0),
    (4, "INSUFFICIENT", "", 0, 0, 0),
    (5, "INVALID", "NOT_A_NUMBER", 0, 0, 0),
    (6, "UNCHANGED", "", 0, 0, 0),
    (7, "INVALID", "NOT_FOUND", 0, 0, 0),
    (8, "INVALID", "AMBIGUOUS", 0, 0, 0),
    (9, "INVALID", "NOT_ON_WHATSAPP", 0, 0, 0),
    (10, "INVALID", "NO_CUSTOMER", 0, 0, 0),
    (11, "APPLIED", "", -60, 0, 0),
    (12, "UNCHANGED", "", 0, 0, 0),
    (13, "INVALID", "MALFORMED", 0, 0, 0),
    (14, "INSUFFICIENT", "", 0, 0, 0),
]


@pytest.mark.rule("P-10a", "P-10b")
async def test_good_rows_are_applied_and_each_other_says_why_not(
    neighboured: Neighboured, people: People
) -> None:
    points, team = neighboured, neighboured.team_id
    await points.post(build.manual(team, people.ann, 60), build.manual(team, people.bob, 30))
    made = await opened(points, FILE)
    uploaded = await upload(points, made.points_import_id, FILE)
    assert (uploaded.counts.total, uploaded.counts.waiting) == (13, 5)
    foretold = await preview(points, made.points_import_id)
    assert sorted(outcomes(foretold.rows)) == EXPECTED
    assert outcomes(foretold.rows)[-1][1] in {"APPLIED", "UNCHANGED"}
    assert await points.balance(people.ann) == (60, 60)
    done = await execute(points, made.points_import_id)
    assert outcomes(await rows_of(points, made.points_import_id)) == EXPECTED
    assert done.counts.delta_balance == foretold.counts.delta_balance == -30
    assert (done.counts.applied, done.counts.unchanged, done.counts.invalid, done.counts.insufficient) == (
        3,
        2,
        6,
        2,
    )
    assert await points.balance(people.ann) == (50, 110)
    assert await points.balance(people.bob) == (10, 30)
    assert await points.balance(people.cat) == (0, 0)
    lines = (await points.stub.ListEntries(pb.ListEntriesRequest(team_id=str(team)), timeout=TIMEOUT_S)).lines
    imported = [line.entry for line in lines if line.entry.source == entry_pb2.ENTRY_SOURCE_IMPORT]
    assert {(entry.source_id, entry.source_name, entry.actor) for entry in imported} == {
        (made.points_import_id, "june.csv", "installation")
    }
    rows = await rows_of(points, made.points_import_id)
    assert [row.repeated_customer for row in rows[:3]] == [True, False, False]
    request = pb.ExportImportReportRequest(team_id=str(team), points_import_id=made.points_import_id)
    pieces = [piece.csv async for piece in points.stub.ExportImportReport(request, timeout=TIMEOUT_S)]
    report = list(csv.DictReader(io.StringIO(b"".join(pieces).decode())))
    assert [(int(row["line"]), row["status"]) for row in report] == [each[:2] for each in EXPECTED]
    assert (report[0]["change"], report[0]["balance_after"], report[0]["point_balance"]) == (
        "50",
        "110",
        "'+50",
    )
    assert report[2]["reason"] == "500 points asked, 0 there"


@pytest.mark.rule("P-10d")
async def test_a_file_that_a_spreadsheet_of_the_country_saved_is_applied(
    neighboured: Neighboured, people: People
) -> None:
    points = neighboured
    file = (
        "會員編號;電子信箱;手機;姓名;點數餘額\r\n"
        'M-1;;="8.86912E+11";陳怡君;50\r\n'
        ";bob@example.com;;王\r\n"
        ";;'+85291234567;林;7;\r\n"
        ";;8.52912E+10;林;9\r\n"
    ).encode("cp950")
    made = await opened(points, file)
    await upload(points, made.points_import_id, file)
    await execute(points, made.points_import_id)
    assert outcomes(await rows_of(points, made.points_import_id)) == [
        (2, "APPLIED", "", 50, 50, 0),
        (3, "UNCHANGED", "", 0, 0, 0),
        (4, "APPLIED", "", 7, 7, 0),
        (5, "INVALID", "MANGLED_NUMBER", 0, 0, 0),
    ]
    assert (await points.balance(people.ann), await points.balance(people.cat)) == ((50, 50), (7, 7))


@pytest.mark.rule("P-10a", "P-04c")
async def test_the_cumulative_is_lowered_only_when_asked_and_cut_at_nothing(
    neighboured: Neighboured, people: People
) -> None:
    points, team = neighboured, neighboured.team_id
    await points.post(
        build.manual(team, people.ann, 100),
        build.manual(team, people.bob, 40),
    )
    file = b"Member ID,Email,Point Balance\nM-1,,-30\n,bob@example.com,-10\n"
    first = await opened(points, file)
    await upload(points, first.points_import_id, file)
    await execute(points, first.points_import_id)
    assert (await points.balance(people.ann), await points.balance(people.bob)) == ((70, 100), (30, 40))
    again = await opened(points, file, repeat=True, deduct_cumulative=True)
    await upload(points, again.points_import_id, file)
    await execute(points, again.points_import_id)
    assert (await points.balance(people.ann), await points.balance(people.bob)) == ((40, 70), (20, 30))


@pytest.mark.rule("P-10b")
async def test_the_same_file_is_refused_a_second_time(neighboured: Neighboured, people: People) -> None:
    points = neighboured
    file = b"Member ID,Point Balance\nM-1,5\n"
    made = await opened(points, file)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await opened(points, file)
    error = remote_error(caught.value)
    assert (error.reason, error.metadata) == ("IMPORT_FILE_REPEATED", {"import_id": made.points_import_id})
    first = await upload(points, made.points_import_id, file, "upload")
    await upload(points, made.points_import_id, file)
    await execute(points, made.points_import_id)
    assert await upload(points, made.points_import_id, file, "upload") == first
    with pytest.raises(grpc.aio.AioRpcError):
        await opened(points, file)
    for call in (
        upload(points, made.points_import_id, file),
        execute(points, made.points_import_id),
        preview(points, made.points_import_id),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert remote_error(caught.value).metadata == {"state": "DONE"}
    assert await points.balance(people.ann) == (5, 5)
    points.clock.advance(build.HOUR)
    cancelled = await opened(points, b"other")
    request = pb.CancelImportRequest(
        team_id=str(points.team_id), request_id="c", points_import_id=cancelled.points_import_id
    )
    answer = await points.stub.CancelImport(request, timeout=TIMEOUT_S)
    assert answer.points_import.state == messages.IMPORT_STATE_CANCELLED
    points.clock.advance(build.HOUR)
    await opened(points, b"other")
    listing = pb.ListImportsRequest(team_id=str(points.team_id), page_size=2)
    page = await points.stub.ListImports(listing, timeout=TIMEOUT_S)
    listing.page_token = page.next_page_token
    rest = await points.stub.ListImports(listing, timeout=TIMEOUT_S)
    assert [each.points_import_id for each in (*page.imports, *rest.imports)][1:] == [
        cancelled.points_import_id,
        made.points_import_id,
    ]


REFUSING = """
CREATE FUNCTION points.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.customer_id = '%s' THEN RAISE EXCEPTION 'a fault of ours'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON points.entry FOR EACH ROW EXECUTE FUNCTION points.refuse();
"""


async def test_a_row_that_the_ledger_cannot_write_is_passed_over(
    neighboured: Neighboured, people: People
) -> None:
    points = neighboured
    file = b"Member ID,Email,Point Balance\nM-1,,50\n,bob@example.com,20\nM-1,,5\n"
    made = await opened(points, file)
    await upload(points, made.points_import_id, file)
    await points.corrupt(REFUSING % people.ann)
    await execute(points, made.points_import_id)
    assert outcomes(await rows_of(points, made.points_import_id)) == [
        (2, "INVALID", "NOT_POSTED", 0, 0, 0),
        (3, "APPLIED", "", 20, 20, 0),
        (4, "INVALID", "NOT_POSTED", 0, 0, 0),
    ]
    assert (await points.balance(people.ann), await points.balance(people.bob)) == ((0, 0), (20, 20))


async def test_an_import_that_cannot_be_worked_on_keeps_no_other_from_its_end(
    neighboured: Neighboured, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = neighboured
    bad, good = (f"Email,Point Balance\nbob@example.com,{n}\n".encode() for n in (5, 7))
    faulty, sound = [await opened(points, file) for file in (bad, good)]
    await upload(points, faulty.points_import_id, bad)
    await upload(points, sound.points_import_id, good)
    real = ImportStore.read

    async def unreadable(self: ImportStore, team_id: UUID, import_id: UUID) -> object:
        if str(import_id) == faulty.points_import_id and asyncio.current_task() in importers:
            raise ValueError("a row that nobody can read")
        return await real(self, team_id, import_id)

    importers = {task for task in asyncio.all_tasks() if "import" in task.get_name()}
    assert importers
    monkeypatch.setattr(ImportStore, "read", unreadable)
    request = pb.ExecuteImportRequest(
        team_id=str(points.team_id), request_id=str(new_id()), points_import_id=faulty.points_import_id
    )
    await points.stub.ExecuteImport(request, timeout=TIMEOUT_S)
    await execute(points, sound.points_import_id)
    assert (await read(points, faulty.points_import_id)).state == messages.IMPORT_STATE_RUNNING
    assert await points.balance(people.bob) == (7, 7)
    monkeypatch.setattr(ImportStore, "read", real)
    await ended(points, faulty.points_import_id, messages.IMPORT_STATE_DONE)


async def test_another_file_than_the_one_announced_is_refused(
    neighboured: Neighboured, people: People
) -> None:
    made = await opened(neighboured, b"Member ID,Point Balance\nM-1,5\n")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await upload(neighboured, made.points_import_id, b"Member ID,Point Balance\nM-1,6\n")
    assert [each.field for each in remote_error(caught.value).violations] == ["csv"]
    assert (await read(neighboured, made.points_import_id)).counts.total == 0


async def test_an_undo_takes_back_what_is_there_and_reports_the_rest(
    neighboured: Neighboured, people: People
) -> None:
    points, team = neighboured, neighboured.team_id
    await points.post(build.manual(team, people.bob, 30))
    file = (
        b"Member ID,Email,Phone,Point Balance\nM-1,,,50\n,bob@example.com,,-20\n,,+85291234567,8\nM-1,,,x\n"
    )
    made = await opened(points, file, deduct_cumulative=True)
    await upload(points, made.points_import_id, file)
    await execute(points, made.points_import_id)
    assert (await points.balance(people.bob), await points.balance(people.cat)) == ((10, 10), (8, 8))
    await points.post(build.coupon(team, people.ann, 1))
    undone = await undo(points, made.points_import_id)
    assert (undone.counts.undone, undone.counts.not_undone, undone.counts.delta_balance) == (2, 1, 50)
    assert await points.balance(people.ann) == (49, 50)
    assert (await points.balance(people.bob), await points.balance(people.cat)) == ((30, 30), (0, 0))
    await opened(points, file)


@pytest.mark.rule("P-10b")
@pytest.mark.parametrize("chunk", [1, 2, 100])
async def test_an_undo_runs_backwards_over_rows_of_one_customer(
    neighboured: Neighboured, people: People, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.points.usecases.imports.CHUNK", chunk)
    file = b"Member ID,Email,Phone,Point Balance\nM-1,,,100\nM-1,,,-100\nM-1,,,7\nM-1,,,-7\n"
    made = await opened(neighboured, file)
    await upload(neighboured, made.points_import_id, file)
    await execute(neighboured, made.points_import_id)
    assert await neighboured.balance(people.ann) == (0, 107)
    undone = await undo(neighboured, made.points_import_id)
    assert (undone.counts.undone, undone.counts.not_undone) == (4, 0)
    assert await neighboured.balance(people.ann) == (0, 0)


@pytest.mark.rule("P-10b")
async def test_a_chunk_of_which_nobody_knows_whether_it_was_written_counts_once(
    neighboured: Neighboured, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = neighboured
    monkeypatch.setattr("services.points.usecases.imports.CHUNK", 10)
    real, calls = Ledger.post_with, 0

    async def cut(self: Ledger, postings: Sequence[Posting], after_post: AfterPost) -> Posted:
        nonlocal calls
        calls += 1
        if calls % 3 == 1:
            raise ConnectionResetError("before the commit")
        posted = await real(self, postings, after_post)
        if calls % 3 == 2:
            raise ConnectionResetError("after the commit")
        return posted

    monkeypatch.setattr(Ledger, "post_with", cut)
    monkeypatch.setattr("libs.common.stepping._RETRY_S", 0.0)
    file = b"Member ID,Point Balance\n" + b"M-1,1\n" * 75
    made = await opened(points, file)
    await upload(points, made.points_import_id, file)
    done = await execute(points, made.points_import_id)
    assert (done.counts.applied, calls >= 12) == (75, True)
    assert await points.balance(people.ann) == (75, 75)


@pytest.mark.rule("C-20d")
async def test_a_row_that_cannot_be_kept_is_malformed_and_refuses_no_other(
    neighboured: Neighboured, people: People
) -> None:
    points = neighboured
    made = await opened(points, b"some cannot be kept")
    row = messages.ImportRowInput
    rows = [
        row(row_number=2, email="a\x00@b.c", points_text="4"),
        row(row_number=3, member_id="\x00"),
        row(row_number=4, points_text="4\x00", customer_id=str(people.ann)),
        row(row_number=5, phone="1" * 321, points_text="4"),
        row(row_number=6, points_text="1" * 101, customer_id=str(people.ann)),
        row(row_number=7, customer_id="nobody", points_text="4"),
        row(row_number=8, customer_id=str(people.ann), points_text="4"),
    ]
    request = pb.AddImportRowsRequest(
        team_id=str(points.team_id), points_import_id=made.points_import_id, rows=rows, request_id="a"
    )
    for request.request_id in ("a", "a", "b"):
        counts = (await points.stub.AddImportRows(request, timeout=TIMEOUT_S)).points_import.counts
        assert (counts.total, counts.waiting, counts.invalid) == (7, 1, 6)
    await execute(points, made.points_import_id)
    assert await points.balance(people.ann) == (4, 4)
    request.request_id = "c"
    request.rows[0].row_number = 0
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await points.stub.AddImportRows(request, timeout=TIMEOUT_S)
    assert [each.field for each in remote_error(caught.value).violations] == ["rows[0].row_number"]


async def test_rows_that_a_caller_splits_are_added_by_line(neighboured: Neighboured, people: People) -> None:
    points = neighboured
    made = await opened(points, b"split elsewhere")
    rows = [
        messages.ImportRowInput(row_number=2, customer_id=str(people.ann), points_text="4"),
        messages.ImportRowInput(row_number=3, customer_id=str(new_id()), points_text="4"),
        messages.ImportRowInput(row_number=4, fault=messages.IMPORT_ROW_FAULT_AMBIGUOUS, points_text="4"),
        messages.ImportRowInput(row_number=5, email="bob@example.com", points_text="6"),
    ]
    request = pb.AddImportRowsRequest(
        team_id=str(points.team_id), points_import_id=made.points_import_id, rows=rows
    )
    for request_id in ("a", "a", "b"):
        request.request_id = request_id
        answer = await points.stub.AddImportRows(request, timeout=TIMEOUT_S)
        assert (answer.points_import.counts.total, answer.points_import.counts.waiting) == (4, 2)
    request.rows[0].points_text = "5"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await points.stub.AddImportRows(request, timeout=TIMEOUT_S)
    assert remote_error(caught.value).reason == "REQUEST_ID_REUSED"
    request.request_id = "c"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await points.stub.AddImportRows(request, timeout=TIMEOUT_S)
    assert [each.field for each in remote_error(caught.value).violations] == ["rows[0].row_number"]
    await execute(points, made.points_import_id)
    assert (await points.balance(people.ann), await points.balance(people.bob)) == ((4, 4), (6, 6))


@pytest.mark.rule("P-10c")
async def test_the_sample_file_can_be_had(neighboured: Neighboured) -> None:
    request = pb.GetImportSampleRequest(team_id=str(neighboured.team_id))
    sample = (await neighboured.stub.GetImportSample(request, timeout=TIMEOUT_S)).csv
    made = await opened(neighboured, sample)
    assert (await upload(neighboured, made.points_import_id, sample)).counts.total == 3
    rows = outcomes(await rows_of(neighboured, made.points_import_id))
    assert [row[1:3] for row in rows] == [("INVALID", "NOT_FOUND")] * 2 + [("UNCHANGED", "")], (
        "of nobody here"
    )


@pytest.mark.parametrize(
    "corrupted",
    [
        "UPDATE points.import_row SET delta_balance = delta_balance + 1 WHERE status = 1",
        "UPDATE points.import_row SET status = 3 WHERE status = 1",
        "UPDATE points.import_row SET sequence = 0 WHERE status = 1",
        "UPDATE points.import_row SET status = 5 WHERE status = 1",
        "UPDATE points.import_row SET status = 0 WHERE status = 1",
        "DELETE FROM points.import_row",
        "UPDATE points.import SET state = 5",
    ],
)
async def test_the_checker_finds_a_row_that_says_something_else_than_the_ledger(
    neighboured: Neighboured, people: People, corrupted: str
) -> None:
    points, file = neighboured, b"Member ID,Point Balance\nM-1,50\nM-1,x\n"
    made = await opened(points, file)
    await upload(points, made.points_import_id, file)
    await execute(points, made.points_import_id)
    await points.corrupt("CREATE TABLE points.kept AS SELECT * FROM points.import_row")
    assert (await points.check())[0] == []
    await points.corrupt(corrupted)
    findings, _ = await points.check()
    assert {finding.invariant for finding in findings} == {check_pb2.INVARIANT_IMPORT_CLOSURE}
    await points.corrupt(
        "DELETE FROM points.import_row; INSERT INTO points.import_row SELECT * FROM points.kept"
    )
    await points.corrupt("UPDATE points.import SET state = 3")


@pytest.mark.rule("X-01d")
async def test_an_import_that_was_executed_is_an_operation_like_any_other(
    neighboured: Neighboured, people: People
) -> None:
    stub = OperationsServiceStub(neighboured.internal.channel)
    file = b"Member ID,Point Balance\nnobody,5\n"
    import_id = (await opened(neighboured, file)).points_import_id
    asked = operations.GetOperationRequest(team_id=str(neighboured.team_id), operation_id=import_id)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetOperation(asked, timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    await upload(neighboured, import_id, file)
    await execute(neighboured, import_id)
    shown = (await stub.GetOperation(asked, timeout=TIMEOUT_S)).operation
    assert (shown.kind, shown.state) == (
        operation_pb2.OPERATION_KIND_POINTS_IMPORT,
        operation_pb2.OPERATION_STATE_SUCCEEDED,
    )
    assert (shown.done_count, shown.total_count, shown.refused_count) == (1, 1, 1)
    cancel = operations.CancelOperationRequest(
        team_id=str(neighboured.team_id), request_id="end it", operation_id=import_id
    )
    left = await stub.CancelOperation(cancel, timeout=TIMEOUT_S)
    assert left.operation == shown
    await undo(neighboured, import_id)
    assert await stub.CancelOperation(cancel, timeout=TIMEOUT_S) == left, "the first answer"
    cancel.operation_id = str(new_id())
    with pytest.raises(grpc.aio.AioRpcError) as reused:
        await stub.CancelOperation(cancel, timeout=TIMEOUT_S)
    assert remote_error(reused.value).reason == "REQUEST_ID_REUSED"
    listing = operations.ListOperationsRequest(team_id=str(neighboured.team_id))
    (undone,) = (await stub.ListOperations(listing, timeout=TIMEOUT_S)).operations
    assert undone.kind == operation_pb2.OPERATION_KIND_POINTS_IMPORT_UNDO
