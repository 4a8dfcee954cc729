"""Traces of turns: the spans of one batch, of mail and enrolments that are sampled (ADR 69)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from libs.common import tracing
from libs.common.mailbox.mail import Mail
from services.journey.domain.enrolment import Enrolment
from services.journey.domain.model import ActorKey
from services.journey.domain.turn import TurnResult

_SPANS: Final = tracing.Spans("journey")


class TurnTraces:
    """Of a batch of turns; where nobody takes spans it changes nothing, and contexts go on as they came."""

    def __init__(self) -> None:
        """The batch begins now."""
        self._is_on = tracing.is_on()
        self._began_ns = tracing.now_ns() if self._is_on else 0
        self._mails: dict[ActorKey, list[tuple[Mail, bytes, bytes]]] = {}
        """Mail that is sampled, with its span and the one above."""

    def put_on(self, key: ActorKey, mails: Sequence[Mail]) -> Sequence[Mail]:
        """A customer's mail; what it begins hangs on the spans of this turn."""
        if not self._is_on or all(mail.trace is None for mail in mails):
            return mails
        return [mail if mail.trace is None else self._of_turn(key, mail, mail.trace) for mail in mails]

    def _of_turn(self, key: ActorKey, mail: Mail, above: bytes) -> Mail:
        context = tracing.below(above)
        self._mails.setdefault(key, []).append((mail, context, above))
        return msgspec.structs.replace(mail, trace=context)

    def write(self, results: Mapping[ActorKey, TurnResult]) -> None:
        """The spans of the turns that were committed."""
        if not self._is_on:
            return
        for key, turn in results.items():
            mails = self._mails.get(key, ())
            for mail, context, above in mails:
                attributes = _named(key, len(results))
                attributes["mail"] = type(mail.body).__name__
                _SPANS.write("journey.mail", context, above, self._began_ns, attributes)
            for enrolment in turn.enrolments:
                if enrolment.trace is not None:
                    self._write(key, enrolment, enrolment.trace, [each[1] for each in mails], len(results))

    def _write(
        self, key: ActorKey, enrolment: Enrolment, above: bytes, mails: Sequence[bytes], size: int
    ) -> None:
        attributes = _named(key, size)
        attributes |= {
            "enrolment_id": str(enrolment.enrolment_id),
            "journey_id": str(enrolment.journey_id),
            "node_id": enrolment.node_id,
            "state": enrolment.state.name,
            "wait": enrolment.wait.name,
        }
        links = [mail for mail in mails if mail != above]
        _SPANS.write_below("journey.turn", [above], self._began_ns, attributes, links)


def _named(key: ActorKey, size: int) -> dict[str, str | int]:
    return {"team_id": str(key.team_id), "customer_id": str(key.customer_id), "batch_size": size}
