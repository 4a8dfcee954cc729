"""A person is erased everywhere, and figures stay (S-08b)."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg
import grpc
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from standardwebhooks import Webhook

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from libs.emulators.config import EmulatorSettings
from libs.emulators.server import running
from libs.testing.fixtures import Databases, Servers
from omnijourney.channel_gateway.v1 import content_pb2, webhook_pb2
from omnijourney.common.v1 import channel_pb2, operation_pb2, operations_service_pb2
from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceStub
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.journey.v1 import node_pb2
from omnijourney.points.v1 import coupon_pb2, points_service_pb2
from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceStub
from omnijourney.segment.v1 import audience_pb2, consent_pb2, customer_pb2, event_pb2, segment_service_pb2
from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceStub
from services.segment.store.erasures import ErasureStore
from tests.integration.erasure.leftovers import Known, leave_rows
from tests.integration.erasure.searching import found_in_redis, found_in_tables
from tests.integration.journey.whole_site import LINE, TIMEOUT_S, WHATSAPP, serving_site, text
from tests.integration.whole_path.stage import WAIT_S, Stage, node, says, until, waits
from tools.paths import ROOT

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

NAME, EMAIL, MEMBER = "Wilhelmina Zweigelt", "mina.zweigelt@example.org", "M-77810-ZW"
PHONE, LINE_ID, TOKEN = "+886912077810", "U77810aaaabbbbccccddddeeee77810ff", "browser-77810-token"
TAG, VALUE, SAID = "tag-of-mina-77810", "her secret wish 77810", "words that mina wrote 77810"
NOTE, DISH = "note about mina 77810", "engraved for Mina 77810"
PAGE_ID, CELL = "77810123456789012", "cell of mina 77810"
FORMER, MOVED_TO = "886977810001", "886977810002"
"""Her number on WhatsApp, until she took another one."""
TEXTS: Final = (
    NAME,
    EMAIL,
    MEMBER,
    PHONE[1:],
    LINE_ID,
    TOKEN,
    TAG,
    VALUE,
    SAID,
    NOTE,
    DISH,
    PAGE_ID,
    CELL,
    "0912-077-810",
)
NOT_SEEDED: Final = frozenset({"points.account"})
"""Tables that hold nothing but a hash of what is somebody's. A new table is not among them: the person must leave
something there."""
_ON_ITS_WAY: Final = "SELECT FROM channel_gateway.delivery WHERE customer_id = $1 AND recipient <> ''"
DONE: Final = operation_pb2.OPERATION_STATE_SUCCEEDED


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theatre(
    servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """All five services, and whatever team comes next."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    settings = EmulatorSettings(
        whatsapp_port=0,
        line_port=0,
        messenger_port=0,
        instagram_port=0,
        data_dir=tmp_path_factory.mktemp("emulators"),
    )
    async with (
        running(settings) as emulators,
        aiohttp.ClientSession() as http,
        serving_site(
            servers,
            databases,
            with_stats=True,
            line_url=emulators.urls["line"],
            webhook_private_networks="127.0.0.0/8",
        ) as site,
    ):
        yield Stage(site, emulators, http)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(theatre: Stage) -> Stage:
    """The same with a new team."""
    await theatre.furnish()
    return theatre


