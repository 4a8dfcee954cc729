"""PostgreSQL and Redis, as a service is given them: its composition root says where they come from."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ServersUnavailable(Exception):
    """The servers cannot be had; the text is meant for the person who started the product."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a process needs to know of the servers."""

    postgres_dsn: str
    """Administrator's DSN."""
    redis_url: str
    token: str
    """API token: the configured one, else the generated one of the data directory."""
    owner: bool
    """Whether this process runs at least one of the servers: they stop when it stops."""


class Servers(Protocol):
    """Gives servers for as long as a context lasts; `libs.embedded.attach` starts those that are not configured."""

    def __call__(
        self, data_dir: Path | str, *, postgres_dsn: str = "", redis_url: str = "", token: str = ""
    ) -> AbstractAsyncContextManager[Endpoints]:
        """What is given is taken as it is. Raises ServersUnavailable."""
        ...
