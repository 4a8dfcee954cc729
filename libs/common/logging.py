"""Structured logs: one JSON object a line on stderr, for our own loggers and those of libraries alike.

Log per batch, not per message. Whom a line is about it names by ids, with `about`: team, customer, enrolment, trace;
never by names, addresses or texts. What slips through in spite of that (a password in an address, a token in an
exception's text, a row in the database's) is blanked here.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

from libs.common.tracing import trace_id_of

_HIDDEN: Final = "[hidden]"
_SECRET_KEY: Final = re.compile(
    r"token|password|passwd|secret|authorization|signature|credential|cookie|dsn$", re.IGNORECASE
)
_PASSWORD_IN_ADDRESS: Final = re.compile(r"(://[^/\s:@]*):[^/\s@]*@")
_BEARER: Final = re.compile(r"(?i)\b(bearer)\s+\S+")

# Said once per connection or request by libraries, of no use to those who run the product.
_QUIET: Final = {"asyncio": logging.WARNING, "grpc": logging.WARNING, "aiohttp.access": logging.WARNING}

_ROW_IN_DETAIL: Final = re.compile(r"(DETAIL: +).*?(?=(?:\n|\\n)(?:HINT|CONTEXT|\n)|\Z)", re.DOTALL)
"""What PostgreSQL tells of a row that it refuses: the whole of it, or the values of a key."""

SUBJECTS: Final = (
    "team_id",
    "customer_id",
    "enrolment_id",
    "journey_id",
    "node_id",
    "effect_key",
    "event_id",
)
"""By what `about` names whom a line is about, beside `trace_id`."""
FIELDS: Final[Mapping[str, str]] = {
    "answer_id": "what a channel calls its answer, for its support",
    "at": "partition and position in a history",
    "attempt": "how often it was tried",
    "attempts": "how often it was tried in all",
    "balance_micros": "a team's prepaid balance",
    "batcher": "which batches",
    "by": "name of the token of who asked",
    "calls": "how many",
    "code": "of a call, or of a channel",
    "count": "how many",
    "currency": "of a balance",
    "customers": "how many",
    "depth_max": "how deep journeys may set each other off",
    "dependency": "the server or service that does not answer",
    "endpoint": "of the collector of traces, or of the identity provider",
    "enrolments": "their ids",
    "error": "the fault, as the one who met it says it",
    "events": "their ids, or how many",
    "exc_info": "the fault with its stack",
    "failures": "how many on end",
    "faults_of_first": "fields and what is wrong with them, without their values",
    "grace_s": "how long was waited",
    "halted": "ids of enrolments",
    "history": "whose",
    "id": "of the work that the line is about",
    "incident_id": "as the caller was given it",
    "index": "of an event in its webhook",
    "items": "how many",
    "journeys": "how many",
    "kind": "of what is meant",
    "mails": "how many",
    "metrics_port": "where metrics are served",
    "name": "of a migration",
    "names": "of functions of the database, or of an identity provider",
    "number": "of a migration",
    "partitions": "how many, or which",
    "pending": "how many wait",
    "place": "partition and position in a history",
    "point": "where the process kills itself",
    "points": "where the process may kill itself",
    "port": "where the service serves",
    "query": "name of a statement",
    "reason": "why, by the contract's name where it has one",
    "record": "of migrations",
    "repaired": "how many partitions",
    "row": "number of a line in a file",
    "rows": "how many",
    "rpc": "the call",
    "sequence": "number of a stored webhook",
    "source": "whose mail",
    "status": "a journey's",
    "step": "of an erasure",
    "threshold_micros": "below which a balance is low",
    "wait_s_max": "how long is waited",
    "what": "is done, or meant",
    "where": "in the code",
    "worker": "which loop",
    "worker_id": "of a process",
}
"""What else lines say, by their keys: ids of work, numbers, codes, names of ours. Nothing that people wrote, are called
or are reached by."""

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


def about(*subjects: object, **ids: object) -> dict[str, str]:
    """Whom a line is about: `_log.error("…", reason=…, **about(send))`. The ids that these have under their usual names
    (SUBJECTS), the trace that they are on, and further ids."""
    found: dict[str, str] = {}
    for subject in subjects:
        for name in SUBJECTS:
            value = getattr(subject, name, None)
            if value:
                found[name] = str(value)
        if trace := trace_id_of(getattr(subject, "trace", None)):
            found["trace_id"] = trace
    return found | {name: str(value) for name, value in ids.items() if value}


def hide_secrets(logger: object, method: str, event: Event) -> Event:  # noqa: ARG001 - structlog's signature
    """Blanks values under telling keys, and passwords and tokens inside any text."""
    return {key: _HIDDEN if _SECRET_KEY.search(key) else _blanked(value) for key, value in event.items()}


def _blanked(value: Any) -> Any:
    if isinstance(value, str):
        shown = _ROW_IN_DETAIL.sub(rf"\1{_HIDDEN}", value)
        return _BEARER.sub(rf"\1 {_HIDDEN}", _PASSWORD_IN_ADDRESS.sub(rf"\1:{_HIDDEN}@", shown))
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
