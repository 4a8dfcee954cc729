"""People to whom an account may not send now, and what waits for them: in order, each person for themselves. No I/O.

https://developers.facebook.com/docs/whatsapp/cloud-api/overview: one message to a person every 6 s on average.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from services.channel_gateway.domain.model import Job

SPACING_S: Final = 6.0
"""Between two sends to somebody of whom the channel had too many."""


@dataclass(slots=True)
class _Person:
    until_s: float
    sends: deque[Job] = field(default_factory=deque)


class PacedPeople:
    """Whom the channel named is sent to one by one from then on, until nothing waits for them."""

    def __init__(self) -> None:
        """Nobody."""
        self._people: dict[str, _Person] = {}
        self._count = 0

    def __len__(self) -> int:
        """Sends that wait."""
        return self._count

    def __contains__(self, recipient: str) -> bool:
        """Whether sends to a person have been paced, and may have to be still."""
        return recipient in self._people

    def pace(self, recipient: str, until_s: float, now_s: float) -> None:
        """Nothing leaves for a person before the monotonic time `until_s`."""
        self.learn({recipient: until_s}, now_s)

    def learn(self, until_s: Mapping[str, float], now_s: float) -> None:
        """Takes over until when other processes send nothing to whom: those for whom nothing waits here are forgotten
        when that is over."""
        for recipient in list(self._people):
            self.holds(recipient, now_s)
        for recipient, each_s in until_s.items():
            person = self._people.setdefault(recipient, _Person(each_s))
            person.until_s = max(person.until_s, each_s)

    def holds(self, recipient: str, now_s: float) -> bool:
        """Whether a send to a person waits here, rather than to leave now."""
        person = self._people.get(recipient)
        if person is not None and not person.sends and person.until_s <= now_s:
            del self._people[recipient]
            return False
        return person is not None

    def keep(self, job: Job, due_s: float = 0.0) -> None:
        """Keeps a send to a person who is paced, until `due_s` at least: behind the others, or, where it was tried
        before, before those that were not."""
        person = self._people[job.recipient]
        person.until_s, sends = max(person.until_s, due_s), person.sends
        self._count += 1
        if job.began_s is None:
            sends.append(job)
            return
        place = next(
            (
                place
                for place, other in enumerate(sends)
                if other.began_s is None or other.began_s > job.began_s
            ),
            len(sends),
        )
        sends.insert(place, job)

    def take(self, now_s: float) -> Job | None:
        """A send that may leave now: the next one to its person has to wait. None: there is none."""
        for recipient, person in list(self._people.items()):
            if person.until_s > now_s:
                continue
            if person.sends:
                person.until_s = now_s + SPACING_S
                self._count -= 1
                return person.sends.popleft()
            del self._people[recipient]
        return None

    def take_any(self) -> Job:
        """A send, whether it may leave or not. Raises StopIteration when none waits."""
        person = next(person for person in self._people.values() if person.sends)
        self._count -= 1
        return person.sends.popleft()

    def until_s(self, recipient: str) -> float:
        """The monotonic time before which nothing leaves for a person; 0: for anybody who is not paced."""
        person = self._people.get(recipient)
        return person.until_s if person is not None else 0.0

    def next_at_s(self) -> float:
        """The monotonic time from which something may leave; infinite: nothing waits."""
        return min((person.until_s for person in self._people.values() if person.sends), default=math.inf)
