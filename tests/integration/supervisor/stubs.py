"""Installations of stub services."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from libs.client import ServiceName
from libs.supervisor import InstallationOptions, InstallationSettings

STUBBED: tuple[ServiceName, ...] = ("journey", "points", "stats")
"""Three are enough to tell them apart, and start faster than five."""
_STUB = Path(__file__).with_name("stub_service.py")


def stub_options(
    data_dir: Path, flags: Mapping[ServiceName, str] | None = None, **changes: Any
) -> InstallationOptions:
    """Options that run stubs on free ports. `flags`: a flag of the stub by service."""
    commands = {
        service: [sys.executable, str(_STUB), service, *((flags or {}).get(service, "").split())]
        for service in STUBBED
    }
    given = {
        "free_ports": True,
        "services": STUBBED,
        "settings": InstallationSettings(data_dir=data_dir),
        **changes,
    }
    return InstallationOptions(**{"commands": commands, **given})
