"""Spans on their way to a collector: what it gets, and that nobody ever waits for it."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from prometheus_client import REGISTRY

from libs.common import trace_export, tracing
from libs.common.trace_export import QUEUE_MAX, Exporter, Send, exporting
from libs.common.tracing import Span, Spans
from libs.supervisor.certificates import make_certificates

CONTEXT, ABOVE, OTHER = (letter * 24 for letter in (b"c", b"a", b"o"))
SPAN = Span(
    "journey", "journey.turn", CONTEXT, ABOVE, 1_000, 2_000, {"node_id": "send", "batch_size": 3}, [OTHER]
)
OFF = """
import sys, threading
from libs.common import tracing
from libs.common.process import exporting
with exporting("", 1.0):
    assert not tracing.is_on() and tracing.sampled(b"x") is None
    assert not [name for name in sys.modules if name.startswith("opentelemetry.")]
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]
"""


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.requests: list[trace_service_pb2.ExportTraceServiceRequest] = []

    def Export(self, request: Any, context: Any) -> trace_service_pb2.ExportTraceServiceResponse:  # noqa: N802
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    """A collector, and its address."""
    kept, server = Collector(), grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield kept, f"http://127.0.0.1:{port}"
    server.stop(0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of a collector, and the authority that it is by; `other/` has those of another authority."""
    folder = tmp_path_factory.mktemp("tls")
    for directory in (folder, folder / "other"):
        make_certificates(directory, ("collector",), "127.0.0.1")
    return folder


@pytest.fixture
def secure_collector(files: Path) -> Iterator[tuple[Collector, str]]:
    """A collector that speaks TLS alone, and its host and port."""
    kept, server = Collector(), grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)  # type: ignore[no-untyped-call]
    own = ((files / "collector.key").read_bytes(), (files / "collector.pem").read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([own]))
    server.start()
    yield kept, f"127.0.0.1:{port}"
    server.stop(0)


def counted() -> dict[str, float]:
    """Spans by what became of them."""
    name = "omnijourney_trace_spans_total"
    return {
        each: REGISTRY.get_sample_value(name, {"outcome": each}) or 0.0
        for each in ("sent", "dropped", "refused")
    }


def since(before: dict[str, float]) -> dict[str, int]:
    return {name: int(value - before[name]) for name, value in counted().items() if value != before[name]}


@pytest.mark.rule("X-04b")
def test_without_an_endpoint_there_is_no_thread_and_nothing_is_imported() -> None:
    subprocess.run([sys.executable, "-c", OFF], check=True)


@pytest.mark.rule("X-04b")
def test_a_collector_gets_a_span_as_it_was_written(collector: tuple[Collector, str]) -> None:
    kept, endpoint = collector
    before = counted()
    with exporting(endpoint, 1.0):
        assert tracing.is_on()
        Spans("journey").write(*SPAN[1:5], SPAN.attributes, links=SPAN.links)
    assert not tracing.is_on()
    (of_service,) = kept.requests[0].resource_spans
    named = {each.key: each.value.string_value for each in of_service.resource.attributes}
    assert named == {"service.namespace": "omnijourney", "service.name": "journey"}
    (span,) = of_service.scope_spans[0].spans
    assert (span.trace_id + span.span_id, span.parent_span_id) == (CONTEXT, ABOVE[16:])
    assert (span.name, span.start_time_unix_nano) == ("journey.turn", 1_000)
    assert {each.key for each in span.attributes} == {"node_id", "batch_size"}
    assert [link.trace_id + link.span_id for link in span.links] == [OTHER]
    assert since(before) == {"sent": 1}


@pytest.mark.rule("X-04b")
def test_a_collector_gets_spans_over_tls_where_its_authority_is_known_and_none_else(
    secure_collector: tuple[Collector, str], files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, address = secure_collector
    before = counted()
    with exporting(f"https://{address}", 1.0, files / "ca.pem"):
        Spans("journey").write(*SPAN[1:5], SPAN.attributes)
    assert [len(each.resource_spans) for each in kept.requests] == [1]
    assert since(before) == {"sent": 1}
    monkeypatch.setattr(trace_export, "SEND_S", 0.5)
    for endpoint, authority in (
        (f"https://{address}", files / "other" / "ca.pem"),
        (f"https://{address}", None),
        (f"http://{address}", files / "ca.pem"),
    ):
        with exporting(endpoint, 1.0, authority):
            Spans("journey").write(*SPAN[1:5], SPAN.attributes)
    assert len(kept.requests) == 1
    assert since(before) == {"sent": 1, "refused": 3}


@pytest.mark.rule("X-04b")
def test_a_collector_that_hangs_costs_spans_and_holds_up_nobody() -> None:
    before, hung, go_on = counted(), threading.Event(), threading.Event()
    taken: list[int] = []

    def send(spans: Sequence[Span]) -> None:
        hung.set()
        go_on.wait()
        taken.append(len(spans))

    exporter = Exporter("nowhere", lambda: send)
    exporter.take(SPAN)
    assert hung.wait(30)
    for _ in range(QUEUE_MAX + 7):
        exporter.take(SPAN)
    assert since(before) == {"dropped": 7}
    go_on.set()
    exporter.close()
    assert sum(taken) == QUEUE_MAX + 1
    assert max(taken) <= trace_export.SENT_TOGETHER_MAX
    assert since(before) == {"dropped": 7, "sent": QUEUE_MAX + 1}


@pytest.mark.rule("X-04b")
def test_a_collector_that_is_away_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_export, "SEND_S", 0.2)
    before = counted()
    with exporting("http://127.0.0.1:1", 1.0):
        Spans("journey").write(*SPAN[1:5], SPAN.attributes)
    assert since(before) == {"refused": 1}


def test_a_fault_of_the_library_ends_no_thread_and_is_told() -> None:
    before = counted()

    def broken(_: Sequence[Span]) -> None:
        raise RuntimeError("broken")

    def unconnected() -> Send:
        raise OSError("no such file")

    with structlog.testing.capture_logs() as logged:
        for connect in (lambda: broken, unconnected):
            exporter = Exporter("nowhere", connect)
            exporter.take(SPAN)
            exporter.close()
    assert since(before) == {"refused": 2}
    assert [line["error"] for line in logged] == ["RuntimeError('broken')", "OSError('no such file')"]
