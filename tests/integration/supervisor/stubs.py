"""Installations of stub services."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from libs.client import SERVICES, ServiceName
from libs.supervisor import InstallationOptions, InstallationSettings

_STUB = Path(__file__).with_name("stub_service.py")


def stub_options(
    data_dir: Path, flags: Mapping[ServiceName, str] | None = None, **changes: Any
) -> InstallationOptions:
    """Options that run stubs on free ports. `flags`: a flag of the stub by service."""
    commands = {
        service: [sys.executable, str(_STUB), service, *((flags or {}).get(service, "").split())]
        for service in SERVICES
    }
    given = {"free_ports": True, "settings": InstallationSettings(data_dir=data_dir), **changes}
    return InstallationOptions(commands=commands, **given)
