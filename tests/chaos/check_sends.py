"""Sends: none lost, and none twice but where a channel has no key; by the emulators' own files."""

from collections import Counter
from collections.abc import Iterator, Sequence
from uuid import UUID

from libs.common.feeds.gateway_records import SEND_BYTES, Record, SettledFact, read_record
from tests.chaos import records as r
from tests.chaos import world as w
from tests.chaos.case import Case, differ
from tests.chaos.records import Row

UNBOUND = "UNBOUND"


async def check_sends(case: Case) -> None:
    """The deliveries as they are, and what the channels received."""
    rows = await deliveries(case)
    _one_for_each_visit(case, rows)
    _settled(case, rows)
    settled = await case.records.rows("SELECT body FROM channel_gateway.history_record WHERE team_id = $1")
    told = Counter(key for row in settled for key in _keys(read_record(row["body"])))
    case.proofs.same("each outcome is told once", *differ(dict(told), {row["effect_key"]: 1 for row in rows}))
    _received_on_line(case, [row for row in rows if row["channel"] == r.LINE])
    _received_on_whatsapp(case, [row for row in rows if row["channel"] == r.WHATSAPP])


def _keys(record: Record) -> Iterator[UUID]:
    """The effect keys of the sends in a record."""
    for fact in record.facts:
        if isinstance(fact, SettledFact):
            for start in range(0, len(fact.sends), SEND_BYTES):
                yield UUID(bytes=fact.sends[start : start + 16])


async def deliveries(case: Case) -> list[Row]:
    """All of them."""
    return await case.records.rows(
        "SELECT effect_key, customer_id, channel, state, messages, message_ids, recipient, reason"
        " FROM channel_gateway.delivery WHERE team_id = $1"
    )


def _one_for_each_visit(case: Case, rows: Sequence[Row]) -> None:
    channel_of = {**dict.fromkeys(w.WHATSAPP_NODES, r.WHATSAPP), **dict.fromkeys(w.LINE_NODES, r.LINE)}
    wanted = {
        visit.effect_key: channel
        for run_segment in case.run_segments
        for visit in run_segment.entered
        if (channel := channel_of.get((case.name[visit.journey_id], visit.node_id)))
    }
    found = {row["effect_key"]: row["channel"] for row in rows}
    case.proofs.same("one delivery for each visit of a message node", *differ(found, wanted))


def _settled(case: Case, rows: Sequence[Row]) -> None:
    proofs = case.proofs
    unsettled: list[object] = [row["effect_key"] for row in rows if row["state"] >= r.UNSETTLED_FROM]
    proofs.none("deliveries not settled", unsettled)
    states = Counter(row["state"] for row in rows)
    for name, state in (
        ("sent", r.SENT),
        ("unknown", r.UNKNOWN),
        ("failed", r.FAILED),
        ("skipped", r.SKIPPED),
    ):
        proofs.counts[name] = states[state]
    others = set(states) - {r.SENT, r.SKIPPED, r.FAILED, r.UNKNOWN}
    proofs.same("sends that ended in another way", others, set())
    # Everybody is on WhatsApp and nobody blocks; on LINE some are not.
    skipped = {row["effect_key"]: row["reason"] for row in rows if row["state"] == r.SKIPPED}
    wanted = {
        row["effect_key"]: UNBOUND
        for row in rows
        if row["channel"] == r.LINE and row["customer_id"] in case.expected.off_line
    }
    proofs.same("skipped are the sends to those who are not on LINE", *differ(skipped, wanted))


def _received_on_line(case: Case, rows: Sequence[Row]) -> None:
    received = r.receipts(case.evidence.receipts, "line")
    by_key = {r.line_key(row["effect_key"]): row for row in rows}
    proofs = case.proofs
    proofs.none("LINE: messages of nobody's send", [key for key in received if key not in by_key])
    proofs.none("LINE: messages received twice", [key for key, ids in received.items() if len(ids) > 1])
    sent = {key for key, row in by_key.items() if row["state"] == r.SENT}
    proofs.none("LINE: sent and not received", [key for key in sent if key not in received])
    proofs.none("LINE: received and recorded as skipped", _stray(received, by_key))
    proofs.counts["received on LINE"] = len(received)
    proofs.counts["LINE unknown"] = sum(row["state"] == r.UNKNOWN for row in rows)
    proofs.counts["LINE doubles"] = sum(len(ids) - 1 for ids in received.values())


def _received_on_whatsapp(case: Case, rows: Sequence[Row]) -> None:
    received = r.receipts(case.evidence.receipts, "whatsapp")
    by_key = {str(row["effect_key"]): row for row in rows}
    proofs, allowed = case.proofs, case.evidence.silent_doubles
    proofs.none("WhatsApp: messages of nobody's send", [key for key in received if key not in by_key])
    lost: list[object] = [
        key
        for key, row in by_key.items()
        if row["state"] == r.SENT and not set(row["message_ids"]) & set(received.get(key, ()))
    ]
    proofs.none("WhatsApp: sent and not received", lost)
    proofs.none("WhatsApp: received and recorded as skipped", _stray(received, by_key))
    # An answer that says "not sent" after the message was taken is the one window (C-04).
    doubles = sum(len(ids) - 1 for ids in received.values())
    proofs.at_most("WhatsApp: doubles, against the times it denied what it took", doubles, allowed)
    denied = sum(by_key[key]["state"] == r.FAILED for key in received if key in by_key)
    proofs.at_most("WhatsApp: received and recorded as failed, against the same", denied, allowed)
    unknown = [key for key in received if key in by_key and by_key[key]["state"] == r.UNKNOWN]
    proofs.counts["received on WhatsApp"] = sum(len(ids) for ids in received.values())
    proofs.counts["unknown and received"] = len(unknown)
    unheard = [key for key, row in by_key.items() if row["state"] == r.UNKNOWN and key not in received]
    proofs.counts["unknown and never received"] = len(unheard)
    proofs.counts["WhatsApp doubles"] = doubles
    proofs.counts["WhatsApp doubles of unknown"] = sum(len(received[key]) > 1 for key in unknown)


def _stray(received: dict[str, list[str]], by_key: dict[str, Row]) -> list[object]:
    doubtful = (r.SENT, r.UNKNOWN, r.FAILED)
    return [key for key in received if key in by_key and by_key[key]["state"] not in doubtful]
