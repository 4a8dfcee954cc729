"""`omnijourney up` with stub services: up_stubs.py DATA_DIR [--patient] [FLAG for journey].

`--patient`: services have five minutes to end after a signal.
"""

import asyncio
import sys
from pathlib import Path

from libs.cli.up import run_up
from libs.supervisor import installation
from tests.integration.supervisor.stubs import stub_options

if __name__ == "__main__":
    flags = sys.argv[2:]
    if "--patient" in flags:
        flags.remove("--patient")
        installation.DRAIN_S, installation.STOP_WITHIN_S = 300.0, 310.0
    sys.exit(asyncio.run(run_up(stub_options(Path(sys.argv[1]), {"journey": " ".join(flags)}))))
