"""Generates ``libs/gen`` from ``protos/`` and tells whether the committed code is what would be generated.

Python modules, their stubs, gRPC bindings, and the descriptors with their comments, which reflection serves; the same
bytes for the same input. The rules that protos state (``buf/validate/validate.proto``) are a library's: its wheel has
them as a descriptor only, from which their Python module is made too.
"""

import subprocess
import sys
import sysconfig
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Final

from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from protovalidate._gen.buf.validate import validate_pb

from tools.paths import GENERATED, PROTOS

# Protos of libraries (google/rpc, google/longrunning) lie beside their Python modules.
_LIBRARIES = Path(sysconfig.get_path("purelib"))
_SCRIPTS = Path(sysconfig.get_path("scripts"))

DESCRIBED: Final = "omnijourney/described.binpb"
"""The descriptors with their comments, below ``libs/gen``."""
_RULES_PROTO: Final = "buf/validate/validate.proto"
_RULES_USE: Final = (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2)


class ProtocError(Exception):
    """protoc refused the protos; the message is what it printed."""


def sources() -> list[str]:
    """All proto files of the product, as import paths."""
    return sorted(str(file.relative_to(PROTOS)) for file in PROTOS.rglob("*.proto"))


def expected() -> dict[str, bytes]:
    """The code that the protos stand for: path below ``libs/gen`` to content. Raises ProtocError."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        _protoc(out)
        return {
            str(file.relative_to(out)): file.read_bytes()
            for file in sorted(out.rglob("*.*"))
            if not _is_empty_binding(file)
        }


def committed() -> dict[str, bytes]:
    """The code that lies in ``libs/gen``."""
    found = (file for file in sorted(GENERATED.rglob("*")) if file.suffix in (".py", ".pyi", ".binpb"))
    return {str(file.relative_to(GENERATED)): file.read_bytes() for file in found}


def drift() -> list[str]:
    """The files that differ from what would be generated, each with how. Raises ProtocError."""
    here, wanted = committed(), expected()
    return (
        [f"missing: {name}" for name in wanted if name not in here]
        + [f"left over: {name}" for name in here if name not in wanted]
        + [f"differs: {name}" for name in wanted if name in here and here[name] != wanted[name]]
    )


def write() -> int:
    """Brings ``libs/gen`` in step; returns how many files changed. Raises ProtocError."""
    here, wanted = committed(), expected()
    changed = [name for name, content in wanted.items() if here.get(name) != content]
    stale = [name for name in here if name not in wanted]
    for name in changed:
        file = GENERATED / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(wanted[name])
    for name in stale:
        (GENERATED / name).unlink()
    return len(changed) + len(stale)


@lru_cache
def image() -> FileDescriptorSet:
    """All contracts and what they import, with comments. Raises ProtocError."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "image.binpb"
        _run(
            Path(scratch),
            f"--descriptor_set_out={out}",
            "--include_source_info",
            "--include_imports",
            *sources(),
        )
        return FileDescriptorSet.FromString(out.read_bytes())


def _protoc(out: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        plugins = [f"--{plugin}_out={out}" for plugin in ("python", "grpc_python", "mypy", "mypy_grpc")]
        _run(Path(scratch), *plugins, *sources())
        _run(Path(scratch), f"--python_out={out}", _RULES_PROTO)
    (out / DESCRIBED).write_bytes(_described(image()).SerializeToString(deterministic=True))


def _run(scratch: Path, *arguments: str) -> None:
    rules = scratch / "rules.binpb"
    rules.write_bytes(_rules().SerializeToString())
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc"),
        *(f"-I{PROTOS}", f"-I{_LIBRARIES}", f"--descriptor_set_in={rules}"),
        f"--plugin=protoc-gen-mypy={_SCRIPTS / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={_SCRIPTS / 'protoc-gen-mypy_grpc'}",
        *arguments,
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ProtocError(ended.stderr.strip())


def _rules() -> FileDescriptorSet:
    """``buf/validate/validate.proto`` with what it imports."""
    files = [FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb) for module in _RULES_USE]
    return FileDescriptorSet(
        file=[*files, FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())]
    )


def _described(everything: FileDescriptorSet) -> FileDescriptorSet:
    """Our own files; of their source info the comments, since nobody asks for the places of the rest."""
    described = FileDescriptorSet()
    described.CopyFrom(everything)
    ours = [file for file in described.file if file.package.startswith("omnijourney.")]
    for file in ours:
        told = [place for place in file.source_code_info.location if place.leading_comments]
        del file.source_code_info.location[:]
        file.source_code_info.location.extend(told)
    return FileDescriptorSet(file=ours)


def _is_empty_binding(file: Path) -> bool:
    """protoc writes gRPC bindings, and their stubs, even for files that define no service."""
    return "_pb2_grpc.py" in file.name and b"\nclass " not in file.with_suffix(".py").read_bytes()
