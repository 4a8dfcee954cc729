"""Without the team's module POINTS (P-09): what is refused, what earns nothing, and what goes on."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import grpc
import pytest
from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.ids import new_id
from libs.common.rpc.errors import RemoteError, remote_error
from libs.common.rpc.values import duration
from libs.testing.fixtures import Servers
from omnijourney.common.v1 import money_pb2, operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceStub
from omnijourney.internal.v1 import merges_service_pb2
from omnijourney.points.v1 import coupon_pb2, entry_pb2, posting_pb2
from omnijourney.points.v1 import points_import_pb2 as imports
from omnijourney.points.v1 import points_service_pb2 as pb
from omnijourney.segment.v1 import operation_pb2 as merges
from omnijourney.segment.v1 import team_pb2
from services.points.clients.modules import PointsModule
from tests.integration.points import build
from tests.integration.points.conftest import TIMEOUT_S, Neighboured
from tests.integration.points.test_strangers import client_of

UNIT: Final = 1_000_000
POSTED, REJECTED, SKIPPED, REFUSED = 1, 2, 3, 4
MISSING: Final = posting_pb2.POSTING_REASON_MODULE_MISSING
POINTS: Final = team_pb2.MODULE_POINTS
FILE: Final = b"Member ID,Point Balance\nM-1,5\n"


@dataclass
class Shop:
    """A team that has points, and what it made with them."""

    points: Neighboured
    customer: UUID
    coupon: str
    free_coupon: str
    open_import: str

    def ask(self, name: str, /, **fields: Any) -> Any:
        """A request of the team."""
        form = getattr(pb, f"{name}Request")
        known = form.DESCRIPTOR.fields_by_name
        given = {"team_id": str(self.points.team_id), "request_id": str(new_id())}
        return form(**{key: value for key, value in given.items() if key in known}, **fields)

    async def call(self, name: str, /, **fields: Any) -> Any:
        """The answer to it."""
        return await getattr(self.points.stub, name)(self.ask(name, **fields), timeout=TIMEOUT_S)


def _coupon(cost: int) -> coupon_pb2.Coupon:
    redemption = coupon_pb2.PointsRedemption(cost=cost, insufficient_text="too few") if cost else None
    return coupon_pb2.Coupon(name="Mug", type=coupon_pb2.COUPON_TYPE_MARKETING, points_redemption=redemption)


def _described(file: bytes) -> imports.PointsImport:
    return imports.PointsImport(file_name="june.csv", file_sha256=hashlib.sha256(file).digest())


@pytest.fixture
async def shop(neighboured: Neighboured, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A team with a customer who has 50 points, two coupons and an open import. Settings are read again at once,
    instead of within the seconds that they may be kept."""
    monkeypatch.setattr("libs.common.clients.team_settings.KEPT_S", 0.0)
    made = Shop(neighboured, await neighboured.customer(member_id="M-1"), "", "", "")
    await neighboured.set_formula("10", "1")
    await neighboured.post(build.earn(neighboured.team_id, made.customer, 500 * UNIT))
    made.coupon = (await made.call("CreateCoupon", coupon=_coupon(20))).coupon.coupon_id
    made.free_coupon = (await made.call("CreateCoupon", coupon=_coupon(0))).coupon.coupon_id
    opened = await made.call("CreateImport", points_import=_described(FILE))
    made.open_import = opened.points_import.points_import_id
    return made


def _of_import(name: str) -> Callable[[Shop], Any]:
    return lambda shop: shop.ask(name, points_import_id=shop.open_import)


