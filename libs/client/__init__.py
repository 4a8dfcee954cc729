"""The Python client: channels and typed stubs of the five services, and how to find an installation."""

from libs.client.client import Client
from libs.client.config import ClientSettings
from libs.client.health import is_serving
from libs.client.services import SERVICES, ServiceName, full_name

__all__ = ["SERVICES", "Client", "ClientSettings", "ServiceName", "full_name", "is_serving"]
