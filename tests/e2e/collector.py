"""A collector of traces: what takes spans by OTLP over gRPC, and shows what it got."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Seen(NamedTuple):
    """A span."""

    service: str
    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    attributes: dict[str, str | int]


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps all spans."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.endpoint = ""

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the generated name
        for of_service in request.resource_spans:
            service = _values(of_service.resource.attributes)["service.name"]
            self.spans += [
                Seen(
                    str(service),
                    span.name,
                    span.trace_id,
                    span.span_id,
                    span.parent_span_id,
                    _values(span.attributes),
                )
                for scope in of_service.scope_spans
                for span in scope.spans
            ]
        return trace_service_pb2.ExportTraceServiceResponse()

    def with_values(self, name: str, **values: str | int) -> list[Seen]:
        """Spans of a name that have these values."""
        return [
            span for span in self.spans if span.name == name and values.items() <= span.attributes.items()
        ]

    def trace(self, trace_id: bytes) -> list[Seen]:
        """All of a trace."""
        return [span for span in self.spans if span.trace_id == trace_id]


def _values(attributes: Any) -> dict[str, str | int]:
    return {
        each.key: each.value.int_value if each.value.HasField("int_value") else each.value.string_value
        for each in attributes
    }


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port."""
    collector, server = Collector(), grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0)
