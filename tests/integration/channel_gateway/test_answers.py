"""Every answer of the channels that the tables know, given by an emulator: what becomes of the send, and is kept of it.

What each comes to is said here once more, by the channels' references and not by the tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import asyncpg
import pytest

from omnijourney.channel_gateway.v1 import account_pb2, content_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.internal.v1 import send_pb2
from services.channel_gateway.clients.channels import line_rules, meta_rules, page_rules
from services.channel_gateway.domain.model import SendState
from tests.integration.channel_gateway.conftest import (
    INSTAGRAM,
    LINE,
    MESSENGER,
    TIMEOUT_S,
    WHATSAPP,
    Gateway,
)

RETRY: Final = "RETRY"
SENT: Final = "SENT"
UNUSABLE: Final = "FAILED ACCOUNT_UNUSABLE"
BLOCKED: Final = "SKIPPED BLOCKED"
OUTSIDE: Final = "SKIPPED OUTSIDE_WINDOW"
OPTED_OUT: Final = "SKIPPED OPTED_OUT"
UNAVAILABLE: Final = "SKIPPED RECIPIENT_UNAVAILABLE"
OF_ANOTHER: Final = "SKIPPED THREAD_OWNED_BY_ANOTHER_APP"
STRANGER: Final = "FAILED RECIPIENT_INVALID"
OWN: Final = "FAILED with the channel's own code"

Answer = tuple[int, Any]
"""Status and message on LINE, else code and subcode."""

LINE_ANSWERS: Final[Mapping[str, tuple[Answer, ...]]] = {
    SENT: ((202, ""), (409, "The retry key is already accepted")),
    OWN: ((400, "The request body has 2 error(s)"), (410, ""), (413, ""), (415, "")),
    STRANGER: ((400, "Failed to send messages"),),
    UNUSABLE: (
        (401, "Authentication failed. Confirm that the access token is valid."),
        (403, "Access to this API is not available for your account"),
    ),
    "EXHAUSTED LINE_QUOTA_EXHAUSTED": ((429, "You have reached your monthly limit."),),
    RETRY: (
        (200, "of a proxy: it names no message"),
        (429, "The API rate limit has been exceeded. Try again later."),
        (429, "Too many messages to one user"),
        (500, "Internal Server Error"),
        (502, ""),
        (503, ""),
        (504, ""),
        (599, "of a code that nobody knows"),
    ),
}
WHATSAPP_CODES: Final[Mapping[str, tuple[int, ...]]] = {
    RETRY: (1, 2, 4, 80007, 130429, 131000, 131016, 131048, 131052, 131056, 131057, 131064, 132069, 133004),
    OUTSIDE: (131047,),
    OPTED_OUT: (131050,),
    "FAILED META_LIMITED": (131049,),
    "FAILED META_EXPERIMENT": (130472,),
    "FAILED UNDELIVERABLE": (131026,),
    "FAILED RECIPIENT_IS_SENDER": (131021,),
    "FAILED RECIPIENT_NOT_ALLOWED": (131030,),
    STRANGER: (131062,),
    "FAILED IDENTITY_CHANGED": (137000,),
    "FAILED COUNTRY_RESTRICTED": (130497,),
    "FAILED TEMPLATE_NOT_APPROVED": (132001,),
    "EXHAUSTED WHATSAPP_TEMPLATE_MISSING": (132016,),
    "FAILED TEMPLATE_PARAMETERS": (132000, 132008, 132012, 132018),
    "FAILED TEMPLATE_TOO_LONG": (132005,),
    "FAILED TEMPLATE_POLICY": (132007,),
    "FAILED TEMPLATE_PAUSED": (132015,),
    "FAILED FLOW_BLOCKED": (132068,),
    "FAILED MARKETING_OFF": (131063,),
    "EXHAUSTED WHATSAPP_BALANCE_EXHAUSTED": (131042,),
    UNUSABLE: (0, 3, 10, 33, 190, 368, 131005, 131031, 131037, 131045, 133010, 134011, *range(200, 300)),
    OWN: (100, 131008, 131009, 131051, 131053, 133016, 135000, 999_999),
}
ANY: Final = None
MESSENGER_CODES: Final[Mapping[str, tuple[Answer, ...]]] = {
    RETRY: (
        *((code, ANY) for code in (1, 2, 4, 17, 32, 99, 613, 80001, 80006)),
        (613, 1893016),
        (100, 2018008),
    ),
    OUTSIDE: ((10, 2018278), (10, 2534022)),
    UNAVAILABLE: ((10, 2018108), (230, ANY)),
    OPTED_OUT: ((10, 1893015),),
    BLOCKED: ((551, ANY), (551, 1545041), (200, 1545041)),
    OF_ANOTHER: ((2018300, ANY), (2018321, ANY)),
    STRANGER: ((100, 2018001),),
    UNUSABLE: (
        *((10, subcode) for subcode in (ANY, 1404170, 1893063)),
        *((code, ANY) for code in (190, 200, 368, 2022, 10904)),
        (200, 2018028),
    ),
    OWN: (
        *((100, subcode) for subcode in (ANY, 33, 2018047, 2018074, 2018109, 2018294, 999)),
        *((4, 2018354), (9, 2018352), (613, 2018338), (10, 2018065)),
        *((code, ANY) for code in (10900, 10903, 2018218, 2018247, 999_999)),
    ),
}
INSTAGRAM_CODES: Final[Mapping[str, tuple[Answer, ...]]] = {
    RETRY: (*((code, ANY) for code in (1, 2, 4, 17, 32, 99, 613, 80002)), (613, 2534040)),
    OUTSIDE: ((10, 2534022), (10, 2018278)),
    BLOCKED: ((551, ANY), (551, 1545041), (200, 1545041)),
    OF_ANOTHER: ((100, 2534037),),
    STRANGER: ((100, 2018001), (100, 2534014)),
    UNUSABLE: (
        *((100, subcode) for subcode in (2534013, 2534029)),
        *((code, ANY) for code in (190, 200, 368)),
        (200, 2534041),
    ),
    OWN: (
        *((10, subcode) for subcode in (ANY, 2534077)),
        *((100, subcode) for subcode in (ANY, 2534015, 2534025)),
        *((code, ANY) for code in (36103, 2534122, 999_999)),
    ),
}


class Row(NamedTuple):
    """An answer and what it comes to."""

    channel: int
    outcome: str
    fault: dict[str, Any]
    own_code: str
    """As the delivery has it, where there is no reason of ours."""


def line_rows() -> Iterator[Row]:
    for outcome, answers in LINE_ANSWERS.items():
        for status, text in answers:
            yield Row(LINE, outcome, {"status": status, "text": text}, f"LINE_{status}")


def whatsapp_rows() -> Iterator[Row]:
    for outcome, codes in WHATSAPP_CODES.items():
        for code in codes:
            if code not in range(201, 299):  # all alike
                yield Row(WHATSAPP, outcome, {"code": code}, f"WHATSAPP_{code}")


def page_rows(channel: int, name: str, table: Mapping[str, tuple[Answer, ...]]) -> Iterator[Row]:
    for outcome, answers in table.items():
        for code, subcode in answers:
            given = {"code": code} if subcode is ANY else {"code": code, "subcode": subcode}
            yield Row(channel, outcome, given, f"{name}_{'_'.join(map(str, given.values()))}")


ROWS: Final = {
    "line": list(line_rows()),
    "whatsapp": list(whatsapp_rows()),
    "messenger": list(page_rows(MESSENGER, "MESSENGER", MESSENGER_CODES)),
    "instagram": list(page_rows(INSTAGRAM, "INSTAGRAM", INSTAGRAM_CODES)),
}


def test_no_row_of_the_tables_is_left_out() -> None:
    whatsapp = {code for codes in WHATSAPP_CODES.values() for code in codes}
    assert set(meta_rules.WHATSAPP) <= whatsapp
    for rules, codes in ((page_rules.MESSENGER, MESSENGER_CODES), (page_rules.INSTAGRAM, INSTAGRAM_CODES)):
        assert set(rules) <= {answer for answers in codes.values() for answer in answers}
    line = [answer for answers in LINE_ANSWERS.values() for answer in answers]
    for rule in line_rules.RULES:
        assert any(status == rule.status and text.startswith(rule.message) for status, text in line)


async def driven(gateway: Gateway, channel: str, rows: list[Row]) -> dict[str, Row]:
    """Has a send of each row, on an account of its own, get its answer; the rows by the keys of the effects."""
    module, made, sends = await gateway.module(), {}, []
    for row in rows:
        account = await gateway.account(row.channel)
        customer = gateway.customer(account, row.channel)
        identity = gateway.neighbours.segment.profiles[customer].identities[0]
        await gateway.fault(channel, kind="code", count=None, recipient=identity.key.external_id, **row.fault)
        send = gateway.send(customer, row.channel, account_id=account)
        if row.fault.get("code") in (132001, 132015, 132016):
            name = f"template{row.fault['code']}"
            template = await gateway.template(account, name, 1)
            send.template.CopyFrom(send_pb2.TemplateContent(template_id=template, parameters=["x"]))
        else:
            send.bot_module_id = module
        made[send.effect_key] = row
        sends.append(send)
    await gateway.ask(*sends)
    return made


async def outcomes(gateway: Gateway, keys: list[str]) -> dict[str, str]:
    """What came of sends, when each has had its answer."""
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    try:
        while True:
            rows = await connection.fetch(
                "SELECT effect_key, state, reason, next_attempt_at FROM channel_gateway.delivery"
                " WHERE effect_key = ANY($1::uuid[])",
                keys,
            )
            if all(row["state"] < SendState.ACCEPTED or row["next_attempt_at"] is not None for row in rows):
                return {str(row["effect_key"]): _outcome(row) for row in rows}
            await asyncio.sleep(0.05)
    finally:
        await connection.close()


def _outcome(row: Any) -> str:
    if row["state"] >= SendState.ACCEPTED:
        return RETRY
    return f"{SendState(row['state']).name} {row['reason']}".rstrip()


@pytest.mark.rule("C-03c")
@pytest.mark.parametrize("channel", list(ROWS))
async def test_every_answer_comes_to_what_the_reference_says(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    # Nothing is tried again in this test's time.
    monkeypatch.setattr("services.channel_gateway.worker.attempts.delay_of", lambda *_: 3_600.0)
    await gateway.line_quota(0)
    await gateway.top_up(10**9)
    made = await driven(gateway, channel, ROWS[channel])
    found = await outcomes(gateway, list(made))
    wrong = {
        row.own_code: (found[key], row.outcome)
        for key, row in made.items()
        if found[key] != (f"FAILED {row.own_code}" if row.outcome == OWN else row.outcome)
    }
    assert wrong == {}
    assert await gateway.accepted(channel) == [], "nothing was taken by the channel"
    await unusable(gateway, {row.own_code for row in made.values() if row.outcome == UNUSABLE})
    if channel == "whatsapp":
        assert await template_states(gateway) == {
            "template132001": content_pb2.TEMPLATE_STATE_APPROVED,
            "template132015": content_pb2.TEMPLATE_STATE_PAUSED,
            "template132016": content_pb2.TEMPLATE_STATE_DISABLED,
        }


async def unusable(gateway: Gateway, expected: set[str]) -> None:
    """As many accounts are refused as there are answers that say so."""
    request = pb.ListChannelAccountsRequest(team_id=str(gateway.team_id), page_size=200)
    accounts = (await gateway.stub.ListChannelAccounts(request, timeout=TIMEOUT_S)).accounts
    refused = [each for each in accounts if each.state == account_pb2.ACCOUNT_STATE_UNUSABLE]
    assert len(refused) == len(expected)


async def template_states(gateway: Gateway) -> dict[str, int]:
    """Of all templates."""
    request = pb.ListMessageTemplatesRequest(team_id=str(gateway.team_id))
    templates = (await gateway.stub.ListMessageTemplates(request, timeout=TIMEOUT_S)).templates
    return {each.name: each.state for each in templates}


@pytest.mark.rule("C-03d")
@pytest.mark.parametrize(
    ("channel", "fault"),
    [
        (LINE, {"status": 400, "text": "Failed to send messages"}),
        (WHATSAPP, {"code": 131026}),
        (MESSENGER, {"code": 551, "subcode": 1545041}),
        (INSTAGRAM, {"code": 100, "subcode": 2534014}),
    ],
)
async def test_who_cannot_be_written_to_is_told_to_segment_as_who_left(
    gateway: Gateway, channel: int, fault: dict[str, Any]
) -> None:
    name = {LINE: "line", WHATSAPP: "whatsapp", MESSENGER: "messenger", INSTAGRAM: "instagram"}[channel]  # type: ignore[index]
    await gateway.top_up(10**9)
    account, module = await gateway.account(channel), await gateway.module()
    customer = gateway.customer(account, channel)
    await gateway.fault(name, kind="code", **fault)
    await gateway.ask(gateway.send(customer, channel, bot_module_id=module, account_id=account))
    await gateway.settled()
    (event,) = gateway.neighbours.segment.events
    identity = event.contact_blocked.identity
    known = gateway.neighbours.segment.profiles[customer].identities[0].key
    assert (identity.channel, identity.account_id, identity.external_id) == (
        channel,
        account,
        known.external_id,
    )
    assert event.occur_time.ToDatetime() == gateway.clock.now().replace(tzinfo=None)


async def test_a_template_that_whatsapp_has_not_approved_is_known_as_it_is_there(gateway: Gateway) -> None:
    await gateway.top_up(10**9)
    account = await gateway.account(WHATSAPP)
    template = await gateway.template(account, "spring", 1)
    url = gateway.emulators.urls["whatsapp"] + "/_emulator/templates"
    async with gateway.http.patch(url, json={"name": "spring", "status": "REJECTED"}) as answer:
        assert answer.status == 200
    content = send_pb2.TemplateContent(template_id=template, parameters=["x"])
    first, second = (gateway.customer(account, WHATSAPP) for _ in range(2))
    await gateway.ask(gateway.send(first, WHATSAPP, template=content))
    await gateway.settled()
    assert await template_states(gateway) == {"spring": content_pb2.TEMPLATE_STATE_REJECTED}
    (refused,) = await gateway.ask(gateway.send(second, WHATSAPP, template=content))
    assert refused.reason == "TEMPLATE_NOT_APPROVED"
