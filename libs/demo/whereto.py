"""How to look further once the demo has ended: its data are kept, and any gRPC client can ask."""

import os
import shlex
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from libs.client import ServiceName
from libs.common.config import DEFAULT_PORTS
from libs.console.config import PORT_DEFAULT as CONSOLE_PORT
from libs.demo.definitions import BIG_BASKET
from libs.demo.shopfront import Shopfront


def show_where_to_look(
    console: Console, directory: Path, shopfront: Shopfront, span: tuple[datetime, datetime]
) -> None:
    """Commands that work as they are printed, in the repository's folder, while `make up` runs on the demo's data.

    `span` is the time of the replay.
    """
    place = escape(shlex.quote(os.path.relpath(directory)))
    team = f'"team_id": "{shopfront.team_id}"'
    journey = f'{team}, "journey_id": "{shopfront.journeys[BIG_BASKET]}"'
    since, until = (f"{at.astimezone():%Y-%m-%dT%H:%M:%S}" for at in span)
    lines = [
        "",
        "[bold]Look further[/]: start the five services on the demo's data,",
        f"  OMNIJOURNEY_DATA_DIR={place} make up",
        f"look at them in a browser, at http://127.0.0.1:{CONSOLE_PORT}/tour with the token of {place}/token,",
        "or ask them in another terminal; they describe themselves, so no .proto file is needed (grpcurl comes with",
        "`make install-dev`):",
        f"  export PATH=$PWD/.venv/bin:$PATH TOKEN=$(cat {place}/token) OMNIJOURNEY_DATA_DIR={place}",
        f"  grpcurl -plaintext {_at('stats')} list",
        _ask("stats", "StatsService/GetTeamOverview", f"{{{team}}}"),
        _ask("stats", "StatsService/GetJourneyOverview", f"{{{journey}}}"),
        _ask("journey", "JourneyService/ListJourneys", f"{{{team}}}"),
        _ask("points", "PointsService/GetLedgerSummary", f"{{{team}}}"),
        f"  omnijourney journey simulate {BIG_BASKET} --team {shopfront.team_id} --since {since} --until {until}",
        f"Logs and the emulators' records: {place}/logs, {place}/emulators",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _at(service: ServiceName) -> str:
    return f"127.0.0.1:{DEFAULT_PORTS[service]}"


def _ask(service: ServiceName, method: str, body: str) -> str:
    return (
        f"""  grpcurl -plaintext -H "authorization: Bearer $TOKEN" -d '{body}' {_at(service)} """
        f"omnijourney.{service}.v1.{method}"
    )
