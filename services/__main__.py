"""Runs all five services in one process: `python -m services`, as `omnijourney up --one-process` does (docs/adr/0028).

Each has its own credentials, role, port and servicers, as in a process of its own; its credentials file is the one of
its name in OMNIJOURNEY_CREDENTIALS_DIR.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from libs.common import credentials
from libs.common.config import credentials_dir_or_exit, load_or_exit
from libs.common.process import Member, run_together
from services.channel_gateway.app import app as channel_gateway
from services.channel_gateway.config import Settings as ChannelGateway
from services.journey.app import app as journey
from services.journey.config import Settings as Journey
from services.points.app import app as points
from services.points.config import Settings as Points
from services.segment.app import app as segment
from services.segment.config import Settings as Segment
from services.stats.app import app as stats
from services.stats.config import Settings as Stats


def main() -> int:
    """Serves until it is stopped; returns the exit code."""
    directory = credentials_dir_or_exit()
    members = [
        _member(directory, Journey, journey),
        _member(directory, Points, points),
        _member(directory, ChannelGateway, channel_gateway),
        _member(directory, Segment, segment),
        _member(directory, Stats, stats),
    ]
    return run_together("services", members)


def _member(directory: Path, settings: Any, app: Any) -> Member:
    file = credentials.file_of(directory, settings.service)
    return load_or_exit(settings, credentials_file=file), app


if __name__ == "__main__":
    sys.exit(main())
