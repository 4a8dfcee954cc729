"""`python -m libs.console`: serves the console until told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys

from libs.common.config import load_or_exit
from libs.common.logging import setup_logging
from libs.console.app import serving
from libs.console.config import ConsoleSettings


def main() -> int:
    """Serves. Exit code 1 when it cannot, 2 for variables that cannot be."""
    settings = load_or_exit(ConsoleSettings)
    setup_logging("console", settings.log_level)
    try:
        asyncio.run(_serve(settings))
    except OSError as error:
        sys.stderr.write(f"the console cannot start: {error} (see OMNIJOURNEY_CONSOLE_PORT)\n")
        return 1
    return 0


async def _serve(settings: ConsoleSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings):
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
