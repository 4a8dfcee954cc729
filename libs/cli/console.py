"""What people see."""

import re
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    import grpc

out = Console()
err = Console(stderr=True)

EXIT_FAULT = 1
_UNREACHED: Final = re.compile(
    r"Failed to connect|all backends failing|DNS resolution failed|no usable address"
)
_ADDRESS: Final = re.compile(r"(?:ipv[46]|unix|dns):/*(\S+?)(?:: |$)")


def fail(error: Exception) -> int:
    """Prints a fault in the words that its author chose, without a stack. Returns the exit code."""
    err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
    return EXIT_FAULT


def say(text: str) -> None:
    """A line of a command's answer, as it is: no markup, no breaks."""
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def complain(text: str) -> None:
    """A line about a fault or about progress, as it is."""
    err.print(text, highlight=False, markup=False, soft_wrap=True)


def refused(error: "grpc.aio.AioRpcError") -> int:
    """Prints why a call was refused, or that nobody could answer it, with what to do. Returns the exit code."""
    complain(refusal_of(error))
    return EXIT_FAULT


def refusal_of(error: "grpc.aio.AioRpcError") -> str:
    """The same as a line."""
    details = error.details() or ""
    if error.code().name != "UNAVAILABLE" or not _UNREACHED.search(details):
        return f"{error.code().name}: {details}"
    found = _ADDRESS.search(details)
    place = f" at {found[1]}" if found else ""
    return (
        f"UNAVAILABLE: nothing serves{place}: start the services with `omnijourney up`, or say where they are by"
        " OMNIJOURNEY_DATA_DIR or OMNIJOURNEY_SEGMENT_TARGET and so on (`omnijourney doctor` looks)"
    )