Requests = Mapping[str, Callable[[Shop], Any]]
ASK: Final[Requests] = {
    "SetEarningFormula": lambda shop: shop.ask("SetEarningFormula", amount="10", points="1"),
    "GetEarningFormula": lambda shop: shop.ask("GetEarningFormula"),
    "QuoteEarning": lambda shop: shop.ask(
        "QuoteEarning", amount=money_pb2.Money(currency_code="HKD", amount_micros=UNIT)
    ),
    "AdjustBalance": lambda shop: shop.ask(
        "AdjustBalance", customer_id=str(shop.customer), points=5, note="a gift"
    ),
    "GetBalance": lambda shop: shop.ask("GetBalance", customer_id=str(shop.customer)),
    "BatchGetBalances": lambda shop: pb.BatchGetBalancesRequest(
        items=[pb.BalanceQuery(team_id=str(shop.points.team_id), customer_id=str(shop.customer))]
    ),
    "GetLedgerSummary": lambda shop: shop.ask("GetLedgerSummary"),
    "ListDailyStatements": lambda shop: shop.ask("ListDailyStatements"),
    "ListEntries": lambda shop: shop.ask("ListEntries"),
    "ExportEntries": lambda shop: shop.ask("ExportEntries"),
    "CreateCoupon": lambda shop: shop.ask("CreateCoupon", coupon=_coupon(10)),
    "UpdateCoupon": lambda shop: shop.ask(
        "UpdateCoupon",
        coupon=coupon_pb2.Coupon(coupon_id=shop.free_coupon, points_redemption=_coupon(7).points_redemption),
    ),
    "ClaimCoupon": lambda shop: shop.ask(
        "ClaimCoupon", coupon_id=shop.coupon, customer_id=str(shop.customer)
    ),
    "CreateImport": lambda shop: shop.ask("CreateImport", points_import=_described(b"another")),
    "UploadImportFile": lambda shop: shop.ask(
        "UploadImportFile", points_import_id=shop.open_import, csv=FILE
    ),
    "AddImportRows": lambda shop: shop.ask(
        "AddImportRows",
        points_import_id=shop.open_import,
        rows=[imports.ImportRowInput(row_number=2, customer_id=str(shop.customer), points_text="5")],
    ),
    **{
        name: _of_import(name)
        for name in (
            "PreviewImport",
            "ExecuteImport",
            "UndoImport",
            "GetImport",
            "ListImportRows",
            "ExportImportReport",
        )
    },
    "ListImports": lambda shop: shop.ask("ListImports"),
    "GetImportSample": lambda shop: shop.ask("GetImportSample"),
}
"""RPCs that ask for POINTS: each with a request that is right with it."""

DO_NOT_ASK: Final = {
    "PointsService/GetPostingOutcome": "by it an order that earned nothing is told why",
    "PointsService/CheckLedger": "an operator's check: the ledger holds whatever teams have",
    "PointsService/ListRowsSetAside": "an operator's: rows of segment's history, no points",
    "PointsService/RetryRowsSetAside": "an operator's: rows of segment's history, no points",
    "PointsService/GetCoupon": "coupons are had without points, too; what one costs is nobody's points",
    "PointsService/ListCoupons": "as GetCoupon",
    "PointsService/ArchiveCoupon": "ends a coupon",
    "PointsService/GetCouponClaim": "a claim that was made is honoured",
    "PointsService/ListCouponClaims": "as GetCouponClaim",
    "PointsService/UseCouponClaim": "a claim that was made is honoured",
    "PointsService/CancelImport": "gives an import up, and changes no points",
    "LedgerService/PostEntries": "each posting is answered by itself, see below",
    "LedgerService/BatchListPointChanges": "journey's simulation of what was",
    "MergesService/TakeMergeStep": "what a customer has goes with them",
    "PersonsService/ErasePerson": "what is held of a person is erased whatever the team has",
    "PersonsService/ReadPerson": "what is held of a person is told whatever the team has",
    "HistoryService/ListHistory": "what was posted, for our own services",
    "FollowersService/GetTaken": "how far segment's history was followed, no points",
    "OperationsService/ListOperations": "how far work is, no points",
    "OperationsService/GetOperation": "how far work is, no points",
    "OperationsService/WaitOperation": "how far work is, no points",
    "OperationsService/CancelOperation": "ends work",
    "OperationsService/PauseOperation": "holds work",
    "OperationsService/ResumeOperation": "goes on with work that was begun",
}
"""RPCs that do not ask, and why."""
_OF_NO_TEAM: Final = {"omnijourney.common.v1.InstallationService"}


async def served(servers: Servers, target: str) -> set[str]:
    """RPCs of our own that a service serves, as `Service/Method`."""

    async def asked() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async with servers.channel(int(target.rpartition(":")[2])) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]  # untyped
        async for answer in stub.ServerReflectionInfo(asked(), timeout=TIMEOUT_S):
            names = {each.name for each in answer.list_services_response.service}
            break
    pool = descriptor_pool.Default()
    own = [pool.FindServiceByName(each) for each in names - _OF_NO_TEAM if each.startswith("omnijourney.")]
    return {f"{service.name}/{method.name}" for service in own for method in service.methods}


async def refusal_of(call: Any) -> RemoteError:
    try:
        if isinstance(call, Awaitable):
            await call
        else:
            _ = [piece async for piece in call]
    except grpc.aio.AioRpcError as error:
        return remote_error(error)
    raise AssertionError("it was not refused")


async def _pieces(request: Any) -> AsyncIterator[Any]:
    yield request


def called(stub: Any, name: str, request: Any) -> Any:
    sent = _pieces(request) if name == "UploadImportFile" else request
    return getattr(stub, name)(sent, timeout=TIMEOUT_S)


