"""The Python client for platform teams: typed stubs of the five services, with deadlines, repetition and errors.

See `docs/client.md`.
"""

from libs.client import ClientSettings, ServiceName
from libs.common.tls import Tls
from omnijourney.client import errors
from omnijourney.client.aio import AsyncClient
from omnijourney.client.blocking import Client
from omnijourney.client.errors import CallError, OperationEndedError, reason

__all__ = [
    "AsyncClient",
    "CallError",
    "Client",
    "ClientSettings",
    "OperationEndedError",
    "ServiceName",
    "Tls",
    "errors",
    "reason",
]