class Person:
    """A customer of whom every service holds something."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.customer_id = ""
        self.bodies: list[tuple[dict[str, str], bytes]] = []
        """Webhooks of the shop, with their headers."""

    async def lives(self) -> None:
        """Leaves something in each of them."""
        stage = self.stage
        await stage.site.attribute("wish")
        url = "http://127.0.0.1:1/hook"  # nobody is there: what goes out waits
        events = ["contact.attribute_changed", "contact.tag_changed", "contact.bound", "contact.created"]
        await stage.call(
            "CreateWebhookSubscription",
            subscription=webhook_pb2.WebhookSubscription(url=url, event_types=events),
        )
        await self.order()
        found = await stage.call("FindCustomer", selector={"member_id": MEMBER})
        self.customer_id = found.customer.customer_id
        key = customer_pb2.IdentityKey(channel=LINE, account_id=stage.accounts[LINE], external_id=LINE_ID)
        await stage.call("BindIdentity", customer_id=self.customer_id, identity=key)
        await stage.call("ChangeCustomerTags", customer_id=self.customer_id, add=[TAG])
        await stage.call("SetCustomerAttributes", customer_id=self.customer_id, values={"wish": VALUE})
        await stage.call(
            "SetConsent",
            customer_id=self.customer_id,
            channel=LINE,
            state=consent_pb2.CONSENT_STATE_GIVEN,
            note=NOTE,
        )
        await self.says()
        await self.joins_on_messenger()
        await self.is_imported()
        await self.claims()
        await stage.call("AdjustBalance", customer_id=self.customer_id, points=20, note=NOTE)
        await self.travels()

    async def leaves_all_else(self) -> None:
        """Leaves something in every other table: a message to them is on its way, and their actor is set aside."""
        stage = self.stage
        await self.asks()
        sends = "UPDATE channel_gateway.delivery SET state = 9 WHERE customer_id = $1"
        await rows_of(stage, sends, self.customer_id)
        known = Known(
            stage.site.team_id,
            self.customer_id,
            stage.accounts[LINE],
            LINE_ID,
            PAGE_ID,
            PHONE,
            EMAIL,
            MEMBER,
            SAID,
        )
        await leave_rows(stage.site.admin_dsn, known)

    async def asks(self) -> None:
        """Is named by keys of requests, and of an event that changes nothing."""
        stage = self.stage
        keys = (f"{number} of {MEMBER}" for number in range(9))
        await stage.call("SetEarningFormula", amount="1", points="1", request_id=next(keys))
        module = content_pb2.BotModule(name="M", cards=[text("Hi")])
        await stage.call("CreateBotModule", module=module, request_id=next(keys))
        await stage.call("CopyJourney", journey_id=self.journey_id, name="Again", request_id=next(keys))
        await stage.call(
            "UpdateTeam", team={"team_id": stage.site.team_id, "name": "T"}, request_id=next(keys)
        )
        seen = event_pb2.CustomerEvent(
            team_id=stage.site.team_id,
            event_key=f"seen {MEMBER}",
            customer=customer_pb2.CustomerSelector(customer_id=self.customer_id),
            customer_interacted=event_pb2.CustomerInteracted(),
        )
        seen.occur_time.FromDatetime(await stage.site.now())
        await stage.call("RecordEvents", events=[seen])

    async def changes_her_number(self) -> None:
        """Wants no messages on WhatsApp, then takes another number there; that was so long ago that nobody keeps which
        came after which."""
        stage = self.stage
        key = customer_pb2.IdentityKey(
            channel=WHATSAPP, account_id=stage.accounts[WHATSAPP], external_id=FORMER
        )
        await stage.call("BindIdentity", customer_id=self.customer_id, identity=key)
        event = event_pb2.CustomerEvent(
            team_id=stage.site.team_id,
            event_key="moved",
            customer=customer_pb2.CustomerSelector(identity=key),
        )
        event.occur_time.FromDatetime(await stage.site.now())
        event.contact_moved.identity.CopyFrom(key)
        event.contact_moved.external_id = MOVED_TO
        (result,) = (await stage.call("RecordEvents", events=[event])).results
        assert result.status == event_pb2.EVENT_STATUS_ACCEPTED, result
        await rows_of(stage, "DELETE FROM segment.moved_identity")
        said = "INSERT INTO channel_gateway.opt_out VALUES ($1, $2, $3, true, 3, now())"
        await rows_of(stage, said, stage.site.team_id, WHATSAPP, FORMER)

    async def goes_on(self) -> None:
        """Is written about after her erasure was asked for and before it has begun."""
        stage = self.stage
        named = {"customer_id": self.customer_id}
        await stage.call("ChangeCustomerTags", **named, add=[f"{TAG} too"])
        await stage.call("AdjustBalance", **named, points=7, note=NOTE)
        await stage.call(
            "SetConsent", **named, channel=LINE, state=consent_pb2.CONSENT_STATE_WITHDRAWN, note=NOTE
        )
        item = pb.SystemTriggerItem(
            journey_id=self.journey_id, request_id=str(new_id()), data={"why": VALUE}, **named
        )
        await stage.call("TriggerJourneys", items=[item])

    async def order(self, **more: Any) -> None:
        """A signed order, as the shop tells it."""
        stage = self.stage
        if not stage.secret:
            await stage.call("CreateShop", shop=webhook_pb2.Shop(shop_id="web", display_name="Shop"))
            stage.secret = (await stage.call("CreateShopKey", shop_id="web")).key.secret
        now, event_id = await stage.site.now(), str(new_id())
        event = {
            "event": "order.completed",
            "event_id": event_id,
            "occurred_at": now.isoformat(),
            "customer": {
                "member_id": MEMBER,
                "phone": "0912-077-810",
                "email": EMAIL,
                "name": NAME,
                "browser_token": TOKEN,
            },
            "order": {
                "id": event_id,
                "currency": "TWD",
                "total": "500",
                "items": [{"name": DISH, "quantity": 1}],
            },
            **more,
        }
        body = json.dumps(event)
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(stage.secret).sign(event_id, now, body),
        }
        self.bodies.append((headers, body.encode()))
        await self.post(*self.bodies[-1])

    async def post(self, headers: dict[str, str], body: bytes) -> None:
        """Sends a webhook, and waits until nothing waits."""
        stage = self.stage
        url = f"http://127.0.0.1:{stage.site.http_port}/v1/teams/{stage.site.team_id}/shops/web/events"
        async with stage.http.post(url, data=body, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
        await until(self._is_worked)

    async def _is_worked(self) -> bool:
        rows = await rows_of(self.stage, "SELECT count(*) FROM channel_gateway.webhook_inbox WHERE state = 1")
        return bool(rows[0][0] == 0)

    async def joins_on_messenger(self) -> None:
        """Has an id of Meta's, too."""
        stage = self.stage
        channel = channel_pb2.CHANNEL_MESSENGER
        key = customer_pb2.IdentityKey(
            channel=channel, account_id=await stage.site.account(channel), external_id=PAGE_ID
        )
        await stage.call("BindIdentity", customer_id=self.customer_id, identity=key)

    async def is_imported(self) -> None:
        """Stands in a file, in a line whose points the ledger refuses: it is kept with its cells."""
        stage = self.stage
        csv = f"Phone,Tags,Point Balance\n0912-077-810,{CELL},-1000000\n"
        started = await stage.call(
            "StartContactImport",
            csv=csv.encode(),
            file_name="people.csv",
            channel=WHATSAPP,
            account_id=stage.accounts[WHATSAPP],
        )
        import_id = started.contact_import.contact_import_id

        async def has_ended() -> bool:
            found = (await stage.call("GetContactImport", contact_import_id=import_id)).contact_import
            return bool(found.operation.state == DONE)

        await until(has_ended)
        rows = (await stage.call("ListContactImportRows", contact_import_id=import_id)).rows
        assert [(row.line, row.customer_id) for row in rows] == [(2, self.customer_id)]

    async def claims(self) -> None:
        """Claims a coupon."""
        coupon = coupon_pb2.Coupon(name="Mug", type=coupon_pb2.COUPON_TYPE_MARKETING)
        coupon.points_redemption.cost, coupon.points_redemption.insufficient_text = 1, "no"
        coupon_id = (await self.stage.call("CreateCoupon", coupon=coupon)).coupon.coupon_id
        await self.stage.call("AdjustBalance", customer_id=self.customer_id, points=5, note=NOTE)
        await self.stage.call("ClaimCoupon", coupon_id=coupon_id, customer_id=self.customer_id)

    async def says(self) -> None:
        """Writes on LINE."""
        stage = self.stage
        event = event_pb2.CustomerEvent(
            team_id=stage.site.team_id,
            event_key=f"message-of-{LINE_ID}",
            customer=customer_pb2.CustomerSelector(customer_id=self.customer_id),
        )
        event.occur_time.FromDatetime(await stage.site.now())
        event.message_received.identity.CopyFrom(
            customer_pb2.IdentityKey(channel=LINE, account_id=stage.accounts[LINE], external_id=LINE_ID)
        )
        event.message_received.text = SAID
        (result,) = (await stage.call("RecordEvents", events=[event])).results
        assert result.status == event_pb2.EVENT_STATUS_ACCEPTED, result

    async def travels(self) -> None:
        """Goes through a journey to a wait that is long."""
        stage = self.stage
        module = await stage.module("Dear {{customer.name}}, your wish: {{attribute.wish}}")
        audience = audience_pb2.Audience(
            attribute=audience_pb2.AttributePredicate(
                key="wish",
                text=audience_pb2.TextTest(operator=audience_pb2.TEXT_OPERATOR_CONTAINS, values=["secret"]),
            )
        )
        condition = node_pb2.ConditionNode(audience=audience)
        condition.yes.node_id = "hello"
        condition.no.end.SetInParent()
        self.journey_id = await stage.live(
            node("which", condition=condition), says("hello", module, "wait"), waits("wait", days=30)
        )
        item = pb.SystemTriggerItem(
            journey_id=self.journey_id,
            customer_id=self.customer_id,
            request_id=str(new_id()),
            data={"why": VALUE},
        )
        (result,) = (await stage.call("TriggerJourneys", items=[item])).results
        assert not result.reason, result
        await stage.until_texts(1, self.customer_id)
        (came,) = await stage.texts(self.customer_id)
        assert came == f"Dear {NAME}, your wish: {VALUE}"

        async def is_there() -> bool:
            return bool(await stage.inside(self.journey_id, 1))

        await until(is_there)


