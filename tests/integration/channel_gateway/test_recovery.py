"""Sends of a process that is gone: taken up by the next one, sent once where the channel has a key, else unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.feeds.gateway_records import pack_record
from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import PARTITIONS, new_id
from libs.common.mailbox.mail import Outcome, SendOutcome, Unreadable
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.internal.v1 import send_pb2
from services.channel_gateway.store.rows import pack_parts
from tests.integration.channel_gateway.conftest import LINE, WHATSAPP, Gateway, GatewayMaker


async def hand_to_a_dead_process(gateway: Gateway, effect_keys: str | Sequence[str], state: int) -> None:
    """Makes deliveries look as a killed sender leaves them: 8 waiting, 9 marked for the wire."""
    keys = [effect_keys] if isinstance(effect_keys, str) else effect_keys
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    try:
        await connection.execute(
            "UPDATE channel_gateway.delivery SET state = $2, sender = $3 WHERE effect_key = ANY ($1)",
            [UUID(key) for key in keys],
            state,
            new_id(),
        )
    finally:
        await connection.close()


async def outcomes(gateway: Gateway, customer: str) -> list[tuple[int, str]]:
    """Outcomes and reasons in a customer's mail."""
    bodies = [mail.body for mail in await gateway.mail(customer)]
    return [(body.outcome, body.reason) for body in bodies if isinstance(body, SendOutcome)]


async def waiting_send(gateway: Gateway, channel: int, **content: Any) -> tuple[str, str]:
    """(effect key, customer) of a send that waits for a retry, so that nothing is on the wire."""
    account = await gateway.account(channel)
    if channel == LINE:
        content = {"bot_module_id": await gateway.module()}
    else:
        await gateway.top_up(10_000_000)
        template = await gateway.template(account, parameters=1)
        content = {"template": send_pb2.TemplateContent(template_id=template, parameters=["Mei"])}
    customer = gateway.customer(account, channel)
    await gateway.fault("line" if channel == LINE else "whatsapp", kind="rate")
    send = gateway.send(customer, channel, **content)
    await gateway.ask(send)
    while (await gateway.delivery(send.effect_key)).attempts == 0:
        await asyncio.sleep(0.01)
    return send.effect_key, customer


async def test_a_waiting_send_of_a_dead_process_leaves(gateway: Gateway) -> None:
    effect_key, customer = await waiting_send(gateway, LINE)
    await hand_to_a_dead_process(gateway, effect_key, 8)
    await gateway.settled()
    assert await outcomes(gateway, customer) == [(Outcome.SENT, "")]
    assert len(await gateway.accepted("line")) == 1


@pytest.mark.rule("C-04b")
async def test_a_marked_line_send_of_a_dead_process_is_repeated_under_its_key(gateway: Gateway) -> None:
    effect_key, customer = await waiting_send(gateway, LINE)
    await hand_to_a_dead_process(gateway, effect_key, 9)
    await gateway.settled()
    assert await outcomes(gateway, customer) == [(Outcome.SENT, "")]
    (record,) = await gateway.accepted("line")
    assert record["retry_key"]


@pytest.mark.rule("C-04a")
async def test_a_marked_line_send_is_unknown_once_line_may_have_forgotten_its_key(gateway: Gateway) -> None:
    await gateway.fault("line", kind="rate", count=None)  # whatever is tried meanwhile, nothing is taken
    effect_key, customer = await waiting_send(gateway, LINE)
    await as_owner(
        gateway, "UPDATE channel_gateway.delivery SET first_attempt_at = now() - interval '25 hours'"
    )
    await hand_to_a_dead_process(gateway, effect_key, 9)
    await gateway.settled()
    assert await outcomes(gateway, customer) == [(Outcome.UNKNOWN, "NO_ANSWER")]
    assert await gateway.accepted("line") == []


