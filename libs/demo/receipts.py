"""What the emulators accepted, read from their own logs: the outside's view of what was sent."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from libs.emulators.journal import Record, read_journal

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


class GrowingJournals:
    """The logs as they grow; each look reads only what is new."""

    def __init__(self, directory: Path) -> None:
        self._paths = [directory / f"{channel}.jsonl" for channel in CHANNELS]
        self._offsets = dict.fromkeys(self._paths, 0)

    def lines(self) -> Iterator[Record]:
        """Whole lines that are new, channel by channel, in the order in which they were written."""
        for path in self._paths:
            if path.exists():
                with path.open("rb") as log:
                    log.seek(self._offsets[path])
                    whole = log.read().rpartition(b"\n")[0]
                for line in whole.splitlines():
                    yield json.loads(line)
                self._offsets[path] += len(whole) + bool(whole)