@pytest.mark.rule("P-09")
async def test_every_rpc_asks_for_the_module_or_says_why_not(servers: Servers, shop: Shop) -> None:
    asking = {f"PointsService/{name}" for name in ASK}
    assert await served(servers, shop.points.targets["points"]) == asking | DO_NOT_ASK.keys()
    assert not asking & DO_NOT_ASK.keys()
    await shop.points.set_modules()
    async with client_of(shop.points) as stub:
        for name, request in ASK.items():
            refusal = await refusal_of(called(stub, name, request(shop)))
            found = (refusal.code, refusal.reason, refusal.metadata)
            expected = (grpc.StatusCode.FAILED_PRECONDITION, "MODULE_MISSING", {"module": "POINTS"})
            assert found == expected, name
    await shop.points.set_modules(POINTS)
    assert await shop.points.balance(shop.customer) == (50, 50)
    assert (await shop.call("GetCoupon", coupon_id=shop.free_coupon)).coupon == await _unchanged(shop)


async def _unchanged(shop: Shop) -> coupon_pb2.Coupon:
    listed = (await shop.call("ListCoupons")).coupons
    assert len(listed) == 2, "no coupon was made"
    free: coupon_pb2.Coupon
    (free,) = [each for each in listed if not each.HasField("points_redemption")]
    return free


def told(results: Sequence[posting_pb2.PostingResult]) -> list[tuple[int, int, int]]:
    return [(each.status, each.reason, each.delta_balance) for each in results]


@pytest.mark.rule("P-09")
async def test_an_order_earns_nothing_while_points_are_closed_and_never_later(shop: Shop) -> None:
    points, team, customer = shop.points, shop.points.team_id, shop.customer
    order = build.earn(team, customer, 300 * UNIT)
    await points.set_modules()
    assert told(await points.post(order)) == [(SKIPPED, MISSING, 0)]
    recorded = await shop.call("GetPostingOutcome", key=order.key)
    assert told([recorded.result]) == [(SKIPPED, MISSING, 0)], "told while it is closed"
    await points.set_modules(POINTS)
    (again,) = await points.post(order)
    assert (told([again]), again.replayed) == ([(SKIPPED, MISSING, 0)], True)
    other_key = build.earn(team, customer, 300 * UNIT, order_key=UUID(order.key), key=new_id())
    order_posted = posting_pb2.POSTING_REASON_ORDER_POSTED
    assert told(await points.post(other_key)) == [(SKIPPED, order_posted, 0)]
    refund = build.refund(team, customer, 300 * UNIT, order_key=UUID(order.key))
    assert told(await points.post(refund)) == [(SKIPPED, posting_pb2.POSTING_REASON_ZERO_POINTS, 0)]
    assert told(await points.post(build.earn(team, customer, 100 * UNIT))) == [(POSTED, 0, 10)]
    assert await points.balance(customer) == (60, 60)


@pytest.mark.rule("P-09")
async def test_nothing_is_added_or_spent_while_points_are_closed(shop: Shop) -> None:
    points, team, customer = shop.points, shop.points.team_id, shop.customer
    other = new_id()
    await points.set_modules()
    batch = [
        build.earn(team, customer, 100 * UNIT),
        build.earn(team, customer, 100 * UNIT, has_phone=False),
        build.refund(team, customer, 100 * UNIT),
        build.journey(team, customer, 5),
        build.journey(team, customer, -5),
        build.coupon(team, customer, 5),
        build.import_row(team, customer, 5),
        build.import_row(team, customer, -5),
    ]
    # A team that has points is in the same batch.
    assert told(await points.post(*batch, build.manual(other, customer, 7))) == [
        *[(SKIPPED, MISSING, 0)] * len(batch),
        (POSTED, 0, 7),
    ]
    by_hand = build.manual(team, customer, 5)
    assert told(await points.post(by_hand)) == [(REFUSED, MISSING, 0)]
    await points.set_modules(POINTS)
    assert await points.balance(customer) == (50, 50)
    assert told(await points.post(by_hand)) == [(POSTED, 0, 5)], "a person may ask again"
    assert told(await points.post(*batch)) == [(SKIPPED, MISSING, 0)] * len(batch), "nothing is made up for"


@pytest.mark.rule("P-09")
async def test_what_was_given_before_is_taken_back_and_moved_while_points_are_closed(shop: Shop) -> None:
    points, team, customer = shop.points, shop.points.team_id, shop.customer
    order = build.earn(team, customer, 200 * UNIT)
    await points.post(order)
    await points.set_modules()
    refund = build.refund(team, customer, 200 * UNIT, order_key=UUID(order.key))
    assert told(await points.post(refund)) == [(POSTED, 0, -20)]
    survivor = await points.customer()
    step = merges_service_pb2.TakeMergeStepRequest(
        team_id=str(team),
        customer_merge_id=str(new_id()),
        loser_id=str(customer),
        survivor_id=str(survivor),
        step=merges.MERGE_STEP_MOVE_POINTS,
    )
    assert (await points.internal.merges.TakeMergeStep(step, timeout=TIMEOUT_S)).done
    await points.set_modules(POINTS)
    assert [await points.balance(each) for each in (customer, survivor)] == [(0, 0), (50, 70)]


