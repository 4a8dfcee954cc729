"""Runs the journey service alone: `python -m services.journey`."""

from __future__ import annotations

import sys

from libs.common.config import load_or_exit
from libs.common.process import run
from services.journey.app import app
from services.journey.config import Settings


def main() -> int:
    """Serves until it is stopped; returns the exit code."""
    return run("journey", load_or_exit(Settings), app)


if __name__ == "__main__":
    sys.exit(main())
