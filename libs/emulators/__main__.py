"""`python -m libs.emulators`: serves the emulators until told to stop."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from libs.common.config import load_or_exit
from libs.emulators.config import EmulatorSettings
from libs.emulators.server import CHANNELS, running


def main(argv: list[str] | None = None) -> int:
    """Parses the flags and serves. Exit code 1 when a port is taken, 2 for flags and variables that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m libs.emulators", description=__doc__)
    parser.add_argument("--only", choices=CHANNELS, help="serve this channel alone")
    parser.add_argument("--host", help="address to listen on")
    for channel in CHANNELS:
        parser.add_argument(f"--{channel}-port", type=int, help="0 takes any free one")
    parser.add_argument("--data-dir", type=Path, help="where the logs lie")
    parser.add_argument("--token", help="bearer token of the first account")
    given = vars(parser.parse_args(argv))
    only = given.pop("only")
    flags: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    settings = load_or_exit(EmulatorSettings, **flags)
    try:
        asyncio.run(_serve(settings, (only,) if only else CHANNELS))
    except OSError as error:
        ports = ", ".join(f"--{channel}-port" for channel in CHANNELS)
        sys.stderr.write(f"the emulators cannot start: {error} (see {ports})\n")
        return 1
    return 0


async def _serve(settings: EmulatorSettings, channels: tuple[str, ...]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, channels) as result:
        # One line that a parent process can wait for and read the ports from.
        sys.stdout.write(json.dumps({"event": "emulators_ready", **result.urls}) + "\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
