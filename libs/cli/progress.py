"""How far long work is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from libs.cli.console import complain, err


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, elsewhere a line for each tenth, on stderr: call it with what is done, and of how much."""
    if not err.is_terminal:
        tenths: set[int] = set()

        def say_tenth(done: int, of: int) -> None:
            tenth = done * 10 // of if of else 0
            if tenth and tenth not in tenths:
                tenths.add(tenth)
                complain(f"{done:,} of {of:,} {what}")

        yield say_tenth
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as bar:
        task = bar.add_task(what, total=total or None)
        yield lambda done, of: bar.update(task, completed=done, total=of or None)
