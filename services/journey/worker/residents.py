"""Actors as this worker has committed them: a turn of such a customer begins with what is remembered (ADR 30).

A partition's actors are written by the owner of its lease alone, so what was committed under an epoch is true as long
as the epoch is. That is why each is remembered with its epoch, taken out by the turn that begins with it, and put back
by that turn's commit only: after a turn that failed, or of which nobody knows whether it was committed, it is loaded.
The commit compares the version all the same.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from services.journey import metrics
from services.journey.domain.model import ActorKey
from services.journey.store.packed import PackedActor

BYTES_MAX: Final = 16 << 20
"""Of all that are remembered; those who were committed longest ago are forgotten first."""
AGE_MAX_S: Final = 60.0
"""Real time for which an actor is remembered after its commit: who sleeps for longer takes no memory."""


class _Resident(msgspec.Struct, frozen=True, gc=False):
    epoch: int
    at: float
    size: int
    packed: PackedActor


class Residents:
    """Remembers actors by their commits, in order."""

    def __init__(
        self, real_time: Callable[[], float] = time.monotonic, *, bytes_max: int = BYTES_MAX
    ) -> None:
        """Remembers nobody yet. `real_time` gives seconds that never run backwards."""
        self._real_time = real_time
        self._bytes_max = bytes_max
        # A dict looks for its first key behind all that were taken before it.
        self._actors: OrderedDict[ActorKey, _Resident] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """About what all of them take in memory."""
        return self._bytes

    def take(self, keys: Iterable[ActorKey], fence: Mapping[int, int]) -> dict[ActorKey, PackedActor]:
        """Those of `keys` that were committed under the leases (partition → epoch) that hold. None of `keys` is
        remembered any more."""
        taken: dict[ActorKey, PackedActor] = {}
        for key in keys:
            resident = self._pop(key)
            if resident is not None and resident.epoch == fence[key.partition]:
                taken[key] = resident.packed
        return taken

    def keep(self, committed: Mapping[ActorKey, PackedActor], fence: Mapping[int, int]) -> None:
        """Remembers what was committed under these leases."""
        now = self._real_time()
        for key, packed in committed.items():
            self._pop(key)
            size = packed.size_bytes
            self._actors[key] = _Resident(fence[key.partition], now, size, packed)
            self._bytes += size
        self.expire()

    def expire(self) -> None:
        """Forgets those who are too old, or too many."""
        oldest = self._real_time() - AGE_MAX_S
        while self._actors:
            key, resident = next(iter(self._actors.items()))
            if resident.at > oldest and self._bytes <= self._bytes_max:
                break
            self._pop(key)
        metrics.RESIDENT_BYTES.set(self._bytes)

    def drop(self, partition: int) -> None:
        """Forgets everybody of a partition."""
        for key in [key for key in self._actors if key.partition == partition]:
            self._pop(key)

    def _pop(self, key: ActorKey) -> _Resident | None:
        resident = self._actors.pop(key, None)
        if resident is not None:
            self._bytes -= resident.size
        return resident