@pytest.mark.rule("C-04b")
async def test_a_marked_whatsapp_send_of_a_dead_process_is_unknown_and_never_repeated(
    gateway: Gateway,
) -> None:
    effect_key, customer = await waiting_send(gateway, WHATSAPP)
    await hand_to_a_dead_process(gateway, effect_key, 9)
    await gateway.settled()
    assert await outcomes(gateway, customer) == [(Outcome.UNKNOWN, "SENDER_LOST")]
    assert await gateway.accepted("whatsapp") == []
    assert await gateway.balance() == 10_000_000 - 500_000, "an unknown send keeps what it took"


@pytest.mark.rule("X-05")
async def test_what_waits_at_a_stop_leaves_after_the_next_start(maker: GatewayMaker) -> None:
    async with maker.start() as first:
        account = await first.account(LINE)
        module = await first.module()
        await first.fault("line", kind="rate", count=3)
        customers = [first.customer(account, LINE) for _ in range(3)]
        await first.ask(*(first.send(customer, LINE, bot_module_id=module) for customer in customers))
    async with maker.start() as second:
        second.team_id = first.team_id
        await second.settled()
        assert len(await second.accepted("line")) == 3
        for customer in customers:
            assert await outcomes(second, customer) == [(Outcome.SENT, "")]


@pytest.mark.usefixtures("looks_soon")
async def test_an_accepted_send_that_memory_lost_is_found_again(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    customer = gateway.customer(account, LINE)
    send = gateway.send(customer, LINE, bot_module_id=module)
    await gateway.ask(send)
    await gateway.settled()
    # As after a commit whose answer was lost: stored as ours and accepted, and nobody told the sender.
    lost = str(new_id())
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    try:
        parts = b"\x91\xc4\x00"
        await connection.execute(
            "INSERT INTO channel_gateway.delivery (team_id, effect_key, customer_id, enrolment_id, journey_id,"
            " node_id, channel, account_id, state, accepted, reason, messages, price_micros, currency, capped,"
            " stop_epoch, depth, recipient, parts, sender, created_at)"
            " SELECT team_id, $1, customer_id, enrolment_id, journey_id, node_id, channel, account_id, 8, true, '',"
            " 1, price_micros, currency, false, 0, 0, recipient, $3, sender, created_at"
            " FROM channel_gateway.delivery WHERE effect_key = $2",
            UUID(lost),
            UUID(send.effect_key),
            parts,
        )
    finally:
        await connection.close()
    await gateway.settled()
    assert (await gateway.delivery(lost)).state == delivery_pb2.SEND_STATE_FAILED, (
        "an empty body is refused by LINE"
    )


async def test_sends_that_do_not_fit_into_memory_leave_later_and_once(
    maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.channel_gateway.worker.recovery.INTERVAL_S", 0.1)
    async with maker.start(lane_sends_max=4) as first:
        account = await first.account(LINE, concurrency_max=1)
        module = await first.module()
        await first.fault("line", kind="rate")
        customers = [first.customer(account, LINE) for _ in range(30)]
        sends = [first.send(customer, LINE, bot_module_id=module) for customer in customers]
        answers = await first.ask(*sends)
        assert {answer.state for answer in answers} == {delivery_pb2.SEND_STATE_ACCEPTED}
    # What is left is adopted, and does not fit either.
    async with maker.start(lane_sends_max=4) as second:
        second.team_id = first.team_id
        await second.settled()
        assert len(await second.accepted("line")) == 30
        for customer in customers:
            assert await outcomes(second, customer) == [(Outcome.SENT, "")]


async def test_a_stop_cancels_what_lies_in_the_table_only(maker: GatewayMaker) -> None:
    async with maker.start(lane_sends_max=2) as gateway:
        account = await gateway.account(LINE, concurrency_max=1)
        module = await gateway.module()
        await gateway.fault("line", kind="rate", count=100)
        customers = [gateway.customer(account, LINE) for _ in range(20)]
        await gateway.ask(*(gateway.send(customer, LINE, bot_module_id=module) for customer in customers))
        await gateway.stop(1)
        await gateway.settled()
        for customer in customers:
            assert [outcome for outcome, _ in await outcomes(gateway, customer)] == [Outcome.CANCELLED]


async def as_owner(gateway: Gateway, *statements: str) -> None:
    """Changes rows past what the service and its checks allow."""
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("at", ["4713-01-01 BC", "10000-01-01"])
@pytest.mark.parametrize("column", ["not_after", "next_attempt_at", "first_attempt_at"])
async def test_a_send_of_no_time_keeps_no_other_of_a_dead_process(
    gateway: Gateway, column: str, at: str
) -> None:
    account, module = await gateway.account(LINE, sink=True), await gateway.module()
    customers = [gateway.customer(account, LINE) for _ in range(3)]
    sends = [gateway.send(customer, LINE, bot_module_id=module) for customer in customers]
    await gateway.ask(*sends)
    await gateway.settled()
    await as_owner(
        gateway,
        "ALTER TABLE channel_gateway.delivery DROP CONSTRAINT delivery_times_readable",
        f"UPDATE channel_gateway.delivery SET {column} = '{at}' WHERE effect_key = '{sends[1].effect_key}'",
    )
    for send in sends:
        await write_bodies(gateway, send.effect_key, pack_parts([b"{}"]))
    await hand_to_a_dead_process(gateway, [send.effect_key for send in sends], 8)
    async with asyncio.timeout(60):
        while not all([len(await outcomes(gateway, customers[n])) == 2 for n in (0, 2)]):
            await asyncio.sleep(0.05)


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xc1", id="no msgpack"),
        pytest.param(pack_record((1, 2**62, [])), id="of no time, and of another number of sends"),
    ],
)
async def test_a_record_that_cannot_be_read_hides_no_other(gateway: Gateway, body: bytes) -> None:
    account, module = await gateway.account(LINE, sink=True), await gateway.module()
    customers = [gateway.customer(account, LINE) for _ in range(5)]
    for customer in customers:
        await gateway.ask(gateway.send(customer, LINE, bot_module_id=module))
        await gateway.settled()
    await as_owner(
        gateway,
        f"UPDATE channel_gateway.history_record SET body = '\\x{body.hex()}' WHERE '{customers[2]}' = ANY (customers)",
    )
    history = PackedHistory("channel_gateway", gateway.internal.channel, GatewayRow)
    rows = (await history.read(dict.fromkeys(range(PARTITIONS), 0), 0, 100)).rows
    assert [row.body for row in rows].count(body) == 1
    assert len(rows) == 5
    mails = [mail for customer in customers for mail in await gateway.mail(customer)]
    assert [mail.number for mail in mails] == [1] * 5
    assert [type(mail.body) for mail in mails] == [
        *[SendOutcome] * 2,
        Unreadable,
        *[SendOutcome] * 2,
    ]


