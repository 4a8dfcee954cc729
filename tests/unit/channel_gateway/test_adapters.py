"""Request bodies and the meaning of answers, channel by channel; no network."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.channel_gateway.clients.channels import base, line_rules, meta_rules, page_rules
from services.channel_gateway.clients.channels.base import Verdict
from services.channel_gateway.clients.channels.line import LineWriter, aggregation_unit, retry_key
from services.channel_gateway.clients.channels.transport import retry_after_s
from services.channel_gateway.clients.channels.whatsapp import WhatsappWriter
from services.channel_gateway.config import checked_url
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    FlatCard,
    ImageCard,
    TemplateContent,
    TextCard,
)
from services.channel_gateway.domain.limits import utf16_units
from services.channel_gateway.domain.model import Channel, Reason
from services.channel_gateway.domain.prepare import ContentRefusedError
from services.channel_gateway.worker.attempts import delay_of
from tests.unit.channel_gateway.build import JOURNEY, TEMPLATE, send, template

URL = Button("Shop", ButtonAction.URL, "https://example.com")
CLAIM = Button("Claim", ButtonAction.POSTBACK, "c=claim")
YES = Button("Yes", ButtonAction.MESSAGE, "yes")


def line(*cards: FlatCard) -> list[dict[str, Any]]:
    return [msgspec.json.decode(part) for part in LineWriter().write_cards(send(), "U1", cards)]


def whatsapp(*cards: FlatCard) -> list[dict[str, Any]]:
    parts = WhatsappWriter().write_cards(send(channel=Channel.WHATSAPP), "4470", cards)
    return [msgspec.json.decode(part) for part in parts]


@pytest.mark.rule("C-05")
def test_line_puts_five_objects_into_a_message() -> None:
    (one,) = line(*(TextCard(str(number)) for number in range(5)))
    assert [item["text"] for item in one["messages"]] == list("01234")
    first, second = line(*(TextCard(str(number)) for number in range(6)))
    assert (len(first["messages"]), len(second["messages"])) == (5, 1)
    assert first["to"] == second["to"] == "U1"


@pytest.mark.rule("C-05")
def test_every_whatsapp_card_is_a_message() -> None:
    bodies = whatsapp(TextCard("a"), ImageCard("https://example.com/a.png", caption="b"))
    assert [body["type"] for body in bodies] == ["text", "image"]
    assert {body["to"] for body in bodies} == {"+4470"}
    assert len({body["biz_opaque_callback_data"] for body in bodies}) == 2


@pytest.mark.rule("C-01a")
def test_who_shows_no_number_on_whatsapp_is_addressed_by_id() -> None:
    (part,) = WhatsappWriter().write_cards(
        send(channel=Channel.WHATSAPP), "US.13491208655302741918", [TextCard("a")]
    )
    body = msgspec.json.decode(part)
    assert (body["recipient"], "to" in body) == ("US.13491208655302741918", False)


def test_line_buttons() -> None:
    (body,) = line(ButtonCard("Choose", (URL, CLAIM, YES), title="Hi"))
    message = body["messages"][0]
    assert message["altText"] == "Choose"
    assert [action["type"] for action in message["template"]["actions"]] == ["uri", "postback", "message"]


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize("piece", ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "x"])
def test_what_line_shows_in_lists_is_cut_as_line_counts_and_within_no_character(piece: str) -> None:
    (body,) = line(ButtonCard("x" + piece * 150, (YES,)))
    shown = body["messages"][0]["altText"]
    assert utf16_units(shown) <= 400
    assert ("x" + piece * 150).startswith(shown)
    shown.encode()


def test_a_picture_over_links_only_goes_ahead_of_them_on_whatsapp() -> None:
    bodies = whatsapp(ButtonCard("Choose", (URL,), image_url="https://example.com/a.png"))
    assert [body["type"] for body in bodies] == ["image", "interactive"]
    assert bodies[1]["interactive"]["body"]["text"] == "Choose"
    (answered,) = whatsapp(ButtonCard("Choose", (CLAIM,), image_url="https://example.com/a.png"))
    assert answered["interactive"]["header"]["image"]["link"] == "https://example.com/a.png"


def test_whatsapp_splits_answers_and_links() -> None:
    bodies = whatsapp(ButtonCard("Choose", (URL, CLAIM, YES)))
    assert [body["interactive"]["type"] for body in bodies] == ["button", "cta_url"]
    assert bodies[0]["interactive"]["body"]["text"] == "Choose"
    (only_link,) = whatsapp(ButtonCard("Choose", (URL,)))
    assert only_link["interactive"]["body"]["text"] == "Choose"


@pytest.mark.parametrize(
    "card",
    [
        TextCard("x" * 5_001),
        TextCard("\N{GRINNING FACE}" * 2_501),
        TextCard("  "),
        ButtonCard("x" * 161, (URL,)),
        ButtonCard("x" * 61, (URL,), title="t"),
    ],
)
def test_what_does_not_fit_line_is_refused(card: FlatCard) -> None:
    with pytest.raises(ContentRefusedError) as refused:
        line(card)
    assert refused.value.reason is Reason.CONTENT_INVALID


@pytest.mark.parametrize(
    "card", [TextCard("x" * 4_097), TextCard(""), ButtonCard("a", (YES, YES, YES, CLAIM))]
)
def test_what_does_not_fit_whatsapp_is_refused(card: FlatCard) -> None:
    with pytest.raises(ContentRefusedError):
        whatsapp(card)


def test_templates_are_for_whatsapp_only() -> None:
    content = TemplateContent(TEMPLATE, ("Mei", "120"), "Hello", ((0, "abc"),))
    (part,) = WhatsappWriter().write_template(send(), "4470", template(), content)
    components = msgspec.json.decode(part)["template"]["components"]
    assert [component["type"] for component in components] == ["header", "body", "button"]
    (named,) = WhatsappWriter().write_template(send(), "4470", template(parameter_names=("a", "b")), content)
    body = msgspec.json.decode(named)["template"]["components"][1]
    assert [item["parameter_name"] for item in body["parameters"]] == ["a", "b"]
    with pytest.raises(ContentRefusedError):
        LineWriter().write_template(send(), "U1", template(), content)


def test_retry_keys_are_the_same_in_every_attempt_and_differ_by_message() -> None:
    key = send().effect_key
    assert retry_key(key, 0) == retry_key(key, 0)
    assert retry_key(key, 0) != retry_key(key, 1)


def test_aggregation_units_fit_line() -> None:
    unit = aggregation_unit(JOURNEY, "hello")
    assert len(unit) == 22
    assert unit.isalnum()
    assert unit != aggregation_unit(JOURNEY, "other")


@pytest.mark.parametrize(
    ("status", "message", "verdict"),
    [
        (200, "", Verdict.SENT),
        (409, "The retry key is already accepted", Verdict.SENT),
        (400, "The request body has 2 error(s)", Verdict.FAILED),
        (400, "Failed to send messages", Verdict.FAILED),
        (401, "Authentication failed.", Verdict.FAILED),
        (403, "Access to this API is not available for your account", Verdict.FAILED),
        (410, "", Verdict.FAILED),
        (429, "You have reached your monthly limit.", Verdict.EXHAUSTED),
        (429, "The API rate limit has been exceeded. Try again later.", Verdict.RETRY),
        (429, "Something else", Verdict.RETRY),
        (500, "", Verdict.RETRY),
        (599, "", Verdict.RETRY),
    ],
)
def test_line_answers(status: int, message: str, verdict: Verdict) -> None:
    assert line_rules.rule_for(status, message).verdict is verdict


def test_line_accounts_and_quotas_are_told_apart() -> None:
    assert line_rules.rule_for(401, "").account_unusable
    assert line_rules.rule_for(429, "You have reached your monthly limit.").confirm is base.Confirm.LINE_QUOTA
    assert line_rules.rule_for(429, "The API rate limit has been exceeded.").backoff.holds_account


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [
        ((4, 80007, 130429, 131056, 131048, 2, 1, 131000, 131016, 133004, 131057), Verdict.RETRY),
        ((131047, 131050), Verdict.SKIPPED),
        ((131042, 132016), Verdict.EXHAUSTED),
        ((131049, 130472, 131026, 132000, 132005, 132007, 132012, 100, 131008, 131051), Verdict.FAILED),
        ((0, 3, 10, 190, 200, 299, 368, 131005, 131031, 133010, 134011), Verdict.FAILED),
    ],
)
def test_whatsapp_codes(codes: tuple[int, ...], verdict: Verdict) -> None:
    assert {meta_rules.whatsapp_rule(code, 400).verdict for code in codes} == {verdict}


def test_unlisted_whatsapp_codes_go_by_the_status() -> None:
    assert meta_rules.whatsapp_rule(999_999, 400).verdict is Verdict.FAILED
    rule = meta_rules.whatsapp_rule(999_999, 502)
    assert (rule.verdict, rule.backoff.attempts_max) == (Verdict.RETRY, 3)
    assert all(meta_rules.whatsapp_rule(code, 400).account_unusable for code in (0, 190, 200, 250, 368))
    assert not meta_rules.whatsapp_rule(100, 400).account_unusable


@pytest.mark.rule("C-04c")
def test_a_5xx_that_is_not_the_channels_own_leaves_open_whether_the_message_was_taken() -> None:
    for rule in (meta_rules.whatsapp_rule(None, 502), page_rules.page_rule({}, None, None, 502)):
        assert (rule.verdict, rule.reason) == (Verdict.UNKNOWN, Reason.NO_ANSWER)
    assert meta_rules.whatsapp_rule(None, 400).verdict is Verdict.FAILED
    assert page_rules.page_rule({}, None, None, 404).verdict is Verdict.FAILED


def test_waits_grow_to_their_bound_and_are_jittered() -> None:
    rng = random.Random(1)
    waits = [delay_of(base.NORMAL, attempts, rng) for attempts in range(1, 9)]
    for attempts, wait in enumerate(waits, start=1):
        full = min(60.0, 2.0 ** (attempts - 1))
        assert 0.75 * full <= wait <= full
    assert timedelta(seconds=delay_of(base.PAIR, 3, rng)) <= timedelta(seconds=64)


@pytest.mark.parametrize(
    "url", ["https://api.line.me", "http://127.0.0.1:9001", "http://[::1]:1", "http://localhost:1/"]
)
def test_https_or_loopback_addresses_are_taken(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url", ["http://api.line.me", "ftp://127.0.0.1", "api.line.me", "", "http://127.0.0.1.evil.example"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        checked_url(url)


def test_retry_after_in_seconds_is_honoured() -> None:
    assert retry_after_s({"Retry-After": "7"}) == 7.0
    assert retry_after_s({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert retry_after_s({}) == 0.0
