"""What is decided before the limits: accounts, content, identities, windows."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.channel_gateway.clients.channels.line import LineWriter
from services.channel_gateway.clients.channels.whatsapp import WhatsappWriter
from services.channel_gateway.domain.content import ModuleContent, TemplateContent, TemplateState, TextCard
from services.channel_gateway.domain.model import (
    Account,
    AccountState,
    Channel,
    ConnectionKind,
    Identity,
    Profile,
    Send,
    SendAnswer,
    SendState,
)
from services.channel_gateway.domain.prepare import Catalogue, Customer, Prepared, Writer, prepare
from tests.unit.channel_gateway.build import (
    ACCOUNT,
    MODULE,
    NOW,
    TEAM,
    TEMPLATE,
    account,
    module,
    send,
    template,
)

WRITERS: dict[ConnectionKind, Writer] = {
    ConnectionKind.LINE: LineWriter(),
    ConnectionKind.WHATSAPP: WhatsappWriter(),
}


def decided(
    one: Send,
    *,
    has: Account | None = None,
    profile: Profile | None = None,
    last_inbound: dict[tuple[UUID, str], Any] | None = None,
    templates: Any = None,
) -> Prepared | SendAnswer:
    here = account(one.channel) if has is None else has
    catalogue = Catalogue(
        accounts={(TEAM, here.account_id): here},
        default_accounts={(TEAM, here.channel): here},
        modules={(TEAM, MODULE): module(TextCard("Hi {{customer.name}}"))},
        templates={(TEAM, TEMPLATE): template()} if templates is None else templates,
        prices={},
        account_versions={},
    )
    known = profile or Profile("Mei", {}, (Identity(one.channel, ACCOUNT, "447700900123", False),))
    return prepare(one, catalogue, Customer(known, None, last_inbound or {}, {one.channel}), WRITERS, NOW)


def refusal(result: Prepared | SendAnswer) -> tuple[SendState, str]:
    assert isinstance(result, SendAnswer)
    return result.state, str(result.reason)


def test_a_send_that_may_leave_is_written() -> None:
    result = decided(send())
    assert isinstance(result, Prepared)
    assert result.recipient == "447700900123"
    assert b"Hi Mei" in result.parts[0]


def test_the_account_comes_first() -> None:
    nobody = Profile()
    disabled = msgspec.structs.replace(account(), state=AccountState.DISABLED)
    unusable = msgspec.structs.replace(account(), state=AccountState.UNUSABLE)
    assert refusal(decided(send(), has=disabled, profile=nobody)) == (SendState.FAILED, "ACCOUNT_DISABLED")
    assert refusal(decided(send(), has=unusable, profile=nobody)) == (SendState.FAILED, "ACCOUNT_UNUSABLE")
    gone = decided(send(account_id=UUID(int=99)))
    assert refusal(gone) == (SendState.EXHAUSTED, "BOT_MODULE_MISSING")
    other = decided(send(channel=Channel.WHATSAPP), has=account(Channel.LINE))
    assert refusal(other) == (SendState.FAILED, "ACCOUNT_MISSING")


def test_identities_count_on_their_account_only() -> None:
    elsewhere = Profile("Mei", {}, (Identity(Channel.LINE, UUID(int=98), "U1", False),))
    blocked = Profile("Mei", {}, (Identity(Channel.LINE, ACCOUNT, "U1", True),))
    assert refusal(decided(send(), profile=elsewhere)) == (SendState.SKIPPED, "UNBOUND")
    assert refusal(decided(send(), profile=blocked)) == (SendState.SKIPPED, "BLOCKED")


def test_of_several_identities_on_an_account_an_open_one_is_used() -> None:
    several = [
        Identity(Channel.LINE, ACCOUNT, f"U{n}", blocked) for n, blocked in enumerate((True, False, False))
    ]
    result = decided(send(), profile=Profile("Mei", {}, tuple(several)))
    assert isinstance(result, Prepared)
    assert result.recipient == "U1"
    closed = tuple(each._replace(blocked=True) for each in several)
    assert refusal(decided(send(), profile=Profile("Mei", {}, closed))) == (SendState.SKIPPED, "BLOCKED")


@pytest.mark.parametrize(
    ("name", "filled"),
    [
        ("Leave at door\nRing twice", "Leave at door Ring twice"),
        ("a\tb \r\n  c\u2028d", "a b c d"),
        ("a     b", "a b"),
        ("a    b\u3000c", "a    b\u3000c"),
    ],
)
def test_values_of_a_template_stand_in_one_line(name: str, filled: str) -> None:
    profile = Profile(name, {}, (Identity(Channel.WHATSAPP, ACCOUNT, "447700900123", False),))
    content = TemplateContent(TEMPLATE, ("{{customer.name}}", "b"))
    result = decided(send(channel=Channel.WHATSAPP, content=content), profile=profile)
    assert isinstance(result, Prepared)
    body = json.loads(result.parts[0])["template"]["components"][0]["parameters"]
    assert [each["text"] for each in body] == [filled, "b"]


@pytest.mark.rule("C-02a")
@pytest.mark.parametrize(
    ("hours", "chosen"),
    [
        ((30, 2), 1),
        ((2, 30), 0),
        ((5, 2), 1),
        ((None, 2), 1),
        ((30, None), 1),
        ((40, 30), 1),
        ((None, None), 0),
    ],
)
def test_of_several_identities_the_one_with_an_open_window_is_used(
    hours: tuple[int | None, int | None], chosen: int
) -> None:
    both = tuple(Identity(Channel.WHATSAPP, ACCOUNT, f"44770090012{n}", False) for n in range(2))
    last = {
        (ACCOUNT, each.external_id): NOW - timedelta(hours=ago)
        for each, ago in zip(both, hours, strict=True)
        if ago is not None
    }
    result = decided(send(channel=Channel.WHATSAPP), profile=Profile("Mei", {}, both), last_inbound=last)
    if hours == (40, 30):
        assert refusal(result) == (SendState.SKIPPED, "OUTSIDE_WINDOW")
        return
    assert isinstance(result, Prepared)
    assert result.recipient == both[chosen].external_id
    blocked = (*both[:chosen], both[chosen]._replace(blocked=True), *both[chosen + 1 :])
    result = decided(send(channel=Channel.WHATSAPP), profile=Profile("Mei", {}, blocked))
    assert isinstance(result, Prepared)
    assert result.recipient == both[1 - chosen].external_id


def test_missing_content_exhausts() -> None:
    lost = send(content=ModuleContent(UUID(int=97)))
    assert refusal(decided(lost)) == (SendState.EXHAUSTED, "BOT_MODULE_MISSING")
    content = TemplateContent(TEMPLATE, ("a", "b"))
    by_template = send(channel=Channel.WHATSAPP, content=content)
    missing = decided(by_template, templates={})
    assert refusal(missing) == (SendState.EXHAUSTED, "WHATSAPP_TEMPLATE_MISSING")
    disabled = {(TEAM, TEMPLATE): template(state=TemplateState.DISABLED)}
    assert refusal(decided(by_template, templates=disabled)) == (
        SendState.EXHAUSTED,
        "WHATSAPP_TEMPLATE_MISSING",
    )
    paused = {(TEAM, TEMPLATE): template(state=TemplateState.PAUSED)}
    assert refusal(decided(by_template, templates=paused)) == (SendState.FAILED, "TEMPLATE_NOT_APPROVED")


@pytest.mark.rule("C-10d")
def test_a_template_leaves_through_the_account_that_it_is_of_and_no_other() -> None:
    elsewhere = UUID(int=44)
    of_another = {(TEAM, TEMPLATE): template(account_id=elsewhere)}
    by_template = send(channel=Channel.WHATSAPP, content=TemplateContent(TEMPLATE, ("a", "b")))
    named = msgspec.structs.replace(by_template, account_id=ACCOUNT)
    assert refusal(decided(named, templates=of_another)) == (SendState.FAILED, "TEMPLATE_NOT_APPROVED")
    profile = Profile("Mei", {}, (Identity(Channel.WHATSAPP, elsewhere, "447700900123", False),))
    own = account(Channel.WHATSAPP, account_id=elsewhere)
    result = decided(by_template, has=own, profile=profile, templates=of_another)
    assert isinstance(result, Prepared)
    assert result.account.account_id == elsewhere


@pytest.mark.parametrize("texts", [("a",), ("a", "b", "c"), ("a", "{{attribute.none}}"), ("a", " ")])
def test_template_parameters_must_fit(texts: tuple[str, ...]) -> None:
    one = send(channel=Channel.WHATSAPP, content=TemplateContent(TEMPLATE, texts))
    assert refusal(decided(one)) == (SendState.FAILED, "TEMPLATE_PARAMETERS")


@pytest.mark.rule("J-30b")
@pytest.mark.parametrize(
    "texts",
    [
        {"header_parameter": "{{attribute.none}}"},
        {"header_parameter": "x" * 61},
        {"header_parameter": " "},
        {"button_parameters": ((0, "a"), (1, "{{attribute.none}}"))},
    ],
)
def test_parameters_of_header_and_buttons_must_fit(texts: dict[str, Any]) -> None:
    content = TemplateContent(TEMPLATE, ("a", "b"), **texts)
    one = send(channel=Channel.WHATSAPP, content=content)
    assert refusal(decided(one)) == (SendState.FAILED, "TEMPLATE_PARAMETERS")


@pytest.mark.rule("J-30b")
def test_a_long_text_of_variables_may_come_to_a_short_header() -> None:
    header = "{{customer.name|" + "x" * 80 + "}}"
    content = TemplateContent(TEMPLATE, ("a", "b"), header, ((1, "{{customer.name}}"),))
    result = decided(send(channel=Channel.WHATSAPP, content=content))
    assert isinstance(result, Prepared)
    [part] = result.parts
    assert part.count(b"Mei") == 2


def test_free_content_needs_an_open_window_where_it_is_known() -> None:
    free = send(channel=Channel.WHATSAPP)
    person = (ACCOUNT, "447700900123")
    closed = {person: NOW - timedelta(hours=24)}
    still_open = {person: NOW - timedelta(hours=23, minutes=59)}
    assert refusal(decided(free, last_inbound=closed)) == (SendState.SKIPPED, "OUTSIDE_WINDOW")
    assert isinstance(decided(free, last_inbound=still_open), Prepared)
    assert isinstance(decided(free), Prepared), "where nothing is known, the channel decides"
    by_template = send(channel=Channel.WHATSAPP, content=TemplateContent(TEMPLATE, ("a", "b")))
    assert isinstance(decided(by_template, last_inbound=closed), Prepared)
    assert isinstance(decided(send(), last_inbound=closed), Prepared), "LINE has no window"
