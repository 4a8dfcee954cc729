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
