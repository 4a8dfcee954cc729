"""Runs segment alone: `python -m services.segment`."""

from __future__ import annotations

import sys

from libs.common.config import load_or_exit
from libs.common.process import run
from services.segment.app import app
from services.segment.config import Settings


def main() -> int:
    """Serves until told to stop; returns the exit code."""
    return run("segment", load_or_exit(Settings), app)


if __name__ == "__main__":
    sys.exit(main())
