"""What people see."""

from rich.console import Console
from rich.markup import escape

out = Console()
err = Console(stderr=True)

EXIT_FAULT = 1


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
