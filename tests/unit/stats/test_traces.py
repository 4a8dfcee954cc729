"""The traces of what is counted."""

import pytest

from libs.common.feeds import gateway_records, journey_records
from libs.common.feeds.rows import EntryRow, GatewayRow, RecordRow
from services.stats.convert.traces import traces_of
from services.stats.domain.model import Source

FIRST, SECOND = (letter * 24 for letter in (b"a", b"b"))
TEAM = b"t" * 16


def of_journey(*traces: bytes) -> RecordRow:
    refusal = journey_records.RefusalFact(0, b"c" * 16, 1)
    record = journey_records.Record(0, [b"j" * 16], [refusal], [1], list(traces))
    return RecordRow(0, 1, TEAM, journey_records.pack_record(record))


def of_gateway(*traces: bytes) -> GatewayRow:
    receipt = gateway_records.ReceiptFact(b"j" * 16, "n", 1, b"a" * 16, 1, b"s" * 32)
    record = gateway_records.Record(0, [receipt], list(traces))
    return GatewayRow(0, 1, TEAM, kind=5, body=gateway_records.pack_record(record))


@pytest.mark.rule("X-04b")
def test_traces_are_read_from_records_each_once() -> None:
    rows = [of_journey(FIRST, SECOND), of_journey(), of_journey(FIRST, b"odd")]
    assert traces_of(Source.RECORDS, rows) == [FIRST, SECOND]
    assert traces_of(Source.GATEWAY, [of_gateway(), of_gateway(SECOND)]) == [SECOND]


def test_records_of_the_release_before_and_other_histories_have_none() -> None:
    old = RecordRow(0, 1, TEAM, journey_records.pack_record((1, 0, [], [])))
    assert traces_of(Source.RECORDS, [old]) == []
    assert traces_of(Source.GATEWAY, [GatewayRow(0, 1, TEAM, kind=1)]) == []
    assert traces_of(Source.POINTS, [EntryRow(0, 1, TEAM)]) == []
