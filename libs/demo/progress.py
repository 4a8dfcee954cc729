"""Tells how far the replay is: a live line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from libs.demo.replay import Report

REFRESH_S = 0.2
"""Real seconds between two updates on a terminal."""
PLAIN_S = 10.0
"""Real seconds between two plain lines."""


class ReplayProgress:
    """A context that takes the replay's reports."""

    def __init__(self, console: Console, total: int, sends: Callable[[], int]) -> None:
        """`sends`: messages accepted so far."""
        self._console = console
        self._sends = sends
        self._began_s = time.monotonic()
        self._shown_s = self._began_s
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("[bold cyan]{task.fields[at]}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("orders  {task.fields[rate]:>5.0f}/s  [green]{task.fields[sends]}[/] sent"),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total, at="", rate=0.0, sends=0)

    def __enter__(self) -> "ReplayProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, report: Report) -> None:
        """Shows a report, unless the last one was shown just now."""
        now_s = time.monotonic()
        if now_s - self._shown_s < (PLAIN_S if self._bar is None else REFRESH_S):
            return
        self._shown_s = now_s
        rate = report.posted / (now_s - self._began_s)
        at = f"{report.now:%a %d %b %Y %H:%M}"
        if self._bar is not None:
            self._bar.update(self._task, completed=report.posted, at=at, rate=rate, sends=self._sends())
            return
        self._console.print(
            f"{at}  {report.posted:,} of {report.total:,} orders  {rate:,.0f}/s  {self._sends():,} sent",
            highlight=False,
        )
