"""Structured logs: one JSON object a line on stderr, for our own loggers and those of libraries alike.

Log per batch, not per message; ids of teams and customers, never names, addresses, texts or secrets. What slips through
in spite of that (a password in an address, a token in an exception's text) is blanked here.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

_HIDDEN: Final = "[hidden]"
_SECRET_KEY: Final = re.compile(
    r"token|password|passwd|secret|authorization|signature|credential|cookie|dsn$", re.IGNORECASE
)
_PASSWORD_IN_ADDRESS: Final = re.compile(r"(://[^/\s:@]*):[^/\s@]*@")
_BEARER: Final = re.compile(r"(?i)\b(bearer)\s+\S+")

# Said once per connection or request by libraries, of no use to those who run the product.
_QUIET: Final = {"asyncio": logging.WARNING, "grpc": logging.WARNING, "aiohttp.access": logging.WARNING}

Event = MutableMapping[str, Any]


def setup_logging(service: str, level: str = "info") -> None:
    """Sends all logging of the process to stderr, with the service's name. Call it once, first. In a process of several
    services each line has the name that its context was given by `log_as`."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(service),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                hide_secrets,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))


def log_as(service: str) -> None:
    """What the running task and those that it starts log is said by this service, one of several in the process."""
    structlog.contextvars.bind_contextvars(service=service)


def hide_secrets(logger: object, method: str, event: Event) -> Event:  # noqa: ARG001 - structlog's signature
    """Blanks values under telling keys, and passwords and tokens inside any text."""
    return {key: _HIDDEN if _SECRET_KEY.search(key) else _blanked(value) for key, value in event.items()}


def _blanked(value: Any) -> Any:
    if isinstance(value, str):
        return _BEARER.sub(rf"\1 {_HIDDEN}", _PASSWORD_IN_ADDRESS.sub(rf"\1:{_HIDDEN}@", value))
    if isinstance(value, dict):
        return {
            key: _HIDDEN if _SECRET_KEY.search(str(key)) else _blanked(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_blanked(item) for item in value]
    return value


def _named(service: str) -> Any:
    def add(logger: object, method: str, event: Event) -> Event:  # noqa: ARG001 - structlog's signature
        event.setdefault("service", service)
        return event

    return add
