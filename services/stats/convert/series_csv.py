"""Figures by step as lines of CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.message import Message

from libs.common.csv_text import harmless
from libs.common.money import format_micros
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.stats.v1 import figures_pb2

Row = Mapping[str, str]
"""A line: column and cell."""


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Columns are those of any row, in the order in which they come first: amounts have one for each currency."""
    return list(dict.fromkeys(column for row in rows for column in row))


def row_of(message: Message, prefix: str = "") -> dict[str, str]:
    """One row of a message of figures."""
    row: dict[str, str] = {}
    for field in message.DESCRIPTOR.fields:
        value, name = getattr(message, field.name), f"{prefix}{field.name}"
        if field.is_repeated:
            row |= _each(field.name, value)
        elif isinstance(value, figures_pb2.Count | figures_pb2.Ratio):
            row[name] = str(value.value) if value.HasField("value") else ""
        elif isinstance(value, figures_pb2.Amounts):
            row |= {
                f"{name}_{each.currency_code}": format_micros(each.amount_micros) for each in value.amounts
            }
        elif field.name == "start_time":
            row[name] = value.ToJsonString()
        elif field.name == "figures":
            row |= row_of(value)
        elif field.name == "channel":
            row[name] = channel_pb2.Channel.Name(value).removeprefix("CHANNEL_")
        else:
            row[name] = harmless(str(value)) if isinstance(value, str) else str(value)
    return row


def _each(name: str, values: Iterable[Any]) -> dict[str, str]:
    """A column for each of what is counted by result, by way or by reason."""
    found: dict[str, str] = {}
    for each in values:
        if isinstance(each, figures_pb2.NodeResult):
            what = enrolment_pb2.StepResult.Name(each.result).removeprefix("STEP_RESULT_").lower()
            found[what] = str(each.count)
            found |= {f"{what}_{why.detail or 'unknown'}": str(why.count) for why in each.reasons}
        elif isinstance(each, figures_pb2.ReasonCount):
            what = name.removesuffix("_reasons")
            found[f"{what}_{each.detail or 'unknown'}"] = str(each.count)
        elif isinstance(each, enrolment_pb2.WayCount):
            found[f"way_{each.way}"] = str(each.count)
    return found
