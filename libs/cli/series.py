"""`omnijourney stats series`: figures by hour or day, as CSV, which every spreadsheet takes."""

from __future__ import annotations

import csv
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from google.protobuf.message import Message

from libs.cli.journeys import TIMEOUT_S, Command, id_of
from libs.client import Client
from libs.client.paging import items
from libs.common.money import format_micros
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as stats

Subject = Literal["journey", "nodes", "messages"]
Unit = Literal["hour", "day"]
PAGE: Final = 10_000
_STEPS: Final = {"hour": figures_pb2.STEP_HOUR, "day": figures_pb2.STEP_DAY}


def series(team_id: str, name: str, subject: Subject, unit: Unit, span: tuple[datetime, datetime]) -> Command:
    """Writes a journey's figures by hours or days of the team's zone, one a line: of it as a whole, of its nodes, or of
    its messages by channel. Times are those of UTC; what a figure is not known of is empty."""

    async def command(client: Client) -> int:
        asked = {
            "team_id": team_id,
            "journey_id": await id_of(client, team_id, name),
            "step": _STEPS[unit],
            "start_time": timestamp(span[0].astimezone()),
            "end_time": timestamp(span[1].astimezone()),
        }
        _write([_flat(each) async for each in _points(client, subject, asked)])
        return 0

    return command


async def _points(client: Client, subject: Subject, asked: Mapping[str, Any]) -> AsyncIterator[Message]:
    if subject == "journey":
        request = stats.GetJourneySeriesRequest(**asked)
        for point in (await client.stats.GetJourneySeries(request, timeout=TIMEOUT_S)).points:
            yield point
    elif subject == "nodes":
        listed = stats.ListNodeSeriesRequest(**asked, page_size=PAGE)
        async for each in items(client.stats.ListNodeSeries, listed, "points", timeout_s=TIMEOUT_S):
            yield each
    else:
        figures = stats.ListMessageFiguresRequest(**asked)
        for found in (await client.stats.ListMessageFigures(figures, timeout=TIMEOUT_S)).figures:
            yield found


def _write(rows: list[dict[str, str]]) -> None:
    """Columns are those of any row, in the order in which they come first: amounts have one for each currency."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _flat(message: Message) -> dict[str, str]:
    """One row of a message of figures."""
    row: dict[str, str] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if isinstance(value, figures_pb2.Count | figures_pb2.Ratio):
            row[field.name] = str(value.value) if value.HasField("value") else ""
        elif isinstance(value, figures_pb2.Amounts):
            for money in value.amounts:
                row[f"{field.name}_{money.currency_code}"] = format_micros(money.amount_micros)
        elif field.name == "start_time":
            row[field.name] = value.ToJsonString()
        elif field.name == "figures":
            row |= _flat(value)
        elif field.name == "channel":
            row[field.name] = channel_pb2.Channel.Name(value).removeprefix("CHANNEL_")
        elif field.is_repeated:
            row |= _counts(field.name, value)
        else:
            row[field.name] = str(value)
    return row


def _counts(name: str, values: Iterable[Any]) -> dict[str, str]:
    """A column for each of what is counted by result, by way or by reason."""
    found: dict[str, str] = {}
    for each in values:
        if isinstance(each, figures_pb2.NodeResult):
            what = enrolment_pb2.StepResult.Name(each.result).removeprefix("STEP_RESULT_").lower()
        elif isinstance(each, figures_pb2.ReasonCount):
            what = f"{name.removesuffix('_reasons')}_{each.detail or 'unknown'}"
        elif isinstance(each, enrolment_pb2.WayCount):
            what = f"way_{each.way}"
        else:
            continue  # who waits now is of no step
        found[what] = str(each.count)
    return found