@pytest.mark.rule("P-09", "P-20a")
async def test_claims_that_cost_points_wait_for_the_module_and_others_do_not(shop: Shop) -> None:
    customer = str(shop.customer)
    first = shop.ask("ClaimCoupon", coupon_id=shop.coupon, customer_id=customer)
    claimed = await shop.points.stub.ClaimCoupon(first, timeout=TIMEOUT_S)
    await shop.points.set_modules()
    again = await shop.points.stub.ClaimCoupon(first, timeout=TIMEOUT_S)
    assert (again.claim, again.replayed) == (claimed.claim, True), (
        "a repetition is answered as the first time"
    )
    used = await shop.call("UseCouponClaim", code=claimed.claim.code)
    assert used.coupon_claim.HasField("use_time")
    free = await shop.call("ClaimCoupon", coupon_id=shop.free_coupon, customer_id=customer)
    assert (free.claim.points_paid, free.balance) == (0, 0), "no points are shown"
    renamed = coupon_pb2.Coupon(coupon_id=shop.coupon, name="Cup")
    assert (await shop.call("UpdateCoupon", coupon=renamed)).coupon.points_redemption.cost == 20
    await shop.points.set_modules(POINTS)
    assert await shop.points.balance(shop.customer) == (30, 50)


@pytest.mark.rule("P-09", "P-10b")
async def test_rows_of_an_import_that_runs_when_points_are_closed_say_so(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = shop.ask("UploadImportFile", points_import_id=shop.open_import, csv=FILE)
    await called(shop.points.stub, "UploadImportFile", upload)
    await shop.points.set_modules()

    async def before(*_: object) -> None:
        """It was asked for when the team had the module still."""

    monkeypatch.setattr(PointsModule, "refusal", before)
    await shop.call("ExecuteImport", points_import_id=shop.open_import)
    work = OperationsServiceStub(shop.points.internal.channel)
    wait = operations.WaitOperationRequest(
        team_id=str(shop.points.team_id), operation_id=shop.open_import, wait=duration(timedelta(seconds=20))
    )
    ended = (await work.WaitOperation(wait, timeout=TIMEOUT_S)).operation
    assert ended.state == operation_pb2.OPERATION_STATE_SUCCEEDED
    await shop.points.set_modules(POINTS)
    (row,) = (await shop.call("ListImportRows", points_import_id=shop.open_import)).rows
    assert (row.status, row.fault) == (
        imports.IMPORT_ROW_STATUS_INVALID,
        imports.IMPORT_ROW_FAULT_MODULE_MISSING,
    )
    assert await shop.points.balance(shop.customer) == (50, 50)


async def test_a_write_that_was_done_is_answered_again_while_points_are_closed(shop: Shop) -> None:
    gift = shop.ask("AdjustBalance", customer_id=str(shop.customer), points=5, note="a gift")
    await shop.points.stub.AdjustBalance(gift, timeout=TIMEOUT_S)
    await shop.points.set_modules()
    again = await shop.points.stub.AdjustBalance(gift, timeout=TIMEOUT_S)
    assert (again.result.replayed, again.result.balance) == (True, 55)
    refusal = await refusal_of(
        shop.call("AdjustBalance", customer_id=str(shop.customer), points=5, note="a gift")
    )
    assert refusal.reason == "MODULE_MISSING"


async def test_segment_is_asked_for_modules_once_for_many_orders(
    neighboured: Neighboured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.clients.team_settings.KEPT_S", 3_600.0)
    asked: list[Sequence[UUID]] = []
    read = TeamSettingsClient._read

    async def counted(self: TeamSettingsClient, team_ids: Sequence[UUID], attempts: int) -> Any:
        asked.append(team_ids)
        return await read(self, team_ids, attempts)

    monkeypatch.setattr(TeamSettingsClient, "_read", counted)
    await neighboured.set_formula("10", "1")
    for _ in range(30):
        (answer,) = await neighboured.post(build.earn(neighboured.team_id, new_id(), 100 * UNIT))
        assert answer.status == POSTED
    assert asked == [[neighboured.team_id]]
    listed = await neighboured.stub.ListEntries(
        pb.ListEntriesRequest(team_id=str(neighboured.team_id)), timeout=TIMEOUT_S
    )
    assert {each.entry.source for each in listed.lines} == {entry_pb2.ENTRY_SOURCE_WEB_ORDER}
    assert len(asked) == 1