async def write_bodies(gateway: Gateway, effect_key: str, parts: bytes) -> None:
    """Puts bytes where the bodies of a send stand that is to be sent."""
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    try:
        await connection.execute(
            "UPDATE channel_gateway.delivery SET parts = $2, parts_sent = 0 WHERE effect_key = $1",
            UUID(effect_key),
            parts,
        )
    finally:
        await connection.close()


@pytest.mark.rule("C-20d")
async def test_a_stored_send_that_cannot_be_read_fails_alone_and_the_others_are_taken_up(
    gateway: Gateway,
) -> None:
    account, module = await gateway.account(LINE, sink=True), await gateway.module()
    customers = [gateway.customer(account, LINE) for _ in range(3)]
    sends = [gateway.send(customer, LINE, bot_module_id=module) for customer in customers]
    await gateway.ask(*sends)
    await gateway.settled()
    for send, parts in zip(sends, [pack_parts([b"{}"]), b"\xc1", pack_parts([b"{}"])], strict=True):
        await write_bodies(gateway, send.effect_key, parts)
    await hand_to_a_dead_process(gateway, [send.effect_key for send in sends], 8)
    await gateway.settled()
    assert [(await outcomes(gateway, customer))[1:] for customer in customers] == [
        [(Outcome.SENT, "")],
        [(Outcome.FAILED, "CONTENT_INVALID")],
        [(Outcome.SENT, "")],
    ]
