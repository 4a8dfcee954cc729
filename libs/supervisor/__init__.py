"""A whole installation on one machine: the embedded servers and each service as a process of its own,
watched.

async with Installation(InstallationOptions()) as installation:
    installation.targets["journey"], installation.token, installation.pid_of("journey")
"""

from libs.embedded.keepalive import Died, Event, Listener, Restarted
from libs.supervisor.installation import Installation
from libs.supervisor.options import InstallationOptions, InstallationSettings
from libs.supervisor.plan import PortTakenError
from libs.supervisor.preparation import FirstToken, prepare

__all__ = [
    "Died",
    "Event",
    "FirstToken",
    "Installation",
    "InstallationOptions",
    "InstallationSettings",
    "Listener",
    "PortTakenError",
    "Restarted",
    "prepare",
]
