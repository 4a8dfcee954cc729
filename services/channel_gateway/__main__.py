"""Runs the gateway alone: `python -m services.channel_gateway`."""

from __future__ import annotations

import sys

from libs.common.config import load_or_exit
from libs.common.process import run
from services.channel_gateway.app import app
from services.channel_gateway.config import Settings


def main() -> int:
    """Serves until told to stop; returns the exit code."""
    return run("channel_gateway", load_or_exit(Settings), app)


if __name__ == "__main__":
    sys.exit(main())
