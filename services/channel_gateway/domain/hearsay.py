"""What several webhooks tell together: the latest of each person, and all receipts of each send. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from libs.common.consent_words import ConsentWords
from services.channel_gateway.domain.content import TemplateState
from services.channel_gateway.domain.heard import (
    AccountNotice,
    AccountRefused,
    Heard,
    Limited,
    MessageFailed,
    MessageReceipt,
    MessageTaken,
    Moved,
    PageReceipt,
    Preference,
    PreferenceSource,
    TemplateReport,
    Wrote,
)
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.receipts import ReceiptKind

AccountPerson = tuple[UUID, str]
"""Account, and the person's id on it."""
AccountTemplate = tuple[UUID, str, str]
"""Account, and the template's name and language."""
MessageKey = tuple[UUID, int]
"""Key of the effect, and the number of the message in its send."""
AccountCode = tuple[UUID, int]
"""Account, and a code of its channel."""
ChannelPerson = tuple[int, str]
"""Channel, and the person's id on it."""


class Reply(NamedTuple):
    """Somebody wrote something that is no press of a button of ours."""

    account_id: UUID
    external_id: str
    at: datetime
    answered_id: str
    """The message that it names; empty: none."""


class PersonMoved(NamedTuple):
    """Somebody is known on a channel by another id."""

    channel: int
    account_id: UUID
    moved: Moved


class Hearsay(msgspec.Struct):
    """By key, so that it can be noted in the order of keys."""

    last_messages: dict[AccountPerson, datetime] = {}
    """When people last wrote, where the channel has a window."""
    preferences: dict[ChannelPerson, Preference] = {}
    limited: dict[ChannelPerson, datetime] = {}
    late_codes: dict[AccountCode, datetime] = {}
    """When the channel last said why messages failed that it had taken."""
    late_failures: dict[UUID, MessageFailed] = {}
    """By the keys of the effects, the last of each."""
    refused_accounts: dict[UUID, AccountRefused] = {}
    notices: dict[tuple[UUID, str], AccountNotice] = {}
    """By account and what they are about."""
    moved: list[PersonMoved] = []
    """In the order in which it was told."""
    template_states: dict[AccountTemplate, tuple[datetime, TemplateState, str]] = {}
    template_categories: dict[AccountTemplate, tuple[datetime, str]] = {}
    receipts: dict[UUID, tuple[UUID, list[ReceiptKind]]] = {}
    """By the key of the effect: the account, and what was told, in the order in which it was told."""
    failures: dict[UUID, int] = {}
    """The channel's code of why sends failed, the last one of each."""
    last_sent: dict[AccountPerson, tuple[datetime, UUID]] = {}
    """When the last send to people was sent that was told of, and its key."""
    replies: set[Reply] = set()
    taken: dict[MessageKey, tuple[UUID, str]] = {}
    """The account, and the message's id on the channel."""
    page_receipts: dict[AccountPerson, list[PageReceipt]] = {}
    """In the order in which they were told."""


def heard_of(webhooks: Iterable[tuple[Channel, UUID, Sequence[Heard]]], words: ConsentWords) -> Hearsay:
    """Of webhooks of one team, each with its channel and account; `words` are the team's."""
    gathered = Hearsay()
    for channel, account_id, heard in webhooks:
        for each in heard:
            match each:
                case Wrote():
                    _wrote(gathered, channel, account_id, each, words)
                case Preference() | Limited() | Moved():
                    _of_person(gathered, channel, account_id, each)
                case TemplateReport():
                    _template_reported(gathered, (account_id, each.name, each.language), each)
                case MessageFailed() | AccountRefused() | AccountNotice():
                    _of_account(gathered, account_id, each)
                case MessageReceipt():
                    _received(gathered, account_id, each)
                case MessageTaken():
                    gathered.taken[each.effect_key, each.number] = (account_id, each.message_id)
                    _sent(gathered, (account_id, each.external_id), each)
                case PageReceipt():
                    gathered.page_receipts.setdefault((account_id, each.external_id), []).append(each)
                case _:
                    pass
    return gathered


def _of_person(
    gathered: Hearsay, channel: Channel, account_id: UUID, said: Preference | Limited | Moved
) -> None:
    who = (int(channel), said.external_id)
    if isinstance(said, Preference):
        _prefer(gathered, who, said)
    elif isinstance(said, Limited):
        gathered.limited[who] = max(said.at, gathered.limited.get(who, said.at))
    else:
        gathered.moved.append(PersonMoved(int(channel), account_id, said))


def _of_account(
    gathered: Hearsay, account_id: UUID, said: MessageFailed | AccountRefused | AccountNotice
) -> None:
    if isinstance(said, AccountRefused):
        gathered.refused_accounts[account_id] = said
    elif isinstance(said, AccountNotice):
        before = gathered.notices.get((account_id, said.about))
        if before is None or before.at <= said.at:
            gathered.notices[account_id, said.about] = said
    else:
        key = (account_id, said.code)
        gathered.late_codes[key] = max(said.at, gathered.late_codes.get(key, said.at))
        if said.effect_key is not None:
            gathered.late_failures[said.effect_key] = said


def _received(gathered: Hearsay, account_id: UUID, receipt: MessageReceipt) -> None:
    _, kinds = gathered.receipts.setdefault(receipt.effect_key, (account_id, []))
    kinds.append(receipt.kind)
    if receipt.code:
        gathered.failures[receipt.effect_key] = receipt.code


def _sent(gathered: Hearsay, person: AccountPerson, taken: MessageTaken) -> None:
    if taken.external_id and taken.sent_at is not None:
        last = (taken.sent_at, taken.effect_key)
        gathered.last_sent[person] = max(last, gathered.last_sent.get(person, last))


def _wrote(gathered: Hearsay, channel: Channel, account_id: UUID, wrote: Wrote, words: ConsentWords) -> None:
    if channel is not Channel.LINE:
        person = (account_id, wrote.external_id)
        gathered.last_messages[person] = max(wrote.at, gathered.last_messages.get(person, wrote.at))
    # Elsewhere it is not said of messages that they were sent, or read.
    if channel is Channel.WHATSAPP and wrote.effect_key is None:
        gathered.replies.add(Reply(account_id, wrote.external_id, wrote.at, wrote.answered_id))
    wants = words.wanted(wrote.text) if wrote.text else None
    if wants is not None:
        said = Preference(wrote.external_id, wrote.at, wants, PreferenceSource.CHAT)
        _prefer(gathered, (int(channel), wrote.external_id), said)


def _template_reported(gathered: Hearsay, template: AccountTemplate, report: TemplateReport) -> None:
    state, category = gathered.template_states.get(template), gathered.template_categories.get(template)
    if report.state is not None and (state is None or state[0] <= report.at):
        gathered.template_states[template] = report.at, report.state, report.rejected_reason
    if report.category and (category is None or category[0] <= report.at):
        gathered.template_categories[template] = report.at, report.category


def _prefer(gathered: Hearsay, person: ChannelPerson, preference: Preference) -> None:
    before = gathered.preferences.get(person)
    if before is None or preference.at >= before.at:
        gathered.preferences[person] = preference
