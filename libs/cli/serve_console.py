"""`omnijourney console`: the console in the foreground."""

from __future__ import annotations

import asyncio
import signal

from libs.cli.console import fail, out
from libs.common.logging import setup_logging
from libs.console.app import serving
from libs.console.config import ConsoleSettings


async def run_console(settings: ConsoleSettings) -> int:
    """Serves until a signal says so. Returns the exit code."""
    setup_logging("console", settings.log_level)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with serving(settings) as url:
            out.print(f"console  [bold]{url}[/]  (Ctrl-C stops it)", highlight=False)
            await stop.wait()
    except OSError as error:
        return fail(error)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return 0
