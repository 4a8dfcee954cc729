"""What the emulators accepted, read from their own logs: the outside's view of what was sent."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from libs.emulators.journal import read_journal

CHANNELS = ("whatsapp", "line")
_KEYS = {"whatsapp": "callback_data", "line": "retry_key"}
"""The field that carries the send's own key on each channel."""


@dataclass(frozen=True, slots=True)
class Receipts:
    """Messages of one channel."""

    received: int
    """Distinct messages accepted."""
    doubles: int
    """Messages accepted beyond one for the same send."""
    recipients: int
    """Distinct people."""


def read_receipts(directory: Path, channel: str) -> Receipts:
    """Reads the log of one emulator; a missing one is empty."""
    ids: set[str] = set()
    keys: Counter[str] = Counter()
    recipients: set[str] = set()
    for record in read_journal(directory / f"{channel}.jsonl"):
        ids.add(record["id"])
        recipients.add(record["recipient"])
        keys[record[_KEYS[channel]] or record["id"]] += 1
    return Receipts(len(ids), sum(keys.values()) - len(keys), len(recipients))


class ReceiptCounter:
    """Counts lines of the logs as they grow, for the progress display; each look reads only what is new."""

    def __init__(self, directory: Path) -> None:
        self._paths = [directory / f"{channel}.jsonl" for channel in CHANNELS]
        self._offsets = dict.fromkeys(self._paths, 0)
        self.count = 0

    def look(self) -> int:
        """Messages accepted so far."""
        for path in self._paths:
            if not path.exists():
                continue
            with path.open("rb") as log:
                log.seek(self._offsets[path])
                new = log.read()
            self._offsets[path] += len(new)
            self.count += new.count(b"\n")
        return self.count
