"""The forms of the five services, each with examples of all that it can hold.

When a struct gains a field, its old example stays (the field has its default) and one with the field set is added.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.audience import expressions as e
from libs.common.audience.expressions import AttributeType
from libs.common.feeds import gateway_records as gr
from libs.common.feeds import journey_records as jr
from libs.common.feeds import rows as fr
from libs.common.feeds.records import epoch_us
from libs.common.frequency import FrequencyRule
from libs.common.ids import derived_id, partition_of
from libs.common.mailbox import mail as m
from libs.common.paging import page_key, page_token
from services.channel_gateway.domain import content as gc
from services.channel_gateway.domain import model as g
from services.channel_gateway.store import frequency, rows
from services.journey.domain import effects as fx
from services.journey.domain import model as j
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, StepResult, WaitReason
from services.journey.domain.memory import Memory
from services.journey.domain.splits import way_of
from services.journey.domain.turn import RefusalReason
from services.journey.store import codec, packed
from services.points.domain import identity
from services.points.domain import model as p
from services.segment.domain import facts as f
from services.segment.domain import keys
from services.segment.domain import model as s
from services.segment.store import events, teams
from tests.golden.forms import Derived, Stored

A, B, C, D = (UUID(int=0x018F0000_0000_7000_8000_000000000000 + number) for number in range(1, 5))
AT: Final = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)

MAILS: Final[dict[str, m.Body]] = {
    "checkout": m.Checkout(C, "shop", "o-1", 12_340_000, "TWD", ["Tea", "茶"], True, False, False),
    "refund of an order": m.Refund(C, "shop", "r-1", "o-1", D, 5_000_000, "TWD"),
    "refund of none": m.Refund(C, "shop", "r-1", None, None, 5_000_000, "TWD"),
    "contact added": m.ContactAdded(2, C),
    "tag applied": m.TagApplied("VIP"),
    "tag applied after others": m.TagApplied("VIP", ("a", "b")),
    "refund of an order with a number": m.Refund(C, "shop", "r-1", "o-1", D, 5_000_000, "TWD", "#1"),
    "checkout with a number": m.Checkout(C, "shop", "o-1", 1, "TWD", [], True, False, False, "#1"),
    "checkout of a cart": m.Checkout(C, "shop", "o-1", 1, "TWD", [], True, False, False, "#1", "c-1"),
    "tag removed": m.TagRemoved("VIP"),
    "attribute changed": m.AttributeChanged("tier", AttributeType.TEXT, None, "gold"),
    "send outcome": m.SendOutcome(C, D, m.Outcome.SKIPPED, "BLOCKED", AT, 0),
    "system trigger": m.SystemTrigger(C, D),
    "system trigger with data": m.SystemTrigger(C, D, data={"code": "A7", "名": "好"}),
    "end of an enrolment": m.SystemTrigger(UUID(int=0), D, m.End(C, "she asked us to")),
    "profile changed": m.ProfileChanged(),
    "customer wrote": m.ProfileChanged(m.Said(1, C, "好")),
    "customer pressed": m.ProfileChanged(m.Said(2, C, "Yes", "size=m", D)),
    "a row that its source cannot read": m.Unreadable("ValidationError: no such tag"),
}

DEFINITION: Final = j.Definition(
    name="Welcome 歡迎",
    trigger=j.CheckoutTrigger("contains", ("tea",), 1, 99, "TWD"),
    nodes=(
        j.Node("hello", j.Message(j.Channel.LINE, bot_module_id=A), "code"),
        j.Node("code", j.Message(j.Channel.WHATSAPP, template=j.Template(B, ("{{customer.name}}",))), "wait"),
        j.Node("wait", j.Delay(3_600), "ask"),
        j.Node("ask", j.Condition(b"\x0a\x00", "tags", None)),
        j.Node("tags", j.Tags(("a",), ("b",)), "set"),
        j.Node("set", j.Attribute("tier", "gold"), "points"),
        j.Node("points", j.Points(-5)),
    ),
    targets=(j.Target(j.Channel.LINE, C, 37), j.Target(j.Channel.WHATSAPP, None)),
    schedule=j.Schedule(AT, AT + timedelta(days=1), j.ExpiryAction.STOP),
    quiet=(j.QuietWindow(1_380, 480, (6, 7)),),
    enrolments_per_customer_max=2,
)
DEFINITIONS: Final = {
    "everything": DEFINITION,
    "unfinished": j.Definition("Draft"),
    "with gaps": j.Definition(
        "Draft", draft=j.Draft(b"\x0a\x05Draft", (("trigger", "names no kind of event"),))
    ),
    "contact": j.Definition("By contact", j.ContactTrigger()),
    "tag": j.Definition("By tag", j.TagTrigger(("a", "b"))),
    "attribute": j.Definition("By attribute", j.AttributeTrigger(("tier",), ("gold",))),
    "attribute by a test": j.Definition(
        "By a number",
        j.AttributeTrigger(("spent",), (), j.ValueTest(e.AttributeType.NUMBER, 7, ("1.50",), "9")),
    ),
    "system": j.Definition("By call", j.SystemTriggerKind()),
    "waits for replies": j.Definition(
        "Reply",
        j.CheckoutTrigger(),
        (
            j.Node("text", j.Wait(j.ReplyEvent("is", ("yes",)), 60, "any", None, True)),
            j.Node("any", j.Wait(j.ReplyEvent(), 60, "press", None)),
            j.Node("press", j.Wait(j.ReplyEvent(button=j.ButtonReply("ask", ("a=1",))), 60, None, None)),
        ),
        goal=j.ReplyEvent(button=j.ButtonReply()),
    ),
    "capped, with a priority": j.Definition(
        "Capped",
        nodes=(j.Node("say", j.Message(j.Channel.LINE, A, capped_action=j.CappedAction.WAIT)),),
        priority=-7,
    ),
    "quiet by own clocks": j.Definition(
        "Own", quiet=(j.QuietWindow(0, 480),), quiet_zone=j.QuietZone.CUSTOMER, zone_attribute_key="zone"
    ),
    "split": j.Definition(
        "Test",
        nodes=(j.Node("divide", j.Split((j.Way(60, "wait"), j.Way(30), j.Way(10, holdout=True)))),),
    ),
    "wait and goal": j.Definition(
        "Cart",
        j.AttributeTrigger(("cart",)),
        (j.Node("w", j.Wait(j.CheckoutTrigger(), 3_600, None, "w2", True, True)), j.Node("w2", j.Points(1))),
        goal=j.TagTrigger(("done",)),
    ),
    "template with header and buttons": j.Definition(
        "Offer",
        nodes=(
            j.Node("a", j.Message(j.Channel.WHATSAPP, template=j.Template(B, ("x",), ("h",), ("", "b")))),
        ),
    ),
    "template with a document": j.Definition(
        "Order",
        nodes=(
            j.Node(
                "a",
                j.Message(
                    j.Channel.WHATSAPP,
                    template=j.Template(
                        B,
                        header_media=j.HeaderMedia(
                            j.MediaKind.DOCUMENT, "https://shop.example/a.pdf", "A.pdf"
                        ),
                    ),
                ),
            ),
        ),
    ),
}
_ALL_STEPS: Final = {
    result: Step(f"n{result.value}", 1, result, AT, result.value == 1, "why") for result in StepResult
}
STEPS: Final = tuple(step for result, step in _ALL_STEPS.items() if result <= StepResult.CANCELLED)
OF_WAITS: Final = tuple(
    _ALL_STEPS[result]
    for result in (
        *(StepResult.WAIT_STARTED, StepResult.HAPPENED, StepResult.TIMED_OUT),
        StepResult.GOAL_REACHED,
    )
)
WAYS: Final = (
    Step("divide", 1, StepResult.WAY_TAKEN, AT, True, "1"),
    Step("divide", 1, StepResult.HELD_OUT, AT, True, "3"),
)
TEN_WAYS: Final = j.Split(tuple(j.Way(10) for _ in range(10)))

ORDER: Final = s.OrderCompleted(
    "shop", "o-1", 12_340_000, "TWD", "#1", (s.Item("Tea", "2", 6_170_000, "TWD", "p", "k"),), True, True, "c"
)
REFUND: Final = s.OrderRefunded("shop", "r-1", 5_000_000, "TWD", "o-1", True)
PERSON: Final = s.IdentityKey(2, A, "886912345678")
FACTS: Final[dict[str, f.FactBody]] = {
    "order": f.OrderReported(f.OrderStage.COMPLETED, C, ORDER, True, s.Uncounted.COUNTS),
    "order of a cart": f.OrderReported(
        f.OrderStage.COMPLETED,
        C,
        s.OrderCompleted("shop", "o-2", 1, "TWD", cart_id="c-1"),
        True,
        s.Uncounted.COUNTS,
    ),
    "refund": f.RefundReported(C, None, REFUND, s.Uncounted.ORDER_UNCOUNTED),
    "contact joined": f.ContactJoined(PERSON),
    "contact removed": f.ContactRemoved(PERSON),
    "contact left": f.ContactLeft(PERSON),
    "contact returned": f.ContactReturned(PERSON),
    "message": f.MessageTaken(PERSON),
    "message with a text": f.MessageTaken(PERSON, "好"),
    "press of a button": f.MessageTaken(PERSON, "Yes", "size=m", D),
    "tag applied": f.TagApplied("VIP"),
    "tag applied after others": f.TagApplied("VIP", ("a", "b")),
    "tag applied quietly": f.TagApplied("VIP", (), True),
    "contact joined quietly": f.ContactJoined(PERSON, True),
    "attribute changed quietly": f.AttributeChanged("tier", 1, "silver", None, True),
    "refund of a known order": f.RefundReported(C, D, REFUND, s.Uncounted.COUNTS, "#1"),
    "tag removed": f.TagRemoved("VIP"),
    "attribute changed": f.AttributeChanged("tier", 1, "silver", None),
    "customer created": f.CustomerCreated("M-1"),
    "attribute defined": f.AttributeDefined("tier", 1, True, 2),
    "customer merged": f.CustomerMerged(B),
    "customer changed": f.CustomerChanged(("name", "phone")),
}
SETTINGS: Final = {
    "all set": s.TeamSettings(
        "Asia/Taipei",
        "TWD",
        (1, 2),
        "pro",
        5,
        timedelta(days=3),
        True,
        (1, 2),
        (s.CurrencyRate("HKD", "4.1"),),
    ),
    "by default": s.TeamSettings("UTC", "USD"),
}

CARDS: Final[tuple[gc.Card, ...]] = (
    gc.TextCard("Hi {{customer.name|friend}}"),
    gc.ImageCard("https://example.com/a.png", "https://example.com/b.png", "A"),
    gc.ButtonCard(
        "Choose", (gc.Button("Shop", gc.ButtonAction.URL, "https://example.com"),), "T", "https://i"
    ),
    gc.ConditionCard(gc.PointFigure.BALANCE, gc.PointComparison.BETWEEN, 1, 9, (gc.TextCard("some"),), ()),
    gc.CouponCard("c-1", "A coupon", "Claim"),
)
REPLIES: Final[tuple[gc.Card, ...]] = (
    gc.TextCard("Which?", (gc.Button("A", gc.ButtonAction.POSTBACK, "a=1"),), "All of them"),
)
CONNECTIONS: Final = {
    kind.value: g.Connection(kind, "sender", "owner", "bot", "token", ("now", "before"))
    for kind in g.ConnectionKind
}

_POSTED: Final[dict[str, p.Body]] = {
    "order": p.Earn(C, "shop", "o-1", 12_340_000, "TWD", True),
    "refund": p.Refund(C, D, "shop", "r-1", "o-1", 5_000_000, "TWD"),
    "journey": p.JourneyChange(-5, A, "Welcome", B, "points", True),
    "coupon": p.CouponSpend(80, A, "Mug", B),
    "import": p.ImportRow(50, True, A, "june.csv", 2),
    "undo": p.ImportUndo(50, 50, A, "june.csv", 2),
    "manual": p.Manual(-7, True, "complaint"),
    "merge": p.Merge(B, C),
}
_ENTRY: Final = p.Entry(
    *(A, B, 3, p.Source.JOURNEY, "journey", "Welcome", -5, 0, -5, 0, 95, 100, AT, AT + timedelta(seconds=1)),
    *(C, "journey", D, A, "points", "note"),
)
_PAGE: Final[tuple[Any, ...]] = (AT, A, 7, "x", None)


def _json(value: Any) -> bytes:
    return rows.json_of(value).encode()


def _mail(body: m.Body, view: m.CustomerView | None = None) -> m.Mail:
    return m.Mail(m.MailSource.SEGMENT, 3, 17, partition_of(A, B), A, B, C, AT, 2, body, view)


_KNOWN: Final = m.CustomerView(
    3, AT, "Mei", "M-1", "+886912345678", "mei@example.com", [m.KnownIdentity(1, C, "U1", True)], whole=True
)
_VIEWED: Final = {
    "with a view": _mail(m.ContactAdded(1, C), _KNOWN),
    "with a view of little": _mail(m.ContactAdded(1, C), m.CustomerView(3, AT, "", None, None, None, [])),
}


def _rows(*rows: fr.HistoryRow) -> Stored:
    """Pages of histories, as one service hands them to another."""
    kind = type(rows[0])
    bare = kind(0, 1, None)
    return Stored({"a page": [*rows, bare]}, fr.pack_rows, fr.reader_of(kind))


ENROLMENT: Final = Enrolment(
    *(A, D, B, C, D, 2, AT, EnrolmentState.LIVE, "wait", 1, WaitReason.DELAY, AT + timedelta(days=1))
)
LISTENING: Final = packed.LiveRow(
    msgspec.structs.replace(
        ENROLMENT, wait=WaitReason.EVENT, memory=Memory(AT, (b"\x07" * 16,), ("wait", "b"), True, "c")
    ),
    AT,
)
ENDED: Final = packed.LiveRow(
    msgspec.structs.replace(ENROLMENT, wait=WaitReason.SEND, wake_at=None, memory=Memory(AT, ended=True)),
    AT,
)
WITH_DATA: Final = packed.LiveRow(
    msgspec.structs.replace(ENROLMENT, memory=Memory(AT, data={"code": "A7", "名": "好"})), AT
)
LIVE: Final = packed.LiveRow(ENROLMENT, AT + timedelta(hours=1), listed=False, commits=(1, 1 << 62))
LISTED: Final = packed.LiveRow(
    msgspec.structs.replace(ENROLMENT, enrolment_id=B, wait=WaitReason.SEND, wake_at=None), AT, listed=True
)


FORMS: Final[dict[str, Stored | Derived]] = {
    "mail": Stored({**{label: _mail(body) for label, body in MAILS.items()}, **_VIEWED}, m.encode, m.decode),
    "journey_definitions": Stored(
        DEFINITIONS,
        lambda value: codec.definition_text(value).encode(),
        lambda data: codec.read_definition(data.decode()),
    ),
    "journey_run_segments": Stored(
        {
            "all results": codec.RunSegmentRecord(True, EnrolmentState.COMPLETED, STEPS),
            "ways of splits": codec.RunSegmentRecord(True, EnrolmentState.COMPLETED, WAYS),
            "results of waits": codec.RunSegmentRecord(False, EnrolmentState.CONVERTED, OF_WAITS),
        },
        codec.pack,
        codec.read_run_segment,
    ),
    "journey_refusals": Stored(
        {reason.name: codec.RefusalRecord(reason) for reason in RefusalReason}, codec.pack, codec.read_refusal
    ),
    "journey_status_changes": Stored(
        {
            reason.name: codec.StatusRecord(
                j.JourneyStatus.ACTIVE, j.JourneyStatus.STOPPING, reason, "Welcome"
            )
            for reason in j.StatusReason
        },
        codec.pack,
        codec.read_status,
    ),
    "journey_records": Stored(
        {
            "every kind of fact": jr.Record(
                epoch_us(AT),
                [C.bytes, D.bytes],
                [
                    jr.RunSegmentFact(
                        1, B.bytes, A.bytes, True, 1, [jr.StepRecord("a", 1, 2, True, "x", 3)], 4
                    ),
                    jr.RefusalFact(0, B.bytes, 3, 5),
                    jr.StatusFact(0, 3, 5, 1, "Welcome 歡迎", 6),
                ],
            ),
            "with revisions, and what was seen": jr.Record(
                epoch_us(AT),
                [C.bytes],
                [
                    jr.RunSegmentFact(
                        0, B.bytes, A.bytes, True, 1, [jr.StepRecord("a", 1, 10, True, "", 3, "tags: vip")], 4
                    )
                ],
                [12],
            ),
        },
        jr.pack_record,
        jr.read_record,
    ),
    "history_rows_of_journey": _rows(fr.RecordRow(63, 5, A.bytes, b"\x94\x01")),
    "history_rows_of_gateway": _rows(
        fr.GatewayRow(63, 5, A.bytes, 1, AT, B.bytes, C.bytes, "hello", 2, 2, "BLOCKED", 3, 1_500_000, "HKD"),
        fr.GatewayRow(63, 6, A.bytes, 4, AT, B.bytes, None, None, None, 1, "DELETED"),
    ),
    "history_rows_of_gateway_records": _rows(
        fr.GatewayRow(7, 7, A.bytes, 5, AT, None, None, None, None, None, body=b"\x93\x01")
    ),
    "history_rows_of_gateway_customers": _rows(
        fr.GatewayRow(7, 7, A.bytes, 5, AT, None, None, None, None, None, body=b"\x93\x01", customers=b"\x00")
    ),
    "gateway_records": Stored(
        {
            "every kind of fact": gr.Record(
                epoch_us(AT),
                [
                    gr.SettledFact(
                        *(C.bytes, "hello 歡迎", 2, D.bytes, 2, "BLOCKED", 3, 1_500_000, "HKD", 4),
                        sends=A.bytes + B.bytes + B.bytes + C.bytes,
                    ),
                    gr.SettledFact(
                        C.bytes, "hello", 1, b"", 6, "LINE_CAP_REACHED", 0, 0, "", 0, A.bytes + B.bytes
                    ),
                    gr.GoneFact(2, D.bytes, "DELETED"),
                ],
            ),
            "a receipt": gr.Record(
                epoch_us(AT),
                [
                    gr.ReceiptFact(
                        *(C.bytes, "hello 歡迎", 2, D.bytes, 2), sends=A.bytes + B.bytes + B.bytes + C.bytes
                    ),
                ],
            ),
            "a receipt of what failed": gr.Record(
                epoch_us(AT),
                [gr.ReceiptFact(C.bytes, "hello", 2, D.bytes, 4, A.bytes + B.bytes, "UNDELIVERABLE")],
            ),
            "a send that was unknown": gr.Record(
                epoch_us(AT),
                [
                    gr.ResolvedFact(
                        *(C.bytes, "hello 歡迎", 2, D.bytes, 5, 1, epoch_us(AT) - 1, 2), A.bytes + B.bytes
                    ),
                ],
            ),
            "a click": gr.Record(
                epoch_us(AT),
                [gr.ClickFact(C.bytes, "hello 歡迎", 1, D.bytes, A.bytes + B.bytes, B.bytes)],
            ),
        },
        gr.pack_record,
        gr.read_record,
    ),
    "history_rows_of_points": _rows(fr.EntryRow(63, 5, A.bytes, B.bytes, AT, 2, -5, 0, -7)),
    "history_rows_of_segment": _rows(
        fr.FactRow(63, 5, A.bytes, B.bytes, AT, 1, 0), fr.FactRow(63, 6, A.bytes, None, AT, 2, 1)
    ),
    "history_rows_of_segment_sales": _rows(
        fr.FactRow(63, 7, A.bytes, B.bytes, AT, 20, order=C.bytes, micros=150_000_000, currency="TWD")
    ),
    "history_rows_of_segment_contacts": _rows(
        fr.FactRow(63, 8, A.bytes, B.bytes, AT, 32, event=C.bytes, detail=("tier", "1", None, "gold"))
    ),
    "journey_actors": Stored(
        {"two journeys": {C: 1, D: 300}},
        lambda counts: codec.pack({journey.bytes: count for journey, count in counts.items()}),
        codec.read_entries,
    ),
    "journey_states": Stored(
        {
            "two live enrolments, one of them with a row": ([LIVE, LISTED], {C: 1, D: 300}),
            "one that remembers events": ([LISTENING], {}),
            "one that was ended while a message was under way": ([ENDED], {}),
            "one whose trigger came with data": ([WITH_DATA], {}),
            "nobody": ([], {}),
        },
        lambda state: packed.pack_state(*state),
        lambda data: packed.read_state(B, C, data, packed.Named(A, D, AT)),
    ),
    "journey_verdicts": Stored(
        {
            "both": {
                A: packed.KeptVerdict(C, fx.Verdict(belongs=True)),
                B: packed.KeptVerdict(C, fx.Verdict(belongs=False, reason="AUDIENCE_DELETED")),
            },
            "with what was seen": {A: packed.KeptVerdict(C, fx.Verdict(belongs=True, seen="tags: vip"))},
        },
        lambda kept: packed.pack_verdicts(kept) or b"",
        packed.read_verdicts,
    ),
    "segment_facts": Stored(FACTS, f.encode_body, f.decode_body),
    "segment_settings": Stored(SETTINGS, teams._ENCODE, teams._SETTINGS.decode),
    "segment_orders": Stored({"everything": ORDER}, events._ENCODE, events._ORDER.decode),
    "segment_refunds": Stored({"everything": REFUND}, events._ENCODE, events._REFUND.decode),
    "gateway_cards": Stored({"all kinds": CARDS, "quick replies": REPLIES}, _json, rows._CARDS.decode),
    "gateway_connections": Stored(CONNECTIONS, _json, rows._CONNECTION.decode),
    "gateway_frequency_rules": Stored(
        {
            "of all and of one channel": (
                FrequencyRule(0, 3, timedelta(days=7)),
                FrequencyRule(2, 1, timedelta(hours=1, microseconds=1)),
            ),
            "none": (),
        },
        lambda rules: frequency.rules_text(rules).encode(),
        lambda data: frequency.read_rules(data.decode()),
    ),
    "gateway_parts": Stored({"two": [b'{"a":1}', b"\xff"]}, rows.pack_parts, rows._PARTS.decode),
    "page_tokens": Stored(
        {"of all kinds": _PAGE},
        lambda key: page_token(key, A, "filter").encode(),
        lambda token: page_key(token.decode(), tuple[datetime, UUID, int, str, None], A, "filter"),
    ),
    "points_fingerprints": Derived(
        {
            label: identity.fingerprint(p.Posting(C, A, B, AT, "actor", body))
            for label, body in _POSTED.items()
        }
    ),
    "points_hashes": Derived(
        {"first": identity.chained(None, _ENTRY), "next": identity.chained(b"\x01" * 32, _ENTRY)}
    ),
    "keys": Derived(
        {
            "derived id": derived_id(A, "part", 1, B).bytes,
            "order": keys.order_key_of(A, "shop", "o-1").bytes,
            "refund": keys.refund_key_of(A, "shop", "r-1").bytes,
            "effect": fx.effect_key(A, "points", 2, "mark").bytes,
            "partition": bytes([partition_of(A, B)]),
            "ways of a split": bytes(way_of(TEN_WAYS, A, "divide", UUID(int=n)) for n in range(64)),
            "content of a report": keys.digest_of((keys.content_of(ORDER), AT)),
        }
    ),
}


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal, their types included: 1 is no True here."""
    return type(left) is type(right) and msgspec.to_builtins(left) == msgspec.to_builtins(right)
