"""What shops on Shopify, WooCommerce and Segment mean."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.channel_gateway.convert.events import customer_events
from services.channel_gateway.domain.inbox import InboxSource, StoredWebhook
from services.channel_gateway.domain.platforms import SOURCES, Platform, reports_of
from services.channel_gateway.domain.shop_events import EventFaultError

NOW = datetime(2026, 10, 1, tzinfo=UTC)
SHOPIFY_ORDER: dict[str, Any] = {
    "id": 5159806763157,
    "name": "#1042",
    "test": False,
    "created_at": "2026-09-22T08:14:46-04:00",
    "updated_at": "2026-09-22T08:20:00-04:00",
    "financial_status": "paid",
    "cancelled_at": None,
    "currency": "TWD",
    "total_price": "360.00",
    "current_total_price": "360.00",
    "email": "mei@example.com",
    "phone": None,
    "customer": {"id": 7777777777, "phone": "+886912345678", "first_name": "Mei", "last_name": "Chen"},
    "cart_token": "c1-830e",
    "note_attributes": [{"name": "browser_token", "value": "bt_1"}],
    "line_items": [
        {"id": 1, "product_id": 9876, "sku": "TS-L", "name": "T-shirt - L", "quantity": 3, "price": "100.00"}
    ],
    "refunds": [],
}
SHOPIFY_REFUND: dict[str, Any] = {
    "id": 929361464,
    "order_id": 5159806763157,
    "created_at": "2026-09-23T08:00:00-04:00",
    "refund_line_items": [{"id": 1, "quantity": 1, "subtotal": 100.0}],
    "transactions": [
        {"kind": "refund", "status": "success", "amount": "60.00", "currency": "TWD"},
        {"kind": "refund", "status": "success", "amount": "40.00", "currency": "TWD"},
        {"kind": "refund", "status": "failure", "amount": "99.00", "currency": "TWD"},
        {"kind": "sale", "status": "success", "amount": "360.00", "currency": "TWD"},
    ],
}
WOO_ORDER: dict[str, Any] = {
    "id": 727,
    "number": "727",
    "status": "processing",
    "currency": "USD",
    "date_created_gmt": "2026-09-22T12:14:46",
    "date_modified_gmt": "2026-09-22T13:00:00",
    "total": "29.35",
    "customer_id": 0,
    "billing": {
        "first_name": "Mei",
        "last_name": "Chen",
        "email": "mei@example.com",
        "phone": "0912-345-678",
    },
    "line_items": [
        {"id": 1, "name": "Tea", "product_id": 93, "quantity": 2, "price": 11.533333333333333, "sku": ""}
    ],
    "meta_data": [{"id": 1, "key": "_browser_token", "value": "bt_1"}],
    "refunds": [],
}
SEGMENT_CALL: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "58524f3a-3b76-4eac-aa97-d88bccdf4f77",
    "anonymousId": "bt_1",
    "userId": 42,
    "timestamp": "2026-09-22T12:14:46.000Z",
    "context": {"traits": {"email": "mei@example.com"}},
    "properties": {
        "order_id": "o1",
        "checkout_id": "c1",
        "total": 27.5,
        "currency": "USD",
        "products": [{"product_id": "9876", "sku": "TS-L", "name": "T-shirt", "price": 27.5, "quantity": 1}],
    },
}


def _said(platform: Platform, topic: str, body: Any) -> list[tuple[str, str, str | None]]:
    """Kind, id of the order or refund, and amount of each event; for what is none why, and where."""
    told: list[tuple[str, str, str | None]] = []
    for placed in reports_of(platform, topic, json.dumps(body).encode()):
        event, fault = placed.report.event, placed.report.fault
        if event is None:
            told.append(("refused", fault.field, fault.reason.name) if fault else ("ignored", "", None))
        elif event.refund is not None:
            told.append((event.event, event.refund.id, event.refund.amount))
        else:
            told.append((event.event, event.order.id or "", event.order.total))
    return told


def _shopify(topic: str, **changes: Any) -> list[tuple[str, str, str | None]]:
    return _said(Platform.SHOPIFY, topic, SHOPIFY_ORDER | changes)


def _woo(topic: str, **changes: Any) -> list[tuple[str, str, str | None]]:
    return _said(Platform.WOOCOMMERCE, topic, WOO_ORDER | changes)


def _segment(event: str, **properties: Any) -> list[tuple[str, str, str | None]]:
    call = SEGMENT_CALL | {"event": event, "properties": SEGMENT_CALL["properties"] | properties}
    return _said(Platform.SEGMENT, "", call)


ID = "5159806763157"


@pytest.mark.rule("C-20c")
@pytest.mark.parametrize("topic", ["orders/create", "orders/paid"])
def test_an_order_of_shopify_is_an_order(topic: str) -> None:
    (placed,) = reports_of(Platform.SHOPIFY, topic, json.dumps(SHOPIFY_ORDER).encode())
    event = placed.report.event
    assert event is not None
    assert placed.report.left_out == ()
    assert event.occurred_at == datetime(2026, 9, 22, 12, 14, 46, tzinfo=UTC)
    assert (event.order.id, event.order.number, event.order.currency, event.order.total) == (
        ID,
        "#1042",
        "TWD",
        "360.00",
    )
    assert event.order.cart == "c1-830e"
    assert event.order.items is not None
    (line,) = event.order.items
    assert (line.name, line.quantity_text, line.unit_price, line.product_id) == (
        "T-shirt - L",
        "3",
        "100.00",
        "9876",
    )
    who = event.customer
    assert (who.member_id, who.phone, who.email) == ("7777777777", "+886912345678", "mei@example.com")
    assert (who.name, who.browser_token) == ("Mei Chen", "bt_1")


@pytest.mark.rule("C-20c")
def test_an_edit_of_shopify_says_what_is_left_and_what_was_given_back() -> None:
    completed = ("order.completed", ID, "360.00")
    assert _shopify("orders/updated") == [("order.updated", ID, "360.00"), completed]
    assert _shopify("orders/updated", current_total_price="260.00") == [
        ("order.updated", ID, "260.00"),
        completed,
    ]
    refunded = ("order.refunded", "929361464", "100.00")
    given_back = _shopify("orders/updated", current_total_price=None, refunds=[SHOPIFY_REFUND])
    assert given_back == [refunded, ("order.updated", ID, "260.00"), completed]
    lowered = _shopify("orders/updated", total_price="260.00", current_total_price=None)
    assert lowered == [("order.updated", ID, "260.00"), ("order.completed", ID, "260.00")]


@pytest.mark.rule("C-20c")
def test_a_cancelled_order_of_shopify_comes_to_nothing() -> None:
    nothing = [("order.updated", ID, "0")]
    assert _shopify("orders/cancelled") == nothing
    assert _shopify("orders/updated", cancelled_at="2026-09-23T08:00:00Z") == nothing
    assert _shopify("orders/updated", financial_status="voided") == nothing


@pytest.mark.rule("C-20c")
def test_a_refund_of_shopify_is_what_was_paid_back() -> None:
    refunded = ("order.refunded", "929361464", "100.00")
    assert _said(Platform.SHOPIFY, "refunds/create", SHOPIFY_REFUND) == [refunded]
    restocked = SHOPIFY_REFUND | {"transactions": []}
    assert _said(Platform.SHOPIFY, "refunds/create", restocked) == [("ignored", "", None)]
    shop_money = {"shop_money": {"amount": "70.00", "currency_code": "TWD"}}
    foreign = {
        "kind": "refund",
        "status": "success",
        "amount": "2.00",
        "currency": "EUR",
        "amount_set": shop_money,
    }
    body = SHOPIFY_REFUND | {"transactions": [foreign]}
    (placed,) = reports_of(Platform.SHOPIFY, "refunds/create", json.dumps(body).encode())
    event = placed.report.event
    assert event is not None
    assert event.refund is not None
    assert (event.order.currency, event.refund.amount, event.order.id) == ("TWD", "70.00", ID)


@pytest.mark.rule("C-20c")
def test_an_order_of_woocommerce_counts_once_it_is_placed() -> None:
    completed = ("order.completed", "727", "29.35")
    assert _woo("order.created") == [completed]
    assert _woo("order.updated") == [("order.updated", "727", "29.35"), completed]
    for state in ("pending", "checkout-draft"):
        assert _woo("order.updated", status=state) == [("ignored", "", None)]
    for state in ("cancelled", "failed"):
        assert _woo("order.updated", status=state) == [("order.updated", "727", "0")]
    refunds = [{"id": 733, "reason": "", "total": "-10.00"}, {"id": 734, "reason": "late", "total": "-0.35"}]
    assert _woo("order.updated", refunds=refunds) == [
        ("order.refunded", "733", "10.00"),
        ("order.refunded", "734", "0.35"),
        ("order.updated", "727", "19.00"),
        completed,
    ]
    assert _woo("product.updated") == [("ignored", "", None)]


def test_times_of_woocommerce_are_of_utc_and_guests_have_no_number() -> None:
    (placed,) = reports_of(Platform.WOOCOMMERCE, "order.created", json.dumps(WOO_ORDER).encode())
    event = placed.report.event
    assert event is not None
    assert event.occurred_at == datetime(2026, 9, 22, 12, 14, 46, tzinfo=UTC)
    who = event.customer
    assert (who.member_id, who.phone, who.name, who.browser_token) == ("", "0912-345-678", "Mei Chen", "bt_1")
    assert event.order.items is not None
    (line,) = event.order.items
    assert (line.unit_price, line.quantity_text, line.product_id) == ("11.533333", "2", "93")


@pytest.mark.rule("C-20c")
def test_calls_of_segment_are_what_its_specification_says() -> None:
    message = SEGMENT_CALL["messageId"]
    assert _segment("Order Completed") == [("order.completed", "o1", "27.5")]
    assert _segment("Order Completed", total=None, revenue=30) == [("order.completed", "o1", "30")]
    assert _segment("Order Updated", total=20) == [
        ("order.updated", "o1", "20"),
        ("order.completed", "o1", "20"),
    ]
    assert _segment("Order Refunded", total=7.5) == [("order.refunded", message, "7.5")]
    assert _segment("Order Refunded", total=7.5, refund_id=9) == [("order.refunded", "9", "7.5")]
    assert _segment("Order Refunded", total=None, products=None) == [("order.updated", "o1", "0")]
    assert _segment("Order Cancelled") == [("order.updated", "o1", "0")]
    assert _segment("Product Viewed") == [("ignored", "", None)]
    batch = {"batch": [SEGMENT_CALL, {"type": "identify"}, 7, SEGMENT_CALL | {"event": "Order Updated"}]}
    placed = reports_of(Platform.SEGMENT, "", json.dumps(batch).encode())
    assert [each.at for each in placed] == ["[0]", "[1]", "[2]", "[3]", "[3]"]
    (placed_one,) = reports_of(Platform.SEGMENT, "", json.dumps(SEGMENT_CALL).encode())
    event = placed_one.report.event
    assert event is not None
    assert (event.customer.member_id, event.customer.browser_token) == ("42", "bt_1")
    assert (event.customer.email, event.order.cart) == ("mei@example.com", "c1")


@pytest.mark.rule("C-20c", "C-20d")
@pytest.mark.parametrize(
    ("said", "field"),
    [
        (_shopify("orders/create", id=None), "id"),
        (_shopify("orders/create", currency="NT$"), "currency"),
        (_shopify("orders/create", currency=None), "currency"),
        (_shopify("orders/create", total_price="1,000.00"), "total_price"),
        (_shopify("orders/create", created_at="2026-09-22 08:14"), "created_at"),
        (_shopify("orders/create", created_at="0001-01-01T00:00:00Z"), "created_at"),
        (_shopify("orders/create", line_items=[{"quantity": "many"}]), "line_items[0].quantity"),
        (_shopify("orders/create", line_items=[{}, 7]), "line_items[1]"),
        (_shopify("orders/updated", total_price=10**40, current_total_price=10**40), "total_price"),
        (
            _shopify("orders/updated", refunds=[SHOPIFY_REFUND | {"transactions": 7}], total_price=1e300),
            "total_price",
        ),
        (_woo("order.created", total="free"), "total"),
        (_woo("order.created", line_items=[{"price": "x"}]), "line_items[0].price"),
        (_woo("order.created", date_created_gmt=None), "date_created_gmt"),
        (_segment("Order Completed", order_id=None), "properties.order_id"),
        (_segment("Order Completed", currency=None), "properties.currency"),
        (_segment("Order Completed", products=[{"price": "dear"}]), "properties.products[0].price"),
        (_segment("Order Refunded", total=-5), "properties.total"),
    ],
)
def test_what_cannot_be_said_is_told_by_the_platforms_own_path(
    said: list[tuple[str, str, str | None]], field: str
) -> None:
    assert said[-1][:2] == ("refused", field)


def test_an_event_of_nothing_that_is_known_has_no_name_of_a_program_as_its_id() -> None:
    for platform, topic in ((Platform.SHOPIFY, "orders/updated"), (Platform.WOOCOMMERCE, "order.updated")):
        for each in reports_of(
            platform, topic, b'{"currency": "TWD", "total_price": "1", "status": "processing"}'
        ):
            assert "None" not in each.report.event_id


def test_lines_below_zero_are_taken() -> None:
    returned = [{"name": "Cup", "quantity": -1, "price": "50.00"}]
    assert _shopify("orders/create", total_price="-50.00", current_total_price=None, line_items=returned)[
        -1
    ] == (
        "order.completed",
        ID,
        "-50.00",
    )


def _paid_back(**changes: Any) -> dict[str, Any]:
    transaction = SHOPIFY_REFUND["transactions"][0] | changes
    return SHOPIFY_REFUND | {"transactions": [transaction, SHOPIFY_REFUND["transactions"][1]]}


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize(
    ("refund", "field"),
    [
        (_paid_back(amount="1,234.00"), "transactions[0].amount"),
        (_paid_back(amount=None), "transactions[0].amount"),
        (_paid_back(amount="1e3"), "transactions[0].amount"),
        (_paid_back(amount="-60.00"), "transactions[0].amount"),
        (
            _paid_back(amount_set={"shop_money": {"amount": "?"}}),
            "transactions[0].amount_set.shop_money.amount",
        ),
        (_paid_back(currency="EUR"), "transactions[1].currency"),
        (_paid_back(kind=None), "transactions[0].kind"),
        (_paid_back(status="reversed"), "transactions[0].status"),
        (SHOPIFY_REFUND | {"transactions": "60.00"}, "transactions[0].kind"),
        (SHOPIFY_REFUND | {"transactions": [7]}, "transactions[0].kind"),
    ],
)
def test_a_refund_of_shopify_that_does_not_say_how_much_is_set_aside(refund: Any, field: str) -> None:
    assert _said(Platform.SHOPIFY, "refunds/create", refund) == [("refused", field, "MALFORMED")]
    completed = ("order.completed", ID, "360.00")
    within = _shopify("orders/create", current_total_price=None, refunds=[refund])
    assert within == [("refused", f"refunds[0].{field}", "MALFORMED"), completed]
    told = _shopify("orders/updated", current_total_price="260.00", refunds=[refund])
    assert told[1:] == [("order.updated", ID, "260.00"), completed]


@pytest.mark.rule("C-20d")
def test_nothing_of_money_is_passed_over_since_it_has_another_form() -> None:
    completed = ("order.completed", ID, "360.00")
    for refunds in (7, [7], "100.00"):
        assert _shopify("orders/create", refunds=refunds) == [
            ("refused", "refunds[0]", "MALFORMED"),
            completed,
        ]
        assert _woo("order.created", refunds=refunds)[0] == ("refused", "refunds[0]", "MALFORMED")
    left = _shopify("orders/updated", current_total_price="1,234.00")
    assert left == [("refused", "current_total_price", "MALFORMED"), completed]
    unread = [{"id": 733, "total": "ten"}, {"id": 734}, {"id": 735, "total": "-10.00"}]
    assert _woo("order.updated", refunds=unread) == [
        ("refused", "refunds[0].total", "MALFORMED"),
        ("refused", "refunds[1].total", "MALFORMED"),
        ("order.refunded", "735", "10.00"),
        ("order.completed", "727", "29.35"),
    ]
    assert _segment("Order Refunded", total=None)[0] == ("refused", "properties.total", "MISSING")
    assert _segment("Order Refunded", total="", products=None)[0] == (
        "refused",
        "properties.total",
        "MISSING",
    )
    assert _said(Platform.SEGMENT, "", {"batch": SEGMENT_CALL}) == [("refused", "batch", "MALFORMED")]


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("platform", [Platform.SHOPIFY, Platform.WOOCOMMERCE])
def test_a_webhook_whose_headers_were_lost_is_set_aside_now_and_when_it_is_worked(platform: Platform) -> None:
    ((kind, field, reason),) = _said(platform, "", SHOPIFY_ORDER)
    assert (kind, reason) == ("refused", "MISSING")
    body = json.dumps(SHOPIFY_ORDER).encode()
    webhook = StoredWebhook(1, UUID(int=1), SOURCES[platform], "demo", "w1", body, NOW)
    converted = customer_events(webhook, timedelta(minutes=5))
    assert (converted.events, [fault.event_index for fault in converted.faults]) == ([], [0])
    assert field in converted.faults[0].reason


@pytest.mark.rule("C-20c")
def test_what_senders_spell_otherwise_is_understood() -> None:
    refunded = ("order.refunded", "929361464", "100.00")
    assert _said(Platform.SHOPIFY, "refunds/create", _paid_back(kind="REFUND", status="SUCCESS")) == [
        refunded
    ]
    numbered = {"2": WOO_ORDER["line_items"][0]}
    assert _woo("order.created", line_items=numbered, currency="usd") == [("order.completed", "727", "29.35")]
    assert _woo("order.created", refunds={}) == [("order.completed", "727", "29.35")]
    assert _woo("order.updated", refunds={"3": {"id": 735, "total": -10}})[0] == (
        "order.refunded",
        "735",
        "10.00",
    )
    assert _woo("order.updated", status="wc-cancelled") == [("order.updated", "727", "0")]
    assert _segment("order completed", currency="twd") == [("order.completed", "o1", "27.5")]


@pytest.mark.rule("C-20c")
def test_what_an_order_can_do_without_costs_no_order() -> None:
    completed = ("order.completed", ID, "360.00")
    line = SHOPIFY_ORDER["line_items"][0]
    odds: tuple[Any, ...] = ("x" * 300, {}, [7], True)
    for odd in odds:
        assert _shopify("orders/create", name=odd, cart_token=odd) == [completed]
        lines = [line | {"name": odd, "sku": odd, "product_id": odd}]
        assert _shopify("orders/create", line_items=lines) == [completed]
        assert _woo("order.created", number=odd) == [("order.completed", "727", "29.35")]
    long = line | {"name": "x" * 600}
    body = json.dumps(SHOPIFY_ORDER | {"line_items": [long]}).encode()
    (placed,) = reports_of(Platform.SHOPIFY, "orders/create", body)
    assert placed.report.event is not None
    assert placed.report.event.order.items is not None
    assert placed.report.event.order.items[0].name == "x" * 500


@pytest.mark.rule("C-20c")
def test_times_without_a_zone_are_of_utc_where_the_platform_has_no_zone() -> None:
    for time in ("2026-09-22T12:14:46", "2026-09-22 12:14:46", "2026-09-22T12:14:46.000Z"):
        for call in (
            SEGMENT_CALL | {"timestamp": time},
            SEGMENT_CALL | {"timestamp": None, "receivedAt": time},
        ):
            (placed,) = reports_of(Platform.SEGMENT, "", json.dumps(call).encode())
            assert placed.report.event is not None
            assert placed.report.event.occurred_at == datetime(2026, 9, 22, 12, 14, 46, tzinfo=UTC)
        assert _woo("order.created", date_created_gmt=time) == [("order.completed", "727", "29.35")]
    assert _shopify("orders/create", created_at="2026-09-22T12:14:46")[0][0] == "refused", (
        "Shopify says its zone"
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b"NaN", b"[" * 100_000])
@pytest.mark.parametrize("platform", list(Platform))
def test_what_is_no_body_is_refused_as_a_whole(platform: Platform, body: bytes) -> None:
    try:
        reports = reports_of(platform, "orders/create", body)
    except EventFaultError:
        return
    assert platform is Platform.SEGMENT
    assert all(placed.report.fault is not None for placed in reports)


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("platform", list(Platform))
def test_nothing_is_nested_so_deep_that_it_is_our_fault(platform: Platform) -> None:
    """What can just be read is put into our form, or refused."""
    named = b'"type": "track", "event": "Order Completed", "status": "paid"'
    for depth in range(900, 1_000):
        body = b'{%b, "id": %b, "userId": %b}' % (named, *[b"[" * depth + b"]" * depth] * 2)
        with contextlib.suppress(EventFaultError):
            assert reports_of(platform, "orders/create", body)


@pytest.mark.rule("C-20d")
def test_what_is_refused_of_a_stored_webhook_is_kept_beside_it_and_the_rest_goes_on() -> None:
    refund = SHOPIFY_REFUND | {"id": None}
    body = json.dumps(SHOPIFY_ORDER | {"refunds": [refund]}).encode()
    webhook = StoredWebhook(1, UUID(int=1), InboxSource.SHOPIFY, "demo", "orders/updated w1", body, NOW)
    converted = customer_events(webhook, timedelta(minutes=5))
    assert [event.WhichOneof("event") for event in converted.events] == ["order_updated", "order_completed"]
    assert list(converted.places) == [1, 2]
    (fault,) = converted.faults
    assert fault.event_index == 0
    assert fault.reason.startswith("INVALID_FIELDS: refunds[0].id: ")
    assert converted.events[0].order_updated.left_amount.amount_micros == 360_000_000


ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e300,
    10**400,
    "",
    "\x00",
    "x" * 300,
    [],
    {},
    [[]],
    [7],
    {"a": {}},
    [{}],
)


def _spoilt(body: Any) -> Iterator[Any]:
    """The same with one thing after the other odd, or gone."""
    places = list(body) if isinstance(body, dict) else range(len(body)) if isinstance(body, list) else ()
    for place in places:
        for odd in ODD:
            spoilt = body.copy()
            spoilt[place] = odd
            yield spoilt
        for inner in _spoilt(body[place]):
            spoilt = body.copy()
            spoilt[place] = inner
            yield spoilt


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize(
    ("platform", "topic", "body"),
    [
        (Platform.SHOPIFY, "orders/updated", SHOPIFY_ORDER | {"refunds": [SHOPIFY_REFUND]}),
        (Platform.SHOPIFY, "refunds/create", SHOPIFY_REFUND),
        (Platform.WOOCOMMERCE, "order.updated", WOO_ORDER | {"refunds": [{"id": 1, "total": "-1.00"}]}),
        (Platform.SEGMENT, "", [SEGMENT_CALL, SEGMENT_CALL | {"event": "Order Updated"}]),
        (Platform.SEGMENT, "", SEGMENT_CALL | {"event": "Order Refunded"}),
    ],
)
def test_nothing_that_is_odd_ends_more_than_its_item(platform: Platform, topic: str, body: Any) -> None:
    for spoilt in _spoilt(body):
        sent = json.dumps(spoilt).encode()
        try:
            reports = reports_of(platform, topic, sent)
        except EventFaultError:
            continue
        source, kept = SOURCES[platform], f"{topic} w1"
        webhook = StoredWebhook(1, UUID(int=1), source, "demo", kept, sent, NOW)
        converted = customer_events(webhook, timedelta(minutes=5))
        assert len(converted.events) == sum(placed.report.event is not None for placed in reports)
