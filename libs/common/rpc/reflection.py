# ruff: noqa: N802 - the generated base names the methods
"""Reflection that serves the contracts with their comments, so that `grpcurl describe` shows units and limits.

Generated modules hold descriptors without comments; the file beside them, made by the same run, has both.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_reflection.v1alpha import reflection

from omnijourney.common.v1 import error_reason_pb2

if TYPE_CHECKING:
    from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

DESCRIBED: Final = Path(error_reason_pb2.__file__).parents[2] / "described.binpb"
"""Our descriptors with their comments."""


class DescribingReflection(reflection.aio.ReflectionServicer):
    """Answers as its base does, with our own files as they are described."""

    async def ServerReflectionInfo(  # type: ignore[override]  # the stub file says coroutine
        self, request_iterator: AsyncIterable[ServerReflectionRequest], context: Any
    ) -> AsyncIterator[ServerReflectionResponse]:
        """A reply for each request."""
        replies: Any = super().ServerReflectionInfo(request_iterator, context)
        async for reply in replies:
            if reply.HasField("file_descriptor_response"):
                files = reply.file_descriptor_response.file_descriptor_proto
                files[:] = [_described().get(FileDescriptorProto.FromString(raw).name, raw) for raw in files]
            yield reply


@lru_cache(maxsize=1)
def _described() -> Mapping[str, bytes]:
    """Our files by name. Read when first asked for: most processes never are."""
    files = FileDescriptorSet.FromString(DESCRIBED.read_bytes()).file
    return {file.name: file.SerializeToString() for file in files}
