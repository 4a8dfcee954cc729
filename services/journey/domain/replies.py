"""What a customer writes or presses, to those who wait for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.kept_by_size import characters, kept_by_size
from libs.common.mailbox import mail as m
from libs.common.text import as_seen, fold
from services.journey.domain.effects import effect_key
from services.journey.domain.enrolment import Enrolment
from services.journey.domain.model import ButtonReply, Journey, ReplyEvent

_TEXTS_KEPT: Final = 4_096


def meets_reply(event: ReplyEvent, journey: Journey, enrolment: Enrolment, said: m.Said) -> bool:
    """Whether that is what is asked for. A press of a button of somebody else's message never is, nor one of the same
    customer's other enrolment."""
    targets = journey.definition.targets
    if not any(
        target.channel == said.channel and target.account_id in {None, said.account_id} for target in targets
    ):
        return False
    if said.effect_key is not None and not _is_own(enrolment, journey.definition.messages, said):
        return False
    if event.button is not None:
        return _presses(event.button, enrolment, said)
    return not event.texts or _says(event, said.text)


def _is_own(enrolment: Enrolment, node_ids: Iterable[str], said: m.Said) -> bool:
    """Whether the button is of a message of one of these nodes, sent by the enrolment."""
    return any(
        effect_key(enrolment.enrolment_id, node_id, enrolment.visit) == said.effect_key
        for node_id in node_ids
    )


def _presses(button: ButtonReply, enrolment: Enrolment, said: m.Said) -> bool:
    if said.effect_key is None:
        return False
    if button.message_node_id and not _is_own(enrolment, (button.message_node_id,), said):
        return False
    return not button.data or said.button_data in button.data


def _says(event: ReplyEvent, text: str) -> bool:
    said, wanted = as_seen(fold(text)), _folded(event.texts)
    if event.text_match == "is":
        return said in wanted
    return any(each in said for each in wanted)


@kept_by_size(characters, small_kept=_TEXTS_KEPT)
def _folded(texts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(as_seen(fold(text)) for text in texts)
