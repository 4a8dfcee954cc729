"""`make walk`: prints the table; exits 1 if any answer tells more than it may, or anything changed."""

import asyncio
import sys
import tempfile
from pathlib import Path

from libs.common.logging import setup_logging
from tests.fuzz.world import world
from tests.walk.walk import Walk, walk


async def _run() -> Walk:
    with tempfile.TemporaryDirectory(prefix="omnijourney-walk-") as directory:
        async with world(Path(directory)) as place:
            return await walk(place)


def main() -> int:
    """Walks and prints."""
    setup_logging("walk", "error")
    walked = asyncio.run(_run())
    print(*walked.lines(), sep="\n")
    faults = walked.faults()
    print(*faults, sep="\n")
    print(f"walk: {len(walked.rows)} RPCs, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
