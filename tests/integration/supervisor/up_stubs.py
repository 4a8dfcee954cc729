"""`omnijourney up` with stub services: up_stubs.py DATA_DIR [FLAG for journey]."""

import asyncio
import sys
from pathlib import Path

from libs.cli.up import run_up
from tests.integration.supervisor.stubs import stub_options

if __name__ == "__main__":
    sys.exit(asyncio.run(run_up(stub_options(Path(sys.argv[1]), {"journey": " ".join(sys.argv[2:])}))))
