"""What `grpcurl describe` shows of a message: its comments, with units and bounds."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from libs.common.callers import StaticDirectory
from libs.common.rpc.server import GrpcServer
from omnijourney.journey.v1 import node_pb2


@pytest.fixture
async def stub() -> Any:
    async with (
        GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory.installation("t")) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        make_stub: Any = reflection_pb2_grpc.ServerReflectionStub  # its types know blocking channels only
        yield make_stub(channel)


def _comments(file: FileDescriptorProto, message: str) -> Iterator[str]:
    """Comments of a message's fields, in order."""
    index = [each.name for each in file.message_type].index(message)
    for place in file.source_code_info.location:
        if list(place.path[:3]) == [4, index, 2] and len(place.path) == 4:
            yield place.leading_comments.strip()


async def _file(stub: Any, **asked: Any) -> FileDescriptorProto:
    requests = iter([reflection_pb2.ServerReflectionRequest(**asked)])
    (reply,) = [reply async for reply in stub.ServerReflectionInfo(requests, timeout=5)]
    files = map(FileDescriptorProto.FromString, reply.file_descriptor_response.file_descriptor_proto)
    return next(file for file in files if file.name.endswith("/node.proto"))


@pytest.mark.parametrize(
    "asked",
    [
        {"file_containing_symbol": node_pb2.DelayNode.DESCRIPTOR.full_name},
        {"file_by_filename": node_pb2.DESCRIPTOR.name},
    ],
)
@pytest.mark.rule("X-01a")
async def test_a_field_is_described_with_its_bounds(stub: Any, asked: dict[str, str]) -> None:
    (comment,) = _comments(await _file(stub, **asked), "DelayNode")
    assert "365 days" in comment
