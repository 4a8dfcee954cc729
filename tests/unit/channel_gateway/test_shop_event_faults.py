"""One item's fault is its own, whatever it does to the JSON around it; and what is said of it helps to mend it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.hints import Reason
from services.channel_gateway.domain import json_items, shop_events
from services.channel_gateway.domain.json_items import split_items
from services.channel_gateway.domain.shop_events import EventFaultError, ShopReport, parse
from services.channel_gateway.domain.shop_forms import FORMS

GOOD = (
    '{"event":"order.completed","event_id":"e1","occurred_at":"2026-03-02T11:59:00Z",'
    '"order":{"id":"o1","currency":"USD","total":"1"}}'
)
HALF = r"\ud83d"
"""Half of an emoji, as JSON.stringify writes a text that was cut in it."""


def with_more(more: str) -> str:
    return f"{GOOD[:-1]},{more}}}"


def with_line(line: str) -> str:
    return GOOD.replace('"total":"1"', f'"total":"1","items":[{{"name":"a"}},{line}]')


def first_of_three(item: str | bytes) -> ShopReport:
    """What is said of an item between two good ones, which are taken."""
    raw = item.encode("utf-8", "surrogatepass") if isinstance(item, str) else item
    reports, is_list = parse(b"[%b, %b ,%b]" % (GOOD.encode(), raw, GOOD.encode()))
    assert is_list
    first, middle, last = reports
    assert first.event is not None
    assert last.event is not None
    return middle


def named(report: ShopReport) -> list[tuple[str, Reason]]:
    return [(each.field, each.reason) for each in report.left_out]


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize(
    ("item", "field"),
    [
        (with_more(rf'"customer":{{"name":"Mei {HALF}"}}'), "customer.name"),
        (with_more(r'"customer":{"email":"\uDE00a@b.c"}'), "customer.email"),
        (with_more(r'"customer":{"phone":"\uDE00\uD83D"}'), "customer.phone"),
        (with_more(r'"customer":{"member_id":"\\\ud83d"}'), "customer.member_id"),
        (with_more('"customer":{"name":"\ud83d"}'), "customer.name"),
        (with_more('"customer":{"name":"X"}').encode().replace(b"X", b"\xff\xfe"), "customer.name"),
        (with_more(r'"customer":{"name":"\u0000"}'), "customer.name"),
        (with_line(rf'{{"name":"{HALF}","sku":"s"}}'), "order.items[1].name"),
        (with_line(r'{"name":"a\u0000"}'), "order.items[1].name"),
    ],
)
def test_a_name_or_hint_that_is_no_text_is_left_out_and_the_order_counts(
    item: str | bytes, field: str
) -> None:
    report = first_of_three(item)
    assert report.event is not None
    assert named(report) == [(field, Reason.CONTROL_CHARACTERS)]
    assert len(report.event.order.items or ()) in (0, 2)
    assert "\x00" not in report.event.content().decode()
    assert b"u0000" not in report.event.content()


@pytest.mark.parametrize(
    ("customer", "field", "reason"),
    [
        (f'{{"member_id":{"9" * 5000}}}', "customer.member_id", Reason.OUT_OF_RANGE),
        ('{"phone":1e999}', "customer.phone", Reason.OUT_OF_RANGE),
        ('{"name":' + "[" * 900 + "]" * 900 + "}", "customer.name", Reason.WRONG_TYPE),
        ('{"name":{"first":"Mei"}}', "customer.name", Reason.WRONG_TYPE),
        ("[]", "customer", Reason.WRONG_TYPE),
        ("7", "customer", Reason.WRONG_TYPE),
    ],
)
def test_nothing_that_is_said_of_the_customer_refuses_the_order(
    customer: str, field: str, reason: Reason
) -> None:
    report = first_of_three(with_more(f'"customer":{customer}'))
    assert report.event is not None
    assert named(report) == [(field, reason)]


@pytest.mark.parametrize(
    "more",
    [
        f'"note":"{HALF}"',
        f'"{HALF}":1',
        f'"customer":{{"{HALF}":1,"age":1e999,"born":{"9" * 5000}}}',
        '"x":1e999',
        f'"x":{"9" * 5000}',
        '"event_id":"e1"',
        r'"x":"\\ud83d \" [ { ]"',
        r'"x":"\ud83d\ude00"',
    ],
)
def test_what_nobody_reads_is_no_fault(more: str) -> None:
    report = first_of_three(with_more(more))
    assert report.event is not None
    assert report.left_out == ()


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize(
    ("item", "field"),
    [
        (GOOD.replace("o1", HALF), "order.id"),
        (GOOD.replace("e1", HALF), "event_id"),
        (GOOD.replace("o1", "\u200b"), "order.id"),
        (GOOD.replace("o1", " \u3164"), "order.id"),
        (GOOD.replace("e1", "\u2060"), "event_id"),
        (GOOD.replace("USD", HALF), "order.currency"),
        (GOOD.replace("order.completed", HALF), "event"),
        (with_line(f'{{"quantity":"{HALF}"}}'), "order.items[1].quantity"),
        (with_line(f'{{"sku":"{HALF}"}}'), "order.items[1].sku"),
        (GOOD.encode().replace(b"o1", b"\xc3("), "order.id"),
        (with_more('"x":' + "[" * 2000 + "]" * 2000), ""),
        (with_more('"x":' + '{"a":' * 2000 + "1" + "}" * 2000), ""),
        (with_more('"x":NaN'), ""),
        (with_more('"x":01'), ""),
        (with_more(r'"x":"\x"'), ""),
        (with_more(r'"x":"\ud8"'), ""),
        (with_more('"x":"a\nb"'), ""),
        (with_more("x:1"), ""),
        ("{'event':1}", ""),
        ("", ""),
        ("nul", ""),
        ("{}", "event"),
    ],
)
def test_an_item_that_cannot_be_used_is_refused_alone_with_its_field(item: str | bytes, field: str) -> None:
    report = first_of_three(item)
    assert report.event is None
    assert report.fault is not None
    assert report.fault.field == field
    assert report.fault.message
    assert report.fault.remedy


@pytest.mark.parametrize(
    "body",
    [
        "[", "[]", '["', f"[{GOOD}", f"[{GOOD}]]", f"[{GOOD}] 1", f"[{GOOD}}}", '[{"a":"]', f"[{GOOD},{{]",
        "[" * 100_000, "[" + "[" * 100_000 + "]" * 99_999, "[" + f'"{HALF}",' * 501 + "1]",
    ],
)  # fmt: skip
def test_a_list_that_does_not_end_as_it_began_is_refused_as_a_whole(body: str) -> None:
    with pytest.raises(EventFaultError):
        parse(body.encode())


def test_brackets_are_looked_at_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_items, "BRACKETS_MAX", 10)
    assert split_items(b"[" + b"[[],1]," * 3 + b"]", 500) is not None
    assert split_items(b"[" + b"[[],1]," * 6 + b"]", 500) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec=None), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(json_values, min_size=1, max_size=5), st.sampled_from([None, 1]))
def test_a_list_is_taken_apart_as_a_decoder_does(values: list[Any], indent: int | None) -> None:
    body = json.dumps(values, indent=indent).encode()
    items = split_items(body, 500)
    assert items is not None
    assert [json.loads(item) for item in items] == values


@given(st.text(st.characters(codec=None), max_size=20))
def test_text_is_changed_only_where_it_is_none(text: str) -> None:
    mended = json.loads(json_items.without_broken_text(json.dumps(text).encode()))
    whole = json.loads(json.dumps(text))  # halves that stand together are a character
    assert mended == "".join("\0" if "\ud800" <= each <= "\udfff" else each for each in whole)


@pytest.mark.parametrize(
    ("item", "field", "reason", "says", "remedy"),
    [
        (GOOD.replace("59:00Z", "59:60Z"), "occurred_at", Reason.MALFORMED, "no time", "leap second"),
        (GOOD.replace("59:00Z", "59:00"), "occurred_at", Reason.MALFORMED, "zone", "with its zone"),
        (GOOD.replace('"2026-03-02T11:59:00Z"', "1"), "occurred_at", Reason.WRONG_TYPE, "not a number", "2026-"),
        (GOOD.replace("o1", "o" * 201), "order.id", Reason.TOO_LONG, "200 characters", "200 characters"),
        (GOOD.replace("e1", ""), "event_id", Reason.MISSING, "empty", "1 to 100"),
        (GOOD.replace('"1"}', "1.5}"), "order.total", Reason.WRONG_TYPE, "must be a string", '"12.34"'),
        (GOOD.replace('"o1"', "7"), "order.id", Reason.WRONG_TYPE, "not a number", "in quotes"),
        (with_line(",".join(["{}"] * 1000)), "order.items", Reason.TOO_LONG, "1000", "at most 1000 lines"),
        (with_line('{"name":"%s"}' % ("n" * 501)), "order.items[1].name", Reason.TOO_LONG, "500", "500"),
        (with_line("[]"), "order.items[1]", Reason.WRONG_TYPE, "not a list", '"name": "Tea"'),
        (GOOD.replace("completed", "lost"), "event", Reason.MALFORMED, "none of", '"order.refunded"'),
        (with_more('"refund":[]'), "refund", Reason.WRONG_TYPE, "an object", '"amount"'),
        (with_more('"refund":{"amount":"1"}'), "refund.id", Reason.MISSING, "required", "refund"),
        (with_more('"x":' + "[" * 2000 + "]" * 2000), "", Reason.MALFORMED, "deep", "leave out"),
    ],
)  # fmt: skip
def test_a_remedy_says_what_would_be_right_in_the_field(
    item: str, field: str, reason: Reason, says: str, remedy: str
) -> None:
    report = first_of_three(item)
    assert report.fault is not None
    assert (report.fault.field, report.fault.reason) == (field, reason)
    assert says in report.fault.message
    assert remedy in report.fault.remedy
    for word in ("str", "int", "float", "array", "datetime", "Expected", "`", "RFC"):
        assert f" {word} " not in f" {report.fault.message} {report.fault.remedy} "


def _paths(kind: Any, path: str = "") -> list[str]:
    """All paths of a type, lists with `[]`."""
    if isinstance(kind, msgspec.inspect.UnionType):
        return [found for each in kind.types for found in _paths(each, path)]
    if isinstance(kind, msgspec.inspect.ListType):
        return [path, *_paths(kind.item_type, f"{path}[]")]
    if not isinstance(kind, msgspec.inspect.StructType):
        return [path]
    below = [_paths(field.type, f"{path}.{field.name}".removeprefix(".")) for field in kind.fields]
    return [path, *(each for paths in below for each in paths)]


def test_every_field_says_what_to_send() -> None:
    assert set(_paths(msgspec.inspect.type_info(shop_events.ShopEvent))) == set(FORMS)


@pytest.mark.rule("S-01c")
@pytest.mark.parametrize(
    ("attribution", "field", "reason"),
    [
        ({"click_id": "a\x1b"}, "attribution.click_id", Reason.CONTROL_CHARACTERS),
        ({"click_id": "x" * 201}, "attribution.click_id", Reason.TOO_LONG),
        ({"click_id": 7}, "attribution.click_id", Reason.WRONG_TYPE),
        ({"click_id": {"a": 1}}, "attribution.click_id", Reason.WRONG_TYPE),
        (7, "attribution", Reason.WRONG_TYPE),
        ([1], "attribution", Reason.WRONG_TYPE),
    ],
)
def test_a_click_that_cannot_be_one_is_left_out_and_the_order_counts(
    attribution: Any, field: str, reason: Reason
) -> None:
    report = first_of_three(with_more(f'"attribution":{json.dumps(attribution)}'))
    assert report.event is not None
    assert report.event.attribution is None or report.event.attribution.click_id is None
    assert [(each.field, each.reason) for each in report.left_out] == [(field, reason)]


@pytest.mark.rule("S-01c")
def test_a_click_of_broken_text_is_left_out_and_the_order_counts() -> None:
    report = first_of_three(with_more(f'"attribution":{{"click_id":"{HALF}"}}'))
    assert report.event is not None
    assert [each.field for each in report.left_out] == ["attribution.click_id"]
