"""What people see."""

from pydantic import ValidationError
from rich.console import Console

out = Console()
err = Console(stderr=True)

EXIT_FAULT = 1
EXIT_CONFIGURATION = 2


def fail(error: Exception) -> int:
    """Prints a fault in the words that its author chose, without a stack. Returns the exit code."""
    if isinstance(error, ValidationError):
        for fault in error.errors():
            variable = "OMNIJOURNEY_" + "_".join(str(part) for part in fault["loc"]).upper()
            err.print(f"[bold red]error:[/] {variable}: {fault['msg']}", highlight=False, soft_wrap=True)
        return EXIT_CONFIGURATION
    err.print("[bold red]error:[/]", str(error), highlight=False, markup=False, soft_wrap=True)
    return EXIT_FAULT
