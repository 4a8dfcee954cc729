"""Outcomes of a batch of sends as arguments of `settle_sends`, and what it made of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from libs.common.feeds.records import SHARDS
from libs.common.ids import partition_of
from libs.common.mailbox.mail import Mail, MailSource, SendOutcome
from services.channel_gateway.domain.model import PLACE_KEPT, DeliveryOutcome, Job, SendState, is_test
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.records import RecordBatch, SettledSends

_OutcomeKey = tuple[UUID, int, str, int, int, bool]
"""Columns of `outcome_row`: team, state, reason, messages, parts sent, whether some of what was taken is given back."""


class Settlement(NamedTuple):
    """An outcome to be recorded."""

    job: Job
    outcome: DeliveryOutcome

    @property
    def messages(self) -> int:
        """Messages that left or may have left: they keep their places."""
        in_doubt = self.job.doubtful and self.outcome.state is SendState.DEFERRED
        return self._messages_known + in_doubt

    @property
    def messages_reported(self) -> int:
        """Those of them that no outcome of the send has reported yet. What may have left of a send that goes on is
        reported when that is known."""
        return max(0, self._messages_known - self.job.messages_reported)

    @property
    def _messages_known(self) -> int:
        # A send of several messages may fail half way: those that left stay counted.
        return self.job.messages if self.outcome.state in PLACE_KEPT else self.job.parts_sent


class Outcomes:
    """Different sends that are to be settled as of one moment. Most of a batch end alike, and go together."""

    def __init__(self, items: Sequence[Settlement], now: datetime) -> None:
        """To be recorded as of `now`."""
        self._items = items
        self._now = now
        self._records = RecordBatch(now, mailed=True)
        self._outcomes: dict[_OutcomeKey, tuple[list[UUID], list[str]]] = {}
        self._order: list[tuple[int, Settlement]] = []
        """The items with their partitions, in the order in which the records have them added."""
        groups: dict[tuple[Any, ...], list[tuple[int, Settlement]]] = {}
        for item in items:
            job, outcome = item
            partition = partition_of(job.team_id, job.customer_id)
            alike = (
                *(partition % SHARDS, job.team_id, job.journey_id, job.node_id, job.channel, job.account_id),
                *(outcome.state, outcome.reason, job.parts_sent, len(job.parts), job.messages_reported),
                *(job.price, job.depth, job.doubtful),
            )
            groups.setdefault(alike, []).append((partition, item))
        for group in groups.values():
            self._add(group)

    def _add(self, group: Sequence[tuple[int, Settlement]]) -> None:
        """Sends of one team, shard and node that ended alike."""
        partition, first = group[0]
        job, outcome = first
        messages, price = first.messages, job.price
        reported = first.messages_reported
        # Request bodies that cannot be read are counted as none: the database knows what was taken.
        gives_back = messages < job.messages or not job.parts
        alike = (job.team_id, outcome.state, outcome.reason, messages, job.parts_sent, gives_back)
        jobs = [item.job for _, item in group]
        keys, message_ids = self._outcomes.setdefault(alike, ([], []))
        keys += [each.effect_key for each in jobs]
        message_ids += ["\n".join(each.message_ids) for each in jobs]
        if is_test(job.journey_id, job.node_id):
            return  # nobody is told of it
        what = SettledSends(
            *(job.journey_id, job.node_id, job.channel, job.account_id, outcome.state, outcome.reason),
            *(reported, reported * price.micros, price.currency, job.depth),
        )
        sends = [(each.customer_id, each.effect_key, each.enrolment_id) for each in jobs]
        traces = [each.trace for each in jobs if each.trace is not None]
        self._records.add(partition % SHARDS, job.team_id, what, sends, traces)
        self._order += group

    def arguments(self, sender: UUID) -> dict[str, Any]:
        """All of the function's."""
        return {
            "teams": list({job.team_id for job, _ in self._items}),
            "sender": sender,
            "now": self._now,
            "outcomes": [(*alike, *columns) for alike, columns in self._outcomes.items()],
            "records": self._records.rows(),
        }

    def written(self, row: Any) -> Written:
        """The mail, and the positions of its records."""
        positions: Sequence[int] = row["positions"]
        numbers = iter(row["numbers"])
        mails = [
            self._mail(index, next(numbers), position)
            for position, indexes in zip(positions, self._records.order(), strict=True)
            for index in indexes
        ]
        return Written(mails, self._records.ranges(positions))

    def _mail(self, index: int, number: int, position: int) -> Mail:
        partition, item = self._order[index]
        job, outcome = item
        return Mail(
            MailSource.GATEWAY,
            number,
            position,
            partition,
            job.team_id,
            job.customer_id,
            job.effect_key,
            self._now,
            job.depth,
            SendOutcome(
                job.effect_key,
                job.enrolment_id,
                outcome.state,
                outcome.reason,
                self._now,
                item.messages_reported,
            ),
        )