async def rows_of(stage: Stage, query: str, *arguments: Any) -> list[Any]:
    """Rows, whatever team they are of."""
    connection = await asyncpg.connect(stage.site.admin_dsn)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()


async def operation(stage: Stage, operation_id: str) -> operation_pb2.Operation:
    """As soon as it has ended."""
    stub = OperationsServiceStub(stage.site.channels["segment"])
    request = operations_service_pb2.WaitOperationRequest(
        team_id=stage.site.team_id, operation_id=operation_id
    )
    request.wait.seconds = 25
    async with asyncio.timeout(WAIT_S):
        while True:
            found = (await stub.WaitOperation(request, timeout=TIMEOUT_S)).operation
            if found.state == DONE:
                return found


async def _has_done(stage: Stage, operation_id: str, steps: int) -> bool:
    stub = OperationsServiceStub(stage.site.channels["segment"])
    request = operations_service_pb2.GetOperationRequest(
        team_id=stage.site.team_id, operation_id=operation_id
    )
    return (await stub.GetOperation(request, timeout=TIMEOUT_S)).operation.done_count == steps


async def export(stage: Stage, customer_id: str) -> list[str]:
    """All that is held of a person, by lines."""
    stub = SegmentServiceStub(stage.site.channels["segment"])
    request = segment_service_pb2.ExportPersonRequest(team_id=stage.site.team_id, customer_id=customer_id)
    parts = [part.content async for part in stub.ExportPerson(request, timeout=TIMEOUT_S)]
    assert all(part.endswith("\n") for part in parts)
    return "".join(parts).splitlines()


