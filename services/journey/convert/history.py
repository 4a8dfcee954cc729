"""Rows of the history of before records, as other services read them: as records of one fact each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from libs.common.feeds import journey_records as r
from libs.common.feeds.records import epoch_us
from services.journey.store import codec


def row_values(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row by its values, in the order of `libs.common.feeds.rows.RecordRow`. Raises for one that cannot be read."""
    at_us = epoch_us(row["at"])
    record = r.Record(at_us, [row["journey_id"].bytes], [_KINDS[row["kind"]](row, at_us)])
    return row["partition"], row["position"], row["team_id"], r.pack_record(record)


def _run_segment(row: Mapping[str, Any], at_us: int) -> r.Fact:
    segment = codec.read_run_segment(row["body"])
    steps = [
        r.StepRecord(
            step.node_id, step.visit, step.result, step.entered, step.detail, epoch_us(step.at) - at_us
        )
        for step in segment.steps
    ]
    return r.RunSegmentFact(
        0, row["customer_id"].bytes, row["enrolment_id"].bytes, segment.enrolled, segment.state, steps
    )


def _refusal(row: Mapping[str, Any], _at_us: int) -> r.Fact:
    return r.RefusalFact(0, row["customer_id"].bytes, codec.read_refusal(row["body"]).reason)


def _status(row: Mapping[str, Any], _at_us: int) -> r.Fact:
    change = codec.read_status(row["body"])
    return r.StatusFact(0, change.before, change.after, change.reason, change.name)


_KINDS: Mapping[int, Callable[[Mapping[str, Any], int], r.Fact]] = {
    codec.FactKind.RUN_SEGMENT: _run_segment,
    codec.FactKind.TRIGGER_REFUSED: _refusal,
    codec.FactKind.STATUS_CHANGED: _status,
}
