"""How metrics are defined, and where they are served.

A service defines all of its metrics in its `metrics.py` by the functions here. Every metric says what it means; names
end in their unit; labels come from a closed list, so that nothing unbounded (a team, a customer) becomes a label.
"""

import re
import selectors
import socket
import ssl
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Final, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, make_wsgi_app

Label = Literal[
    "channel", "code", "kind", "method", "outcome", "reason", "service", "source", "stage", "status"
]
LABELS: Final[dict[Label, str]] = {
    "channel": "a channel: `LINE`, `WHATSAPP`, `MESSENGER`, `INSTAGRAM`",
    "code": "a status of gRPC, or a channel's own code for a refusal: 500 of these at most, then `OTHER`",
    "kind": "a kind of the thing that is counted, of a closed list in the code",
    "method": "an RPC of the contracts",
    "outcome": "what became of it, of a closed list in the code",
    "reason": "why: a reason of the contracts or a channel's code, 500 of them at most, then `OTHER`",
    "service": "a gRPC service of the contracts, or one of the five services",
    "source": "whose it is: one of the five services, or a source of points or webhooks",
    "stage": "where something stands, of a closed list in the code",
    "status": "an HTTP status, or what became of it, of a closed list in the code",
}
"""What metrics may be told apart by, and its values: each has few."""
WORDS_MAX: Final = 500
"""Values that a label may have whose words are not ours."""

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets of durations, from a local call to the longest deadline."""
COUNTS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Buckets of batch sizes; 500 is the largest batch of the hot path."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # a twin of each series that says nothing anybody asks
_log = structlog.get_logger(__name__)

_SCRAPE_TIMEOUT_S: Final = 10.0
_WORD: Final = re.compile(r"[A-Za-z0-9_]{0,64}")
_OTHER: Final = "OTHER"
_PREFIX: Final = "omnijourney_"
_UNITS: Final = ("_total", "_seconds", "_bytes", "_ratio", "_count", "_state")


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric that this process defines."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...]
    home: str
    """The module that defines it."""
    remedy: str = ""
    """What an operator does when it moves, or stays high; empty: nothing is wrong."""


_defined: dict[str, Definition] = {}


class Words:
    """Values of a label that come from elsewhere, such as codes of channels: as many as a label may have."""

    def __init__(self) -> None:
        """Of one metric."""
        self._known: set[str] = set()

    def __call__(self, text: str) -> str:
        """The word, or `OTHER`: for a text that is none, and for a new one when there are WORDS_MAX."""
        if text not in self._known:
            if not _WORD.fullmatch(text) or len(self._known) >= WORDS_MAX:
                return _OTHER
            self._known.add(text)
        return text


def counter(name: str, meaning: str, labels: Sequence[Label] = (), *, remedy: str = "") -> Counter:
    """A count that only grows; `name` without the product's prefix, ending in `_total`."""
    definition = _define(name, "counter", meaning, labels, remedy)
    if not name.endswith("_total"):
        raise ValueError(f"the counter {name} must end in _total")
    return Counter(definition.name, meaning, definition.labels)


def gauge(name: str, meaning: str, labels: Sequence[Label] = (), *, remedy: str = "") -> Gauge:
    """A figure that goes up and down."""
    definition = _define(name, "gauge", meaning, labels, remedy)
    return Gauge(definition.name, meaning, definition.labels)


def histogram(
    name: str,
    meaning: str,
    labels: Sequence[Label] = (),
    buckets: Sequence[float] = SECONDS,
    *,
    remedy: str = "",
) -> Histogram:
    """A spread of values."""
    definition = _define(name, "histogram", meaning, labels, remedy)
    return Histogram(definition.name, meaning, definition.labels, buckets=buckets)


def definitions() -> list[Definition]:
    """Every metric that was defined by the modules imported so far, by name."""
    return sorted(_defined.values(), key=lambda definition: definition.name)


def _define(
    name: str,
    kind: Literal["counter", "gauge", "histogram"],
    meaning: str,
    labels: Sequence[Label],
    remedy: str,
) -> Definition:
    full_name = _PREFIX + name
    if full_name in _defined:
        raise ValueError(f"the metric {name} is defined twice")
    if not name.endswith(_UNITS):
        raise ValueError(f"the metric {name} must end in its unit: {', '.join(_UNITS)}")
    if not meaning:
        raise ValueError(f"the metric {name} needs a meaning")
    if unknown := set(labels) - LABELS.keys():
        raise ValueError(
            f"the metric {name} has labels outside the closed list: {', '.join(sorted(unknown))}"
        )
    home = sys._getframe(2).f_globals["__name__"]
    definition = Definition(full_name, kind, meaning, tuple(labels), home, remedy)
    _defined[full_name] = definition
    return definition


class _Server(ThreadingMixIn, WSGIServer):
    """A scraper that reads slowly holds up nobody else."""

    daemon_threads = True
    timeout = 0  # it is asked to handle a scrape when there is one

    def serve_until(self, stop: socket.socket) -> None:
        """Serves until `stop` can be read; while nobody scrapes it sleeps, as `serve_forever` does not."""
        with stop, selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(stop, selectors.EVENT_READ)
            while not any(key.fileobj is stop for key, _ in selector.select()):
                self.handle_request()

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that went away is no fault of ours: told to those who look for it only."""
        _log.debug("scrape failed", exc_info=True)


class _Handler(WSGIRequestHandler):
    """Writes no line for each scrape."""

    timeout = _SCRAPE_TIMEOUT_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing."""


class MetricsEndpoint:
    """`/metrics` over HTTP on a thread of its own, so that a busy event loop still shows what it is busy with."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Serves at once; port 0 takes any free one. Raises OSError when the port is taken."""
        self._server = make_server(host, port, make_wsgi_app(), _Server, _Handler)
        if tls is not None:
            # The handshake is the scraper's thread's business, within its time.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._stop, stopped = socket.socketpair()
        self._thread = threading.Thread(
            target=self._server.serve_until, args=(stopped,), name="metrics", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    def close(self) -> None:
        """Stops serving and frees the port. Scrapes under way end by themselves."""
        self._stop.close()
        self._thread.join()
        self._server.server_close()
