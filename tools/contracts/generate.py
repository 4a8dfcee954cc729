"""Generates ``libs/gen`` from ``protos/`` and tells whether the committed code is what would be generated.

Python modules, their stubs and gRPC bindings; one run of protoc, the same bytes for the same input.
"""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from tools.paths import GENERATED, PROTOS

# Protos of libraries (google/rpc, google/longrunning) lie beside their Python modules.
_LIBRARIES = Path(sysconfig.get_path("purelib"))
_SCRIPTS = Path(sysconfig.get_path("scripts"))


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
            for file in sorted(out.rglob("*.py*"))
            if not _is_empty_binding(file)
        }


def committed() -> dict[str, bytes]:
    """The code that lies in ``libs/gen``."""
    found = (file for file in sorted(GENERATED.rglob("*")) if file.suffix in (".py", ".pyi"))
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


def _protoc(out: Path) -> None:
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc"),
        *(f"-I{PROTOS}", f"-I{_LIBRARIES}"),
        f"--plugin=protoc-gen-mypy={_SCRIPTS / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={_SCRIPTS / 'protoc-gen-mypy_grpc'}",
        *(f"--{plugin}_out={out}" for plugin in ("python", "grpc_python", "mypy", "mypy_grpc")),
        *sources(),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ProtocError(ended.stderr.strip())


def _is_empty_binding(file: Path) -> bool:
    """protoc writes gRPC bindings, and their stubs, even for files that define no service."""
    return "_pb2_grpc.py" in file.name and b"\nclass " not in file.with_suffix(".py").read_bytes()
