"""Reading of definitions that may not be whole yet."""

from __future__ import annotations

from libs.common.rpc.fields import FieldCheck


class Reading(FieldCheck):
    """Keeps what is missing apart from what is wrong: a draft may be saved with gaps."""

    def __init__(self) -> None:
        """Nothing is missing yet."""
        super().__init__()
        self.gaps: list[tuple[str, str]] = []

    def gap(self, field: str, need: str) -> None:
        """Notes that something is missing, or not yet right by itself."""
        self.gaps.append((field, need))
