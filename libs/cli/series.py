"""`omnijourney stats series`: figures by hour or day, as CSV, which every spreadsheet takes."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Final, Literal

from libs.cli.journeys import Command, id_of
from libs.client import Client
from libs.common.rpc.values import timestamp
from omnijourney.stats.v1 import figures_pb2
from omnijourney.stats.v1 import stats_service_pb2 as stats

TIMEOUT_S: Final = 120.0
Subject = Literal["journey", "nodes", "messages", "team"]
Unit = Literal["hour", "day"]
_STEPS: Final = {"hour": figures_pb2.STEP_HOUR, "day": figures_pb2.STEP_DAY}
_SUBJECTS: Final = {
    "journey": stats.SERIES_SUBJECT_JOURNEY,
    "nodes": stats.SERIES_SUBJECT_NODES,
    "messages": stats.SERIES_SUBJECT_MESSAGES,
    "team": stats.SERIES_SUBJECT_TEAM,
}


def series(team_id: str, name: str, subject: Subject, unit: Unit, span: tuple[datetime, datetime]) -> Command:
    """Writes figures by hours or days of the team's zone, one a line: of a journey as a whole, of its nodes, of its
    messages by channel, or of the team. Times are those of UTC; what a figure is not known of is empty."""

    async def command(client: Client) -> int:
        request = stats.ExportSeriesRequest(
            team_id=team_id,
            subject=_SUBJECTS[subject],
            journey_id="" if subject == "team" else await id_of(client, team_id, name),
            step=_STEPS[unit],
            start_time=timestamp(span[0].astimezone()),
            end_time=timestamp(span[1].astimezone()),
        )
        async for piece in client.stats.ExportSeries(request, timeout=TIMEOUT_S):
            # The mark of the byte order is for files; a terminal or a program takes the text.
            sys.stdout.write(piece.csv.decode("utf-8-sig").replace("\r\n", "\n"))
        return 0

    return command
