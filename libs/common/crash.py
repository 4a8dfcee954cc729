"""Named points at which a process can be made to die as if it were killed, to prove that nothing is lost there.

Off unless `OMNIJOURNEY_CRASH_POINTS` names points (`libs.common.config` reads it); for tests only, never in production.
`reach` then costs one look at an empty dict. The form is `point:probability:seed`, several separated by commas:

    OMNIJOURNEY_CRASH_POINTS=journey.before_commit:0.01:7,gateway.after_mark:0.02:7
"""

import os
import random
import signal
from typing import Final, NamedTuple

import structlog

POINTS: Final = {
    "journey.between_effects": "a round of a batch's effects is answered, nothing of the batch is written",
    "journey.before_commit": "all of a batch is written, its transaction is not committed",
    "journey.after_commit": "a batch is committed, its mail is not trimmed",
    "journey.after_found": "some customers of an audience that enrols are kept, the next are not asked for",
    "journey.before_hand": "customers of an audience are triggered, their transaction is not committed",
    "journey.after_hand": "customers of an audience are triggered, their mail is not handed to the relay",
    "gateway.after_reserve": "sends are reserved and stored, nothing was published",
    "gateway.after_mark": "sends are marked for the wire, no request has left",
    "gateway.before_record": "requests are answered, their outcomes are not recorded",
    "gateway.after_forward": "webhooks are recorded in segment, and not marked as forwarded",
    "gateway.after_claim": "a coupon is claimed for who pressed its button, the answer is not stored",
    "segment.before_commit": "a batch of events is written, its transaction is not committed",
    "segment.after_commit": "a batch of events is committed, neither answered nor mailed",
    "segment.after_erasing": "a part of an erasure is done, and not noted; the customer's own row goes with the note",
    "segment.after_changes": "a batch of effects is committed, neither answered nor mailed",
    "segment.after_merge_step": "the services have done their parts of a step of a merge, which is not noted",
    "segment.before_audience_change_commit": "customers of an audience are changed, their transaction is not committed",
    "segment.after_audience_change": "customers of an audience are changed and committed, nothing was published",
    "segment.before_import_commit": "lines of an import are applied, their transaction is not committed",
    "segment.after_import_step": "lines of an import are committed, nothing was published",
    "segment.after_import_posting": "points of lines are posted, and the lines are not settled",
    "points.before_commit": "a batch of postings is decided, and neither written nor committed",
    "points.after_commit": "a batch of postings is committed and not answered",
    "points.before_chunk_commit": "rows of an import are posted, their transaction is not committed",
    "points.after_chunk": "rows of an import are committed, nothing was published",
    "relay.after_deliver": "mail is in the mailboxes, the relay's cursor has not moved",
    "stats.before_commit": "a page is counted, nothing of it is written",
    "stats.rebuilding": "a page of a rebuild is written and not committed",
    "stats.rebuilt": "new figures stand in the place of the old ones, not committed",
    "stats.rolling": "counters are moved into those of days, or these are folded, not committed",
    "stats.after_commit": "a page is counted and committed, its reader does not know yet",
}
"""Every point, and what has happened when it is reached and what has not."""

_log = structlog.get_logger(__name__)


class CrashPoint(NamedTuple):
    """One armed point."""

    name: str
    probability: float
    seed: int


def parse(spec: str) -> list[CrashPoint]:
    """The points of `OMNIJOURNEY_CRASH_POINTS`. Raises ValueError that names what is wrong."""
    points = []
    for part in filter(None, (part.strip() for part in spec.split(","))):
        name, _, rest = part.partition(":")
        probability, _, seed = rest.partition(":")
        if name not in POINTS:
            raise ValueError(f"no crash point {name!r}; there are: {', '.join(POINTS)}")
        try:
            point = CrashPoint(name, float(probability), int(seed))
        except ValueError:
            raise ValueError(f"{part!r} is not point:probability:seed") from None
        if not 0 <= point.probability <= 1:
            raise ValueError(f"the probability of {name} is not between 0 and 1")
        points.append(point)
    return points


class _Armed(NamedTuple):
    probability: float
    random: random.Random


_armed: Final[dict[str, _Armed]] = {}


def arm(spec: str) -> None:
    """Arms the points of `spec` in this process, instead of those that were armed. Raises ValueError."""
    points = parse(spec)
    _armed.clear()
    for point in points:
        # The process id is mixed in: with the seed alone a restarted process would die at the same count for ever.
        _armed[point.name] = _Armed(
            point.probability,
            random.Random(f"{point.seed}:{point.name}:{os.getpid()}"),  # noqa: S311 - decides when to die
        )
    if points:
        _log.warning("crash points are armed: this process will kill itself", points=sorted(_armed))


def reach(point: str) -> None:
    """Marks a point in the code; the process dies here if the point is armed and its number is up."""
    if _armed:
        _draw(point)


def _draw(point: str) -> None:
    armed = _armed.get(point)
    if armed is not None and armed.random.random() < armed.probability:
        _log.critical("crash point", point=point)
        os.kill(os.getpid(), signal.SIGKILL)
