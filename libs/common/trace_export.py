"""Spans on their way to a collector: a bounded queue, and a thread that empties it by OTLP.

The thread alone imports the collectors' contract, and it is there only where an endpoint is configured. Whoever writes
a span never waits: what does not fit, or is not taken, is counted and gone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import grpc
import structlog

from libs.common import tracing
from libs.common.metrics import counter
from libs.common.tracing import TRACE_ID_BYTES, Attributes, Span

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

QUEUE_MAX: Final = 4_096
"""Spans that wait to be sent, some 1 kB each."""
SENT_TOGETHER_MAX: Final = 512
"""Spans of one request."""
LINGER_S: Final = 1.0
"""How long spans wait for others, so that few requests are made."""
SEND_S: Final = 5.0
"""How long one request is tried. Further spans wait meanwhile."""
END_S: Final = 3.0
"""How long a process that stops waits for its last spans."""
NAMESPACE: Final = "omnijourney"
CONTRACT: Final = "opentelemetry.proto.collector"
NEEDED: Final = "needs the contract of collectors: pip install 'omnijourney[traces]'"

_SPANS: Final = counter(
    "trace_spans_total",
    "Spans of sampled traces: sent to the collector, dropped since too many waited, or not taken by it",
    ["outcome"],
    remedy="Where `dropped` or `refused` grow, traces have gaps: see the alert SpansLost.",
)
_SENT, _DROPPED, _REFUSED = (_SPANS.labels(outcome) for outcome in ("sent", "dropped", "refused"))
_log = structlog.get_logger(__name__)

Send = Callable[[Sequence[Span]], None]
"""Sends spans, and raises where the collector does not take them. Made and called by the exporter's thread only."""


def is_installed() -> bool:
    """Whether what sends spans is there."""
    try:
        return importlib.util.find_spec(CONTRACT) is not None
    except ModuleNotFoundError:
        return False


@contextlib.contextmanager
def exporting(endpoint: str, ratio: float, ca_file: Path | None = None) -> Iterator[None]:
    """Sends the process's spans to a collector, and samples this share of what comes in. An empty endpoint: nothing is
    sampled, and nothing is started. `ca_file` has the authorities by which a collector is verified."""
    if not endpoint:
        yield
        return
    exporter = Exporter(endpoint, lambda: _connect(endpoint, ca_file))
    tracing.collect(exporter.take, ratio)
    try:
        yield
    finally:
        tracing.collect(None)
        exporter.close()


class Exporter:
    """Sends spans from a thread of its own."""

    def __init__(self, endpoint: str, connect: Callable[[], Send]) -> None:
        """Starts at once; `connect` is called when there is a span."""
        self._endpoint = endpoint
        self._connect = connect
        self._send: Send | None = None
        self._waiting: deque[Span] = deque()
        self._some = threading.Event()
        self._closing = threading.Event()
        self._away = False
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def take(self, span: Span) -> None:
        """Takes a span to be sent, or counts it as dropped. Never waits."""
        if len(self._waiting) >= QUEUE_MAX:
            _DROPPED.inc()
            return
        self._waiting.append(span)
        if not self._some.is_set():
            self._some.set()

    def close(self) -> None:
        """Sends what waits, for END_S at most."""
        self._closing.set()
        self._some.set()
        self._thread.join(END_S)

    def _run(self) -> None:
        while True:
            self._some.wait()
            if not self._closing.is_set():
                self._closing.wait(LINGER_S)
            self._some.clear()
            while self._waiting:
                count = min(len(self._waiting), SENT_TOGETHER_MAX)
                self._pass_on([self._waiting.popleft() for _ in range(count)])
            if self._closing.is_set():
                return

    def _pass_on(self, spans: Sequence[Span]) -> None:
        why = ""
        try:
            self._send = self._send or self._connect()
            self._send(spans)
        except Exception as error:  # noqa: BLE001 - whatever a library raises, spans are not worth a thread
            why = error.code().name if isinstance(error, grpc.Call) else repr(error)
        (_REFUSED if why else _SENT).inc(len(spans))
        if bool(why) is not self._away:
            self._away = bool(why)
            if self._away:
                _log.warning("the collector does not take spans", endpoint=self._endpoint, error=why)
            else:
                _log.info("the collector takes spans again", endpoint=self._endpoint)


def _connect(endpoint: str, ca_file: Path | None) -> Send:
    """Over gRPC, with TLS where the address says https."""
    from opentelemetry.proto.collector.trace.v1 import (  # noqa: PLC0415 - optional
        trace_service_pb2_grpc as services,
    )

    address = urlsplit(endpoint)
    if address.scheme == "https":
        known = ca_file.read_bytes() if ca_file is not None else None
        channel = grpc.secure_channel(address.netloc, grpc.ssl_channel_credentials(known))
    else:
        channel = grpc.insecure_channel(address.netloc)
    stub = services.TraceServiceStub(channel)  # type: ignore[no-untyped-call]  # as it is generated

    def send(spans: Sequence[Span]) -> None:
        stub.Export(request_of(spans), timeout=SEND_S, wait_for_ready=True)

    return send


def request_of(spans: Iterable[Span]) -> ExportTraceServiceRequest:
    """Spans as OTLP has them, by service."""
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages  # noqa: PLC0415 - optional
    from opentelemetry.proto.trace.v1 import trace_pb2  # noqa: PLC0415 - optional

    request = messages.ExportTraceServiceRequest()
    of_service: dict[str, trace_pb2.ScopeSpans] = {}
    for span in spans:
        if span.service not in of_service:
            resource = request.resource_spans.add()
            _describe(
                resource.resource.attributes, {"service.namespace": NAMESPACE, "service.name": span.service}
            )
            of_service[span.service] = resource.scope_spans.add()
            of_service[span.service].scope.name = NAMESPACE
        message = of_service[span.service].spans.add(
            trace_id=span.context[:TRACE_ID_BYTES],
            span_id=span.context[TRACE_ID_BYTES:],
            parent_span_id=span.parent[TRACE_ID_BYTES:] if span.parent is not None else b"",
            name=span.name,
            kind=trace_pb2.Span.SPAN_KIND_CONSUMER if span.parent else trace_pb2.Span.SPAN_KIND_SERVER,
            start_time_unix_nano=span.began_ns,
            end_time_unix_nano=span.ended_ns,
        )
        _describe(message.attributes, span.attributes)
        for link in span.links:
            message.links.add(trace_id=link[:TRACE_ID_BYTES], span_id=link[TRACE_ID_BYTES:])
    return request


def _describe(target: Any, attributes: Attributes) -> None:
    for key, value in attributes.items():
        added = target.add(key=key)
        if isinstance(value, int):
            added.value.int_value = value
        else:
            added.value.string_value = value
