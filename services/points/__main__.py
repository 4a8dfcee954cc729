"""Runs points alone: `python -m services.points`."""

from __future__ import annotations

import sys

from libs.common.config import load_or_exit
from libs.common.process import run
from services.points.app import app
from services.points.config import Settings


def main() -> int:
    """Serves until told to stop; returns the exit code."""
    return run("points", load_or_exit(Settings), app)


if __name__ == "__main__":
    sys.exit(main())