async def figures(stage: Stage) -> Any:
    """Of the ledger; it is whole."""
    stub = PointsServiceStub(stage.site.channels["points"])
    request = points_service_pb2.CheckLedgerRequest(team_id=stage.site.team_id)
    (end,) = [item async for item in stub.CheckLedger(request, timeout=TIMEOUT_S)]
    assert end.WhichOneof("item") == "summary", end
    return (await stage.call("GetLedgerSummary")).summary


def _tables_of_persons() -> set[str]:
    """Tables of which docs/privacy.md says that something of a person is taken out of them."""
    page = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| (\w+) \| [^|]+ \| (row|blank|rewrite|match) \|$", page, re.MULTILINE)
    return {f"{service}.{table}" for service, table, _ in rows}


@pytest.mark.rule("S-08b")
async def test_a_person_is_erased_everywhere_and_figures_stay(
    stage: Stage, servers: Servers, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each part of each step is done and not noted once, as if the process had been killed there."""
    await stage.call("SetEarningFormula", amount="1", points="1")
    person = Person(stage)
    await person.lives()
    await person.changes_her_number()
    await person.leaves_all_else()
    there = await found_in_tables(stage.site.admin_dsn, TEXTS)
    searched = {each.partition(":")[0].rpartition(".")[0] for each in there}
    assert _tables_of_persons() - searched == NOT_SEEDED
    exported = await export(stage, person.customer_id)
    told = {json.loads(line)["service"] for line in exported}
    assert told >= {"segment", "points", "channel_gateway", "journey"}
    whole = "\n".join(exported).lower()
    assert [text for text in TEXTS if text.lower() not in whole] == ["0912-077-810"], (
        "a phone has one spelling"
    )
    killed: set[tuple[int, str]] = set()
    advance, claim = ErasureStore.advance, ErasureStore.claim
    may_begin = asyncio.Event()

    async def once_killed(self: ErasureStore, erasure: Any, *rest: Any) -> bool:
        place = (erasure.step, erasure.cursor)
        if place not in killed:
            killed.add(place)
            raise RuntimeError("killed")
        return await advance(self, erasure, *rest)

    async def later(self: ErasureStore, own: UUID, claim_s: float) -> Any:
        return await claim(self, own, claim_s) if may_begin.is_set() else None

    monkeypatch.setattr(ErasureStore, "advance", once_killed)
    monkeypatch.setattr(ErasureStore, "claim", later)
    capfd.readouterr()
    request_id = str(new_id())
    started = await asyncio.gather(
        stage.call("StartErasure", customer_id=person.customer_id, request_id=request_id),
        stage.call("StartErasure", customer_id=person.customer_id),
    )
    assert started[0].operation.operation_id == started[1].operation.operation_id
    await person.goes_on()
    before = await figures(stage)
    may_begin.set()
    # What is told of the message that is on its way is waited for.
    operation_id = started[0].operation.operation_id
    await until(lambda: _has_done(stage, operation_id, 4))
    assert await rows_of(stage, _ON_ITS_WAY, person.customer_id)
    await rows_of(
        stage, "UPDATE channel_gateway.delivery SET state = 1 WHERE customer_id = $1", person.customer_id
    )
    ended = await operation(stage, operation_id)
    assert (ended.state, ended.done_count, ended.total_count) == (DONE, 10, 10)
    assert len(killed) >= 9
    assert await found_in_tables(stage.site.admin_dsn, (*TEXTS, FORMER, MOVED_TO)) == []
    assert await found_in_redis(servers.redis_url, TEXTS) == []
    out, err = capfd.readouterr()
    assert [text for text in TEXTS if text.lower() in (out + err).lower()] == []
    assert await figures(stage) == before
    assert {each.state for each in await stage.enrolments(person.journey_id)}.isdisjoint({1})
    again = await stage.call("StartErasure", customer_id=person.customer_id, request_id=request_id)
    assert again.operation.operation_id == ended.operation_id
    with pytest.raises(grpc.aio.AioRpcError) as nobody:
        await export(stage, person.customer_id)
    assert nobody.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stage.call("GetCustomer", customer_id=person.customer_id)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    # What came before brings nobody back; whoever comes anew is somebody else.
    for headers, body in person.bodies:
        await person.post(headers, body)
    with pytest.raises(grpc.aio.AioRpcError):
        await stage.call("FindCustomer", selector={"member_id": MEMBER})
    await person.order()
    found = await stage.call("FindCustomer", selector={"member_id": MEMBER})
    assert found.customer.customer_id != person.customer_id


@pytest.mark.rule("S-08b")
async def test_events_of_who_was_erased_are_refused_and_unknown_ones_are_not_found(stage: Stage) -> None:
    customer = await stage.customer()
    order = event_pb2.OrderCompleted(shop_id="s", order_id="o-1")
    order.amount.currency_code, order.amount.amount_micros = "TWD", 5_000_000
    order.signed = True

    def event(**body: Any) -> event_pb2.CustomerEvent:
        made = event_pb2.CustomerEvent(team_id=stage.site.team_id, event_key=str(new_id()), **body)
        made.occur_time.GetCurrentTime()
        return made

    of = customer_pb2.CustomerSelector(customer_id=customer)
    first = event(customer=of, order_completed=order)
    await stage.call("RecordEvents", events=[first])
    started = await stage.call("StartErasure", customer_id=customer)
    assert (await operation(stage, started.operation.operation_id)).state == DONE
    refund = event_pb2.OrderRefunded(shop_id="s", refund_id="r-1", order_id="o-1", amount=order.amount)
    named = customer_pb2.CustomerSelector(email="new@example.org")
    results = (
        await stage.call(
            "RecordEvents",
            events=[
                event(customer=of, customer_interacted=event_pb2.CustomerInteracted()),
                event(customer=named, order_completed=order),
                event(customer=named, order_refunded=refund),
                first,
            ],
        )
    ).results
    assert [event_pb2.EventStatus.Name(each.status) for each in results] == [
        *["EVENT_STATUS_REFUSED"] * 3,
        "EVENT_STATUS_DUPLICATE",
    ]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stage.call("StartErasure", customer_id=str(new_id()))
    assert remote_error(caught.value).reason == "RESOURCE_NOT_FOUND"
    again = await stage.call("StartErasure", customer_id=customer)
    assert again.operation.operation_id == started.operation.operation_id
