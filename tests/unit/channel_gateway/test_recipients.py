"""Sends that say whom they go to, and those of whose customers segment has to be asked."""

from __future__ import annotations

from uuid import UUID

import pytest

from services.channel_gateway.domain.content import (
    BotModule,
    ConditionCard,
    PointComparison,
    PointFigure,
    TemplateContent,
    TextCard,
)
from services.channel_gateway.domain.model import Channel, Identity, Profile, Recipient, Send
from services.channel_gateway.domain.prepare import Catalogue
from services.channel_gateway.domain.recipients import known_profiles
from tests.unit.channel_gateway.build import ACCOUNT, CUSTOMER, MODULE, TEAM, TEMPLATE, module, send

OTHER_ACCOUNT = UUID(int=40)
MEI = Recipient("U1", "Mei")


def known(*sends: Send, has: BotModule | None = None) -> dict[UUID, Profile]:
    modules = {(TEAM, MODULE): has or module(TextCard("Hi {{customer.name}}"))}
    catalogue = Catalogue({}, {}, modules, {}, {}, {})
    return {customer: profile for (_, customer), profile in known_profiles(sends, catalogue).items()}


def carrying(**changes: object) -> Send:
    return send(**{"account_id": ACCOUNT, "recipient": MEI, **changes})


def test_a_send_that_says_whom_it_goes_to_needs_nobody_to_be_asked() -> None:
    mei = Profile("Mei", identities=(Identity(Channel.LINE, ACCOUNT, "U1", False),))
    assert known(carrying()) == {CUSTOMER: mei}


def test_who_is_sent_to_on_two_accounts_is_known_on_both() -> None:
    both = known(carrying(), carrying(account_id=OTHER_ACCOUNT, recipient=Recipient("U2", "Mei")))
    assert [identity.external_id for identity in both[CUSTOMER].identities] == ["U1", "U2"]


@pytest.mark.parametrize(
    "unsure",
    [
        send(account_id=ACCOUNT),
        carrying(account_id=None),
        carrying(content=TemplateContent(TEMPLATE, ("Your {{attribute.size}}",))),
        carrying(content=TemplateContent(TEMPLATE, (), "{{ attribute.size | 4 }}")),
        carrying(content=TemplateContent(TEMPLATE, (), "", ((0, "{{attribute.size}}"),))),
    ],
    ids=["no recipient", "no account", "attribute in the body", "in the header", "in a button"],
)
def test_whoever_is_not_known_enough_for_one_of_their_sends_is_asked_about(unsure: Send) -> None:
    assert known(unsure) == {}
    assert known(carrying(), unsure) == {}
    assert known(unsure, carrying()) == {}


def test_attributes_are_found_in_cards_inside_conditions() -> None:
    inside = TextCard("{{attribute.size}}")
    card = ConditionCard(PointFigure.BALANCE, PointComparison.AT_LEAST, 1, 0, (TextCard("Hi"),), (inside,))
    assert known(carrying(), has=module(TextCard("Hi"), card)) == {}
    plain = ConditionCard(PointFigure.BALANCE, PointComparison.AT_LEAST, 1, 0, (TextCard("Hi"),), ())
    assert known(carrying(), has=module(plain))
